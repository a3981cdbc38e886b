"""The exercises of the notebooks: `check(name, answer)` says right, or not yet and why.

What is expected is computed from the notebook's own variables and the run's files, so it holds for every corpus and profile.
A chapter's exercises stand in the module of its name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from IPython import get_ipython

CHAPTERS = {"01": "explore", "02": "split", "03": "finetune", "04": "evaluate", "05": "deploy"}
WANTED = {float: "a number", str: "a text in quotes", bool: "True or False"}


@dataclass(frozen=True)
class Verdict:
    """What a check says; a notebook shows it as a line of Markdown. `right` is None while there is no answer."""

    right: bool | None
    text: str

    def _repr_markdown_(self) -> str:
        return {None: "*No answer yet.*", True: "**Right.**", False: "**Not yet.**"}[
            self.right
        ] + f" {self.text}"


class NotRunError(LookupError):
    """An exercise needs a variable of the notebook that is not there."""


class _Given(dict):
    def __missing__(self, name: str):
        raise NotRunError(name)


# name -> (kind of answer, function of the answer and the notebook's variables that returns whether it is right, and why)
EXERCISES: dict[str, tuple[type, Callable[[object, dict], tuple[bool, str]]]] = {}


def exercise(name: str, kind: type):
    """Decorator: `name` is the chapter's number, a point, and a word; `kind` one of `WANTED`."""

    def add(function: Callable) -> Callable:
        EXERCISES[name] = (kind, function)
        return function

    return add


def check(name: str, answer: object, given: dict | None = None) -> Verdict:
    """Is `answer` right for the exercise `name`, and if not, what may have gone wrong?

    Args:
        name: as in the notebook, such as `01.balance`.
        answer: None while there is none.
        given: the notebook's variables; found by themselves in a notebook.

    Raises:
        KeyError: no such exercise; the message lists them.
    """
    if (chapter := CHAPTERS.get(name[:2])) is not None:
        importlib.import_module(f"exercises.{chapter}")
    if name not in EXERCISES:
        raise KeyError(f"no exercise {name!r}; there are {', '.join(EXERCISES)}")
    kind, judge = EXERCISES[name]
    if answer is None:
        return Verdict(None, f"Put {WANTED[kind]} in the place of `None` and run the cell again.")
    fits = (
        isinstance(answer, (bool, np.bool_))
        if kind is bool
        else isinstance(answer, (str if kind is str else (int, float, np.number)))
    )
    if not fits or (kind is float and (isinstance(answer, bool) or not np.isfinite(answer))):
        return Verdict(
            False,
            f"{WANTED[kind].capitalize()} is wanted here, and this is {type(answer).__name__} `{str(answer)[:40]}`.",
        )
    try:
        return Verdict(*judge(answer, _Given(get_ipython().user_ns if given is None else given)))
    except NotRunError as missing:
        return Verdict(
            None, f"`{missing}` is not there yet: run the cells above first, then this one again."
        )


def near(answer: float, expected: float, within: float = 0.01) -> bool:
    """Equal but for rounding: within a share of the expected value, or half a unit of the third decimal."""
    return abs(answer - expected) <= max(within * abs(expected), 5e-4)


def share(
    answer: float, expected: float, right: str, *slips: tuple[float, str], otherwise: str
) -> tuple[bool, str]:
    """Judge a share between 0 and 1; `slips` are wrong values with the reasoning that leads to each."""
    if near(answer, expected):
        return True, right
    if not 0 <= answer <= 1:
        percent = " It looks like per cent: divide by 100." if near(answer, 100 * expected) else ""
        return False, f"A share lies between 0 and 1, and this is {answer:g}.{percent}"
    return False, next((why for value, why in slips if near(answer, value)), otherwise)


def number(
    answer: float,
    expected: float,
    right: str,
    *slips: tuple[float, str],
    otherwise: str,
    exact: bool = False,
) -> tuple[bool, str]:
    """Judge a number; `slips` as in `share`. `exact`: rounding is not forgiven, as for a count."""
    if answer == expected or (not exact and near(answer, expected)):
        return True, right
    return False, next(
        (why for value, why in slips if (answer == value if exact else near(answer, value))),
        otherwise,
    )
