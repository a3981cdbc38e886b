"""Profiles: which value goes into which notebook."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import yaml

from gpt2news.run import CHAPTERS, ROOT, atomic, parameters_of
from newsreport.gates import ReportError, check_names

NOTEBOOKS = ROOT / "notebooks"
TEMPLATES = Path(__file__).parent / "templates"
BACKBONE = "models/gpt2-mini"  # of a new profile
LENGTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class Profile:
    """A profile, checked.

    Attributes:
        name: of its file in `notebooks/profiles`.
        sets: the overrides of the command line, as they were written.
        notebooks: the folder of the notebooks it is for.
        parameters: chapter -> all parameters but `run`: the profile's values over the defaults.
        time_limits: chapter -> seconds, for those that have one.
        gates: lines such as `test.accuracy.low >= 0.9`.
    """

    name: str
    sets: tuple[str, ...]
    notebooks: Path
    parameters: dict[str, dict]
    time_limits: dict[str, float]
    gates: list[str]


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


def _read_yaml(text: str, where: str) -> object:
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ReportError(f"{where}: it cannot be read as YAML: {reason}") from error


def _mapping(value: object, where: str, example: str) -> dict:
    """`value` as a dict; nothing written counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ReportError(f"{where} holds {value!r:.60}; lines such as `{example}` are needed")
    return value


def load_profile(name: str, sets: tuple[str, ...] = (), notebooks: Path = NOTEBOOKS) -> Profile:
    """Read a profile and hold it against the notebooks.

    Args:
        name: of a YAML file in `notebooks/profiles`, without .yaml.
        sets: overrides such as `03_finetune.epochs=1`.
        notebooks: their folder.

    Raises:
        ReportError: an unknown profile, chapter or parameter, a wrong value, or a gate that cannot
            be read; the message lists what is valid.
    """
    files = {path.stem: path for path in (notebooks / "profiles").glob("*.yaml")}
    if name not in files:
        raise ReportError(f"no profile {name!r}; there are {', '.join(sorted(files))}")
    where = f"profile {name}"
    content = _read_yaml(files[name].read_text(encoding="utf-8"), files[name].name)
    content = dict(_mapping(content, where, "03_finetune: {epochs: 5}"))
    limits = _mapping(content.pop("time_limit", None), f"{where}: time_limit", "03_finetune: 900")
    gates = content.pop("gates", None) or []
    _check_chapters(limits, f"{where}: time_limit")
    _check_chapters(content, where)
    for chapter, limit in limits.items():
        if type(limit) not in (int, float) or not 0 < limit < math.inf:
            raise ReportError(f"{where}: time_limit of {chapter} is {limit!r}; seconds are needed")
    if not isinstance(gates, list):
        raise ReportError(f"{where}: gates is a list of lines such as `- test.accuracy.low >= 0.9`")
    try:
        check_names(gates)
    except ReportError as error:
        raise ReportError(f"{where}: {error}") from None
    written = {
        chapter: dict(_mapping(values, f"{where}: {chapter}", "epochs: 5"))
        for chapter, values in content.items()
    }
    for item in sets:
        chapter, parameter, value = _parse_set(item)
        written.setdefault(chapter, {})[parameter] = value
    _check_chapters(written, where)
    parameters = {}
    for chapter in CHAPTERS:
        values = written.get(chapter, {})
        parameters[chapter] = _over_defaults(notebooks / f"{chapter}.ipynb", values)
    return Profile(name, tuple(sets), notebooks, parameters, limits, gates)


def _over_defaults(notebook: Path, values: dict) -> dict:
    """All parameters of a notebook but `run`: `values`, checked, over its defaults."""
    defaults = parameters_of(notebook)
    defaults.pop("run", None)
    for parameter, value in values.items():
        if parameter not in defaults:
            known = ", ".join(defaults)
            raise ReportError(f"{notebook.stem} has no parameter {parameter!r}; it has {known}")
        _check_value(f"{notebook.stem}.{parameter}", value, defaults[parameter])
    return {**defaults, **values}


def _check_chapters(content: dict, where: str) -> None:
    for chapter in content:
        if chapter not in CHAPTERS:
            raise ReportError(f"{where}: no notebook {chapter!r}; there are {', '.join(CHAPTERS)}")


def _parse_set(item: str) -> tuple[str, str, object]:
    target, equals, value = item.partition("=")
    chapter, dot, parameter = target.partition(".")
    if not (equals and dot):
        example = "03_finetune.epochs=1"
        raise ReportError(f"--set {item}: write it as chapter.parameter=value, say {example}")
    return chapter, parameter, _read_yaml(value, f"--set {item}")


def _check_value(name: str, value: object, default: object) -> None:
    """The kind of the default, finite, and not below zero where the default is not."""
    given, wanted = type(value).__name__, type(default).__name__
    whole_for_real = (given, wanted) == ("int", "float")
    if given != wanted and not whole_for_real:
        raise ReportError(
            f"{name} = {value!r}: {given} given, {wanted} needed (default {default!r})"
        )
    if given == "float" and not math.isfinite(value):
        raise ReportError(f"{name} = {value!r}: a finite number is needed (default {default!r})")
    if given in ("int", "float") and value < 0 <= default:
        raise ReportError(f"{name} = {value!r}: it cannot be below 0 (default {default!r})")


def check_new(name: str, folder: Path) -> Path:
    """The file that a new profile of this name would be written to.

    Raises:
        ReportError: it cannot be a name, or there is such a profile.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        form = "letters, digits, - and _ make the name of a profile, such as mynews"
        raise ReportError(f"{name!r}: {form}")
    target = folder / f"{name}.yaml"
    if target.exists():
        way_out = "delete it, or choose another name"
        raise ReportError(f"{target.name} is there already and was not changed; {way_out}")
    return target


def new_profile(name: str, corpus, data: Path, text: str, label: str, folder: Path) -> Path:
    """Write a profile with settings that fit the size of a corpus; returns its path.

    Args:
        name: of the profile.
        corpus: a DataFrame with `text` and `topic`, as `gpt2news.explore.load_corpus` gives it.
        data: the file that it was read from.
        text, label: names of the columns in that file.
        folder: where profiles lie.

    Raises:
        ReportError: see `check_new`.
    """
    from jinja2 import Template
    from tokenizers import Tokenizer

    target = check_new(name, folder)
    tokenizer = Tokenizer.from_file(str(ROOT / BACKBONE / "tokenizer.json"))
    tokenizer.no_truncation()
    lengths = sorted(len(each.ids) for each in tokenizer.encode_batch(corpus["text"].tolist()))
    nine_of_ten = lengths[int(0.9 * (len(lengths) - 1))]
    template = Template((TEMPLATES / "profile.yaml.j2").read_text(encoding="utf-8"))
    content = template.render(
        name=name,
        file=data.name,
        data=str(data.relative_to(ROOT) if data.is_relative_to(ROOT) else data),
        text=text,
        label=label,
        rows=len(corpus),
        counts=corpus["topic"].value_counts().tolist(),
        backbone=BACKBONE,
        max_length=min((n for n in LENGTHS if n >= nine_of_ten), default=LENGTHS[-1]),
    )
    with atomic(target) as part:
        part.write_text(content + "\n", encoding="utf-8")
    return target
