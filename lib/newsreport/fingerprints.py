"""What a chapter's result depends on, in one hash: with the same hash it need not run again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from pathlib import Path

import nbformat

from gpt2news.run import ROOT, Run, sha256_of

LIBRARY = Path(__file__).resolve().parents[1]


def fingerprint(
    run: Run, chapter: str, values: dict, notebooks: Path, corpora: dict[str, Path]
) -> str:
    """One hash of all that a chapter's result depends on."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    sources = []
    for cell in nbformat.read(notebooks / f"{chapter}.ipynb", as_version=4).cells:
        digest.update(cell.source.encode())
        if cell.cell_type == "code" and not cell.source.lstrip().startswith(("%", "!")):
            sources.append(cell.source)
    # As with make, a module that was touched counts as changed; data count by their content.
    for path in sorted(code_behind(chapter, sources, notebooks)):
        digest.update(f"{path.name} {sha256_of(path)} {path.stat().st_mtime_ns}".encode())
    inputs = [path for value in values.values() for path in _files_named(value, corpora)]
    if chapter == "04_evaluate":  # it shows the studies that benchmarks/studies.py left here
        inputs += sorted(path for path in run.path("studies").glob("*") if path.is_file())
    for path in inputs:
        digest.update(f"{path.name} {sha256_of(path)}".encode())
    return digest.hexdigest()


def code_behind(chapter: str, sources: list[str], notebooks: Path) -> set[Path]:
    """The files that Python sources import from lib/, directly or not, and a chapter's companions.

    A YAML file beside a module, of the same name, belongs to it.
    """
    companions = []
    for package in ("exercises", "sentences", "figures"):
        for name in ("__init__", chapter.partition("_")[2]):
            companions.append(notebooks / package / f"{name}.py")
    found = {path for path in companions if path.exists()}
    to_read = [*sources, *(path.read_text(encoding="utf-8") for path in found)]
    while to_read:
        for path in _imported(to_read.pop()) - found:
            found.add(path)
            if path.suffix == ".py":
                to_read.append(path.read_text(encoding="utf-8"))
    return found


def _imported(source: str) -> set[Path]:
    """The files of lib/ that one Python source imports."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    files = set()
    for name in names:
        base = LIBRARY.joinpath(*name.split("."))
        files |= {base.with_suffix(".py"), base.with_suffix(".yaml"), base / "__init__.py"}
    return {path for path in files if path.is_file()}


def _files_named(value: object, corpora: dict[str, Path]) -> list[Path]:
    """The files that a parameter names: a corpus, a file, or all files of a folder."""
    if not isinstance(value, str) or not value:
        return []
    for place in (corpora.get(value, value), ROOT / value):
        if os.path.isfile(place):
            return [Path(place)]
        if os.path.isdir(place):
            return sorted(path for path in Path(place).iterdir() if path.is_file())
    return []
