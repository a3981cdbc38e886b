"""What a chapter that is opened alone makes of the chapters before it."""

from __future__ import annotations

from pathlib import Path

import yaml

from gpt2news import run as files
from gpt2news.run import Run, parameters_of


def profile_of(report: Run) -> Path:
    """The profile of a run's name; it need not be there."""
    return files.ROOT / "notebooks" / "profiles" / f"{report.name}.yaml"


def settings(report: Run, chapter: str) -> dict[str, object]:
    """What `chapter` would run with here: its notebook's defaults, under the run's profile."""
    found = parameters_of(files.ROOT / "notebooks" / f"{chapter}.ipynb")
    if not profile_of(report).exists():
        return found
    profile = yaml.safe_load(profile_of(report).read_text(encoding="utf-8")) or {}
    for name, value in (profile.get(chapter) or {}).items():
        # YAML reads 1e-4 as a text; the notebook's default says that it is a number.
        is_number = isinstance(found.get(name), float)
        found[name] = float(value) if is_number else value
    return found
