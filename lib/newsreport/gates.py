"""Gates: what a run must keep to, such as `test.accuracy.low >= 0.93`; read, never evaluated."""

from __future__ import annotations

import math
import operator
import re
from pathlib import Path

import yaml

OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(r"\s*([\w.\- /]+?)\s*(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*")

# Chapter -> what it records: the keys of its sections of metrics.json.
SECTIONS = yaml.safe_load(Path(__file__).with_name("metrics.yaml").read_text(encoding="utf-8"))


class ReportError(ValueError):
    """A wrong profile, parameter, gate or name, or a run that is going on; it says the way out."""


def parse_gate(line: object) -> tuple[str, str, float]:
    """`path operator number` in its three parts.

    Raises:
        ReportError: it is written otherwise.
    """
    match = FORM.fullmatch(line) if isinstance(line, str) else None
    if not match:
        form = "path operator number, say test.accuracy.low >= 0.9"
        raise ReportError(f"gate {line!r}: write it as {form} ({' '.join(OPERATORS)})")
    return match[1], match[2], float(match[3])


def look_up(path: str, metrics: dict) -> float | None:
    """The number at a `path` such as `test.accuracy.low`; None where `metrics` has None on the way.

    Raises:
        ReportError: there is no such number; the message lists what there is.
    """
    node, walked = metrics, []
    for key in path.split("."):
        if node is None:
            return None
        names = list(node) if isinstance(node, dict) else []
        if key not in names:
            inside = f" in {'.'.join(walked)}" if walked else ""
            there = ", ".join(names) or "no parts"
            raise ReportError(f"metrics.json has no {key!r}{inside}; it has {there}")
        node = node[key]
        walked.append(key)
    is_number = type(node) in (int, float) and not math.isnan(node)
    if node is not None and not is_number:
        parts = f"; it has {', '.join(node)}" if isinstance(node, dict) else ""
        raise ReportError(f"{path} is not a number{parts}")
    return node


def check_names(gates: list) -> None:
    """Refuse gates that cannot be read, or name what no chapter records, before anything runs.

    Raises:
        ReportError: the first such gate, and why.
    """
    known = {"profile": ""}
    for sections in SECTIONS.values():
        known |= sections
    for line in gates:
        path = parse_gate(line)[0]
        try:
            look_up(path, known)
        except ReportError as error:
            raise ReportError(f"gate {line!r}: {error}") from None


def check(gates: list[str], metrics: dict) -> list[dict]:
    """Each gate against what a run recorded: `gate`, `value`, `passed`, `why`.

    What is not there, or is not a number, does not pass; `why` says so, and is empty otherwise.
    """
    results = []
    for line in gates:
        path, sign, bound = parse_gate(line)
        value, why = None, ""
        try:
            value = look_up(path, metrics)
        except ReportError as error:
            why = str(error)
        passed = value is not None and OPERATORS[sign](value, bound)
        gate = f"{path} {sign} {bound:g}"
        results.append({"gate": gate, "value": value, "passed": bool(passed), "why": why})
    return results
