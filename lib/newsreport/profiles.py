"""Profiles: which value goes into which notebook."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml

from gpt2news.run import CHAPTERS, ROOT, parameters_of
from newsreport.gates import ReportError, check_names

NOTEBOOKS = ROOT / "notebooks"
# The one environment of all templates. A name that a template misspells is an error, not a gap.
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html.j2"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Profile:
    """A profile, checked."""

    name: str  # of its file in `notebooks/profiles`
    sets: tuple[str, ...]  # the overrides of the command line, as they were written
    notebooks: Path  # the folder of the notebooks it is for
    parameters: dict[str, dict]  # chapter -> all but `run`: the profile's values over the defaults
    time_limits: dict[str, float]  # chapter -> seconds, for those that have one
    gates: list[str]  # lines such as `test.accuracy.low >= 0.9`


class Loader(yaml.SafeLoader):
    """YAML in which 1e-4 is a number, as people write it, and a key stands once."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if isinstance(key.value, Hashable)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"{twice[0]!r} stands there twice")
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+\.?\d*[eE][-+]?\d+$"), list("-+0123456789")
)


def load_profile(name: str, sets: tuple[str, ...] = (), notebooks: Path = NOTEBOOKS) -> Profile:
    """Read `profiles/<name>.yaml`, put overrides over it, and hold all against the notebooks.

    Raises:
        ReportError: an unknown profile, chapter or parameter, a wrong value, or a gate that cannot
            be read; the message lists what is valid.
    """
    files = {path.stem: path for path in (notebooks / "profiles").glob("*.yaml")}
    if name not in files:
        raise ReportError(f"no profile {name!r}; there are {', '.join(sorted(files))}")
    content = _read_yaml(files[name].read_text(encoding="utf-8"), files[name].name)
    sections = _mapping(content, f"profile {name}")
    gates = sections.pop("gates", None) or []
    check_names(gates)
    limits = _mapping(sections.pop("time_limit", None), "time_limit")
    written = {chapter: _mapping(values, chapter) for chapter, values in sections.items()}
    for item in sets:
        match = re.fullmatch(r"([^.=]+)\.([^=]+)=(.*)", item, re.DOTALL)
        if not match:
            raise ReportError(f"--set {item}: write it as chapter.parameter=value")
        chapter, parameter, value = match.groups()
        written.setdefault(chapter, {})[parameter] = _read_yaml(value, f"--set {item}")
    for chapter in (*limits, *written):
        if chapter not in CHAPTERS:
            raise ReportError(f"no notebook {chapter!r}; there are {', '.join(CHAPTERS)}")
    for chapter, limit in limits.items():
        if type(limit) not in (int, float) or not 0 < limit < math.inf:
            raise ReportError(f"time_limit of {chapter} is {limit!r}; seconds are needed")
    parameters = {}
    for chapter in CHAPTERS:
        defaults = parameters_of(notebooks / f"{chapter}.ipynb")
        defaults.pop("run", None)
        values = written.get(chapter, {})
        for parameter, value in values.items():
            if parameter not in defaults:
                known = ", ".join(defaults)
                raise ReportError(f"{chapter} has no parameter {parameter!r}; it has {known}")
            _check_value(f"{chapter}.{parameter}", value, defaults[parameter])
        parameters[chapter] = {**defaults, **values}
    return Profile(name, tuple(sets), notebooks, parameters, limits, gates)


def _read_yaml(text: str, where: str) -> object:
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ReportError(f"{where}: it cannot be read as YAML: {reason}") from error


def _mapping(value: object, where: str) -> dict:
    """A copy of `value`, which must be a dict; nothing written counts as an empty one."""
    if value is not None and not isinstance(value, dict):
        raise ReportError(f"{where} holds {value!r:.60}; lines such as `name: value` are needed")
    return dict(value or {})


def _check_value(name: str, value: object, default: object) -> None:
    """The kind of the default, finite, and not below zero where the default is not."""
    given, wanted = type(value).__name__, type(default).__name__
    problem = ""
    if given != wanted and (given, wanted) != ("int", "float"):
        problem = f"{given} given, {wanted} needed"
    elif given == "float" and not math.isfinite(value):
        problem = "a finite number is needed"
    elif given in ("int", "float") and value < 0 <= default:
        problem = "it cannot be below 0"
    if problem:
        raise ReportError(f"{name} = {value!r}: {problem} (default {default!r})")
