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


def check(gates: list[str], metrics: dict) -> list[dict]:
    """Each gate against what a run recorded: `gate`, `value`, `passed`, `why`.

    What is not there, or is not a number, does not pass; `why` says so, and is empty otherwise.
    """
    results = []
    for line in gates:
        match = FORM.fullmatch(line) if isinstance(line, str) else None
        if not match:
            form = "path operator number, say test.accuracy.low >= 0.9"
            raise ReportError(f"gate {line!r}: write it as {form}")
        path, sign, bound = match[1], match[2], float(match[3])
        value, why = _look_up(path, metrics)
        passed = value is not None and OPERATORS[sign](value, bound)
        gate = f"{path} {sign} {bound:g}"
        results.append({"gate": gate, "value": value, "passed": passed, "why": why})
    return results


def check_names(gates: list) -> None:
    """Refuse gates that name what no chapter records, before anything runs.

    Raises:
        ReportError: such a gate, or one that cannot be read; it says why.
    """
    if not isinstance(gates, list):
        raise ReportError("gates is a list of lines such as `- test.accuracy.low >= 0.9`")
    known = {"profile": ""}
    for sections in SECTIONS.values():
        known |= sections
    for result in check(gates, known):
        if result["why"]:
            raise ReportError(f"gate {result['gate']!r}: {result['why']}")


def _look_up(path: str, metrics: dict) -> tuple[float | None, str]:
    """The number at a path such as `test.accuracy.low`, and why there is none.

    Where `metrics` has None on the way, the value is not known, and no reason is given.
    """
    node = metrics
    for key in path.split("."):
        if node is None:
            return None, ""
        if not isinstance(node, dict) or key not in node:
            there = ", ".join(node) if isinstance(node, dict) else "no parts"
            return None, f"metrics.json has no {path!r}: instead of {key!r} it has {there}"
        node = node[key]
    if node is None or (type(node) in (int, float) and not math.isnan(node)):
        return node, ""
    parts = f"; it has {', '.join(node)}" if isinstance(node, dict) else ""
    return None, f"{path} is not a number{parts}"
