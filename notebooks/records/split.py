"""Chapter 02's section of metrics.json."""

from __future__ import annotations

from gpt2news.split import PARTS
from records.explore import describe as describe


def summary(written: dict, leaks: dict[str, int]) -> dict:
    """The section `split` of metrics.json, of what `write_split` and `check_leaks` returned."""
    sizes = {part: written["counts"][part]["all"] for part in PARTS}
    return {**sizes, **leaks, "seed": written["seed"]}
