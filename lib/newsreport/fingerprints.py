"""What a chapter's result depends on, in one hash: a chapter whose hash is unchanged is not run again."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path

import nbformat

from gpt2news.explore import SOURCES, locate
from gpt2news.run import ROOT, sha256_of
from newsreport.profiles import NOTEBOOKS

PACKAGE = Path(__file__).parents[1]


def code_behind(source: str, seen: set[Path] | None = None) -> set[Path]:
    """The files of gpt2news that Python source imports, directly or not, and the YAML file of the same name beside a module."""
    seen = set() if seen is None else seen
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gpt2news":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("gpt2news")]
        for name in names:
            base = PACKAGE.joinpath(*name.split(".")[1:])
            for path in (base.with_suffix(".py"), base / "__init__.py", base.with_suffix(".yaml")):
                if path.exists() and path not in seen:
                    seen.add(path)
                    if path.suffix == ".py":
                        code_behind(path.read_text(encoding="utf-8"), seen)
    return seen


def fingerprint(
    chapter: str, values: dict, before: str, notebooks: Path = NOTEBOOKS, besides: list[Path] = ()
) -> str:
    """What a chapter's result depends on: the chapters before, its notebook, parameters, the code it imports, the files it names.

    `besides`: more files whose content counts.

    As with make, a touched module counts as changed; corpora and backbones count by their content.
    """
    notebook = nbformat.read(notebooks / f"{chapter}.ipynb", as_version=4)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    code = set().union(*(code_behind(s) for s in sources if not s.lstrip().startswith(("%", "!"))))
    digest = hashlib.sha256(
        json.dumps([before, values, [c.source for c in notebook.cells]], sort_keys=True).encode()
    )
    for path in sorted(code):
        digest.update(f"{path.name} {sha256_of(path)} {path.stat().st_mtime_ns}".encode())
    for path in besides:
        digest.update(f"{path.name} {sha256_of(path)}".encode())
    for value in values.values():
        if isinstance(value, str) and value:
            for path in _files_named(value):
                digest.update(f"{path.name} {sha256_of(path)}".encode())
    return digest.hexdigest()


def _files_named(value: str) -> list[Path]:
    if value == "sample" or value in SOURCES:
        return [locate(value)]
    for path in (Path(value), ROOT / value):
        if path.is_file():
            return [path]
        if path.is_dir():
            return sorted(p for p in path.iterdir() if p.is_file())
    return []
