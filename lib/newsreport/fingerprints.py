"""What a chapter's result depends on, in one hash: with the same hash it need not run again."""

from __future__ import annotations

import hashlib
import json
import os
from modulefinder import ModuleFinder
from pathlib import Path

import nbformat

from gpt2news.run import ROOT, Run, sha256_of

LIBRARY = Path(__file__).resolve().parents[1]


def fingerprint(
    run: Run, chapter: str, values: dict, notebooks: Path, corpora: dict[str, Path]
) -> str:
    """One hash of a chapter's cells and parameters, of the code behind it, and of its input."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    cells = nbformat.read(notebooks / f"{chapter}.ipynb", as_version=4).cells
    digest.update("".join(cell.source for cell in cells).encode())
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    # As with make, a module that was touched counts as changed; data count by their content.
    for path in sorted(code_behind(chapter, sources, notebooks)):
        digest.update(f"{path.name} {sha256_of(path)} {path.stat().st_mtime_ns}".encode())
    inputs = [path for value in values.values() for path in _files_named(value, corpora)]
    if chapter == "04_evaluate":  # it shows the studies that benchmarks/studies.py left here
        inputs += _files_named(str(run.path("studies")), {})
    for path in inputs:
        digest.update(f"{path.name} {sha256_of(path)}".encode())
    return digest.hexdigest()


def code_behind(chapter: str, sources: list[str], notebooks: Path) -> set[Path]:
    """What Python sources import from lib/, directly or not, and the companions of a chapter.

    A YAML file beside a module, of the same name, belongs to it.
    """
    companions = set(notebooks.glob(f"*/{chapter.partition('_')[2]}.py"))
    # It looks nowhere else: the packages that are installed do not count.
    finder = ModuleFinder(path=[str(LIBRARY), str(notebooks)])
    main = finder.add_module("__main__")
    for source in [*sources, *(path.read_text(encoding="utf-8") for path in companions)]:
        try:
            finder.scan_code(compile(source, chapter, "exec"), main)
        except (SyntaxError, ImportError):
            continue  # a magic, or a mistake that the run will show
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    files |= companions
    beside = {path.with_suffix(".yaml") for path in files}
    return files | {path for path in beside if path.exists()}


def _files_named(value: object, corpora: dict[str, Path]) -> list[Path]:
    """The files that a parameter names: a corpus, a file, or all files of a folder."""
    if not isinstance(value, str) or not value:
        return []
    for place in (Path(corpora.get(value, value)), ROOT / value):
        files = place.iterdir() if os.path.isdir(place) else [place]
        found = sorted(path for path in files if os.path.isfile(path))
        if found:
            return found
    return []
