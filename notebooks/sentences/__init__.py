"""What the chapters say of their results: functions of numbers that return Markdown.

Each sentence holds for the numbers that it is given, or is not said. They are here and not in the
cells because a learner need not read the conditions. A chapter's sentences are in the module of
its name.
"""

SEE = "*What to notice:* "


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 text`, `2 texts`, `no texts`."""
    plural = plural or f"{noun}s"
    return f"{n:,} {noun if n == 1 else plural}" if n else f"no {plural}"


def percent(share: float) -> str:
    """`12.3%`; what is not all is never 100.0%, and what is not nothing is never 0.0%."""
    if 0.9995 <= share < 1:
        return "over 99.9%"
    if 0 < share < 0.0005:
        return "under 0.1%"
    return f"{share:.1%}" if 0 < share < 1 else f"{share:.0%}"


def listed(names: list[str], shown: int = 6) -> str:
    """`a`, `a and b`, `a, b and c`; from `shown` on the rest is counted."""
    names = list(names)
    if len(names) > shown:
        names = [*names[: shown - 1], f"{len(names) - shown + 1} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
