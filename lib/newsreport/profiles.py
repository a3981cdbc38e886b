"""Profiles: which value goes into which notebook, and what a good run must keep to."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import yaml

from gpt2news.run import ROOT
from newsreport.gates import GateError, parse

NOTEBOOKS = ROOT / "notebooks"
EVALUATED = [
    "test",
    "baseline",
    "mcnemar_p",
    "verdict",
    "leaks",
    "slices",
    "errors",
    "behaviour",
    "off_topic",
    "attribution",
    "studies",
]
# Chapter -> what it is about, the sections of metrics.json that it writes.
CHAPTERS = {
    "01_explore": ("the corpus, before any model", ["dataset"]),
    "02_split": ("a split without leaks, and the proof", ["split"]),
    "03_finetune": ("from a language model to a classifier", ["model"]),
    "04_evaluate": ("how good, how sure, against what", EVALUATED),
    "05_deploy": ("a small file that answers over HTTP", ["deploy"]),
}


class ReportError(ValueError):
    """A profile, chapter or parameter that does not exist, or a run that is going on; the message lists what is valid."""


def parameters_of(notebook: Path) -> dict[str, object]:
    """The defaults of a notebook's `parameters` cell: literals, read without running anything.

    Raises:
        ReportError: there is not exactly one such cell.
    """
    cells = [
        c
        for c in nbformat.read(notebook, as_version=4).cells
        if "parameters" in c.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise ReportError(
            f"{notebook.name}: {len(cells)} cells are tagged `parameters`; one is needed"
        )
    assigned = [node for node in ast.parse(cells[0].source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}


def load_profile(name: str, sets: tuple[str, ...] = (), notebooks: Path = NOTEBOOKS) -> dict:
    """A profile, checked: `{"time_limit": {chapter: seconds}, "gates": [expression], chapter: {parameter: value}}`.

    Args:
        name: of a YAML file in `notebooks/profiles`, without .yaml.
        sets: overrides such as `03_finetune.epochs=1`.

    Raises:
        ReportError: unknown profile, chapter or parameter, a wrong type, or a gate that cannot be read; the message lists what is valid.
    """
    files = {path.stem: path for path in (notebooks / "profiles").glob("*.yaml")}
    if name not in files:
        raise ReportError(f"no profile {name!r}; there are {', '.join(sorted(files))}")
    try:
        profile = yaml.safe_load(files[name].read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ReportError(f"{files[name].name}: not YAML: {error}") from error
    for item in sets:
        target, equals, value = item.partition("=")
        chapter, dot, parameter = target.partition(".")
        if not (equals and dot):
            raise ReportError(
                f"--set {item}: write it as chapter.parameter=value, say 03_finetune.epochs=1"
            )
        profile.setdefault(chapter, {})[parameter] = yaml.safe_load(value)
    limits, gates = profile.pop("time_limit", {}), profile.pop("gates", None) or []
    if not isinstance(gates, list):
        raise ReportError(
            f"profile {name}: gates is a list of lines such as `- test.accuracy.low >= 0.9`"
        )
    try:
        for gate in gates:
            parse(gate)
    except GateError as error:
        raise ReportError(f"profile {name}: {error}") from error
    for where in (profile, limits):
        unknown = [chapter for chapter in where if chapter not in CHAPTERS]
        if unknown:
            raise ReportError(
                f"profile {name}: no notebook {unknown[0]!r}; there are {', '.join(CHAPTERS)}"
            )
    for chapter, values in profile.items():
        known = parameters_of(notebooks / f"{chapter}.ipynb")
        for parameter, value in (values or {}).items():
            if parameter not in known or parameter == "run":
                valid = ", ".join(p for p in known if p != "run")
                raise ReportError(f"{chapter} has no parameter {parameter!r}; it has {valid}")
            default = known[parameter]
            fits = type(value) is type(default) or (
                isinstance(default, float) and type(value) is int
            )
            if not fits:
                wanted = type(default).__name__
                raise ReportError(
                    f"{chapter}.{parameter} = {value!r}: {type(value).__name__} given, {wanted} needed (default {default!r})"
                )
    return {
        "time_limit": limits,
        "gates": gates,
        **{chapter: dict(profile.get(chapter) or {}) for chapter in CHAPTERS},
    }
