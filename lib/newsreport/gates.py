"""Gates: what a run must keep to, such as `test.accuracy.low >= 0.93`. Read strictly, never evaluated as code."""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass
from pathlib import Path

SCHEMA = json.loads(Path(__file__).with_name("metrics.schema.json").read_text(encoding="utf-8"))
OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(r"\s*([\w.\- /]+?)\s*(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*")


class GateError(ValueError):
    """A gate that cannot be read, or names something that metrics.json does not have."""


@dataclass(frozen=True)
class Gate:
    """One condition on a number of metrics.json."""

    path: str
    operator: str
    bound: float

    def __str__(self) -> str:
        return f"{self.path} {self.operator} {self.bound:g}"


def parse(expression: object) -> Gate:
    """`path operator number` as a `Gate`; the path is looked up in the schema of metrics.json.

    Raises:
        GateError: another form, or no such number; the message lists what there is.
    """
    match = FORM.fullmatch(expression) if isinstance(expression, str) else None
    if not match:
        raise GateError(
            f"gate {expression!r}: write it as path operator number, say test.accuracy.low >= 0.9 ({' '.join(OPERATORS)})"
        )
    node, walked = SCHEMA, []
    for key in match[1].split("."):
        node = _resolved(node)
        names = node.get("properties", {})
        if key not in names and not isinstance(node.get("additionalProperties"), dict):
            where = f" in {'.'.join(walked)}" if walked else ""
            raise GateError(
                f"gate {expression!r}: metrics.json has no {key!r}{where}; it has {', '.join(names) or 'no parts'}"
            )
        node = names.get(key) or node["additionalProperties"]
        walked.append(key)
    node = _resolved(node)
    if not {"number", "integer"} & set(
        node["type"] if isinstance(node.get("type"), list) else [node.get("type")]
    ):
        inside = ", ".join(node.get("properties", {}))
        raise GateError(
            f"gate {expression!r}: {match[1]} is not a number"
            + (f"; it has {inside}" if inside else "")
        )
    return Gate(match[1], match[2], float(match[3]))


def _resolved(node: dict) -> dict:
    """The schema that a part points to; of several that it may be, the one that is not null."""
    while "$ref" in node or "anyOf" in node:
        node = (
            SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
            if "$ref" in node
            else next(n for n in node["anyOf"] if n != {"type": "null"})
        )
    return node


def check(gates: list[str], metrics: dict) -> list[dict]:
    """Each gate with what the run has: `gate`, `value` (None: the run has no such number, which fails) and `passed`."""
    results = []
    for gate in map(parse, gates):
        value: object = metrics
        for key in gate.path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        passed = value is not None and OPERATORS[gate.operator](value, gate.bound)
        results.append({"gate": str(gate), "value": value, "passed": bool(passed)})
    return results
