"""The exercises of the notebooks: `check(name, answer)` says right, or not yet and why.

What is expected is computed from the notebook's own variables and the run's files, so it holds for
every corpus and profile. A chapter's exercises are in the module of its name.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

import numpy as np
from IPython import get_ipython

CHAPTERS = {"01": "explore", "02": "split", "03": "finetune", "04": "evaluate", "05": "deploy"}
WANTED = {
    float: "a number",
    str: "a text in quotes",
    bool: "True or False",
    callable: "a function, by its name and without brackets,",
}
MARKS = {None: "*No answer yet.*", True: "**Right.**", False: "**Not yet.**"}


@dataclass(frozen=True)
class Verdict:
    """What a check says; a notebook shows it as a line of Markdown. `right` is None: no answer."""

    right: bool | None
    text: str

    def _repr_markdown_(self) -> str:
        return f"{MARKS[self.right]} {self.text}"


class NotRunError(LookupError):
    """An exercise needs a variable of the notebook that is not there."""


class AnswerError(Exception):
    """The learner's function cannot be judged; the message says why."""


class _Given(dict):
    def __missing__(self, name: str):
        raise NotRunError(name)


# name -> (kind of answer, function of the answer and the notebook's variables that returns whether
# it is right, and why)
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
    wanted = WANTED[kind]
    if answer is None:
        return Verdict(None, f"Put {wanted} in the place of `None` and run the cell again.")
    if not _fits(answer, kind):
        shown = f"{type(answer).__name__} `{str(answer)[:40]}`"
        return Verdict(False, f"{wanted.capitalize()} is wanted here, and this is {shown}.")
    variables = get_ipython().user_ns if given is None else given
    try:
        return Verdict(*judge(answer, _Given(variables)))
    except NotRunError as missing:
        return Verdict(
            None, f"`{missing}` is not there yet: run the cells above first, then this one again."
        )
    except AnswerError as error:
        return Verdict(False, str(error))


def _fits(answer: object, kind: type) -> bool:
    if kind is callable:
        return callable(answer)
    if kind is bool:
        return isinstance(answer, (bool, np.bool_))
    if kind is str:
        return isinstance(answer, str)
    # bool is an int for Python, and no number for a learner.
    if isinstance(answer, bool) or not isinstance(answer, Real):
        return False
    try:
        return math.isfinite(float(answer))
    except OverflowError:  # a whole number of more than 308 digits
        return False


def call(function: Callable, *arguments: object) -> object:
    """What a learner's function returns.

    Raises:
        AnswerError: it raised an error, or returned nothing.
    """
    name = getattr(function, "__name__", "the function")
    try:
        result = function(*arguments)
    except Exception as error:  # whatever it is, the learner is told
        raise AnswerError(f"`{name}` stops with {type(error).__name__}: {error}") from error
    if result is None or result is ...:
        raise AnswerError(f"`{name}` returns nothing. Is the last line a `return`?")
    return result


def call_number(function: Callable, *arguments: object) -> float:
    """`call` of a function that should return a number.

    Raises:
        AnswerError: also where it returns something else.
    """
    result = call(function, *arguments)
    if not _fits(result, float):
        shown = f"{type(result).__name__} `{str(result)[:40]}`"
        raise AnswerError(f"`{function.__name__}` returns {shown}; a number is wanted.")
    return float(result)


def near(answer: float, expected: float, within: float = 0.01) -> bool:
    """Equal but for rounding: within a share of `expected`, or half a unit of the third decimal."""
    return abs(answer - expected) <= max(within * abs(expected), 5e-4)


def rounded(answer: float, expected: float) -> bool:
    """Is `answer` what `expected` is when rounded to as many decimals: 0.2 for 0.2022?

    One decimal at least, and not all of them zero: 0 and 1 are no rounding of a share.
    """
    decimals = -Decimal(repr(float(answer))).normalize().as_tuple().exponent
    return decimals >= 1 and abs(answer - expected) <= 0.5 * 10.0**-decimals + 1e-12


def _slip(answer: float, slips: tuple[tuple[float, str], ...]) -> str | None:
    return next((why for value, why in slips if near(answer, value)), None)


def share(
    answer: float, expected: float, right: str, *slips: tuple[float, str], otherwise: str
) -> tuple[bool, str]:
    """Judge a share between 0 and 1; `slips`: wrong values with the reasoning that leads there."""
    if near(answer, expected):
        return True, right
    if not 0 <= answer <= 1:
        percent = " It looks like per cent: divide by 100." if near(answer, 100 * expected) else ""
        return False, f"A share lies between 0 and 1, and this is {float(answer):g}.{percent}"
    # A known slip before the rounding: 0.1 for 0.13 may be either.
    if (why := _slip(answer, slips)) is not None:
        return False, why
    return (True, right) if rounded(answer, expected) else (False, otherwise)


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
    if exact:
        return False, next((why for value, why in slips if answer == value), otherwise)
    if (why := _slip(answer, slips)) is not None:
        return False, why
    return (True, right) if rounded(answer, expected) else (False, otherwise)
