"""Exercises of chapter 04."""

import numpy as np
from scipy.stats import binomtest

from exercises import AnswerError, call, check, exercise, near  # noqa: F401 (the notebook's `check`)
from scores import evaluate as scoring


@exercise("04.interval", float)
def _interval(answer, given):
    if abs(answer - 10**0.5) < 0.15:
        return True, (
            "By the square root of ten, about 3.2. Precision is bought with labels, and the price "
            "rises with its square."
        )
    hints = {
        10.0: "Ten times the texts, but the width goes with the *root* of their number.",
        round(10**-0.5, 1): "The other way up.",
    }
    compare = "Compare `evaluate.wilson(k, n)` with `evaluate.wilson(10 * k, 10 * n)`: "
    return False, hints.get(round(float(answer), 1), compare + "high minus low.")


def _number(function, *arguments) -> float:
    """What a learner's function returns, as a number.

    Raises:
        AnswerError: it is none.
    """
    result = call(function, *arguments)
    try:
        return float(result)
    except (TypeError, ValueError):
        shown = f"{type(result).__name__} `{str(result)[:40]}`"
        raise AnswerError(f"`{function.__name__}` returns {shown}; a number is wanted.") from None


def _answers(only_model: int, only_rival: int, both: int = 80, neither: int = 5):
    """Two arrays of True and False with so many texts of each kind."""
    counts = (only_model, only_rival, both, neither)
    model = np.repeat([True, False, True, False], counts)
    rival = np.repeat([False, True, True, False], counts)
    return model, rival


@exercise("04.mcnemar", callable)
def _mcnemar(answer, given):
    if not near(_number(answer, *_answers(0, 0)), 1.0):
        return False, (
            "When the two never differ there is nothing to test: return 1.0 for "
            "`only_model + only_rival == 0`."
        )
    for only_model, only_rival in ((3, 9), (9, 3), (12, 2), (4, 5)):
        differ = only_model + only_rival
        p = binomtest(only_model, differ).pvalue
        said = _number(answer, *_answers(only_model, only_rival))
        if near(said, p):
            continue
        case = f"With {only_model} texts for the model and {only_rival} for the rival it returns "
        case += f"{said:.3f}, and {p:.3f} is right. "
        sides = [binomtest(only_model, differ, alternative=s).pvalue for s in ("less", "greater")]
        if any(near(said, side) for side in sides):
            return False, case + "That is one side: the other way round would surprise as much."
        if near(said, binomtest(only_model, differ + 85).pvalue):
            return False, case + "Texts that both got right, or both wrong, do not count."
        if near(said, only_model / differ):
            return False, case + "That is the model's share. How likely is it between equals?"
        return False, case + "`binomtest(k, n).pvalue`: n coins, one a text on which they differ."
    p = binomtest(3, 12).pvalue
    return True, (
        f"For 3 and 9, say, p = {p:.3f}: between equals, so uneven a division of 12 texts comes in "
        f"one test of {1 / p:.0f}. Too often to call a winner."
    )


@exercise("04.calibration", float)
def _calibration(answer, given):
    logits, temperature = given["logits"]["val"], given["temperature"]
    expected = scoring.fit_temperature(5 * logits, given["truth"]["val"])
    if near(answer, expected, within=0.02):
        if near(expected, 5 * temperature, within=0.02):
            why = f"5 × {temperature:.2f}: the temperature divides the factor away again."
        else:  # a model that has learnt next to nothing: both searches end at the largest value
            why = f"{expected:.2f} is where the search ends: such logits cannot be soft enough."
        return True, (
            f"{why} Accuracy would not have noticed, since no answer changed; "
            "only the log loss did."
        )
    if near(answer, temperature, within=0.02):
        return False, "That fits the logits as they were. Multiply them by 5 first."
    if near(answer, temperature / 5, within=0.02):
        return False, "The other way up: logits that are too large are *divided* by more."
    if near(answer, 25 * temperature, within=0.02):
        return False, "By 25? Run the cell that makes `logits` once more, and multiply once."
    made = f'`scoring.fit_temperature` of `5 * logits["val"]` ({len(logits)} texts) and '
    return False, made + '`truth["val"]`.'


def _lowest(confidence, right, target) -> float:
    enough = [c for c in np.unique(confidence) if right[confidence >= c].mean() >= target]
    return min(enough, default=np.inf)


@exercise("04.threshold", callable)
def _threshold(answer, given):
    cases = [  # confidence, right, target; the last three have a trap each
        (given["confidence"], given["right"], 0.95),
        ([0.6, 0.9, 0.7, 0.8], [False, True, True, True], 0.95),
        ([0.6, 0.9, 0.7, 0.8], [False, True, True, False], 0.66),
        ([0.9, 0.8, 0.8, 0.6], [True, True, False, False], 0.95),
        ([0.9, 0.8, 0.7], [True, True, True], 0.95),
    ]
    for confidence, right, target in cases:
        confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
        expected = _lowest(confidence, right, target)
        said = _number(answer, confidence, right, target)
        # Any value down to the next lower confidence answers the same texts.
        same = np.array_equal(confidence >= said, confidence >= expected)
        if same:
            continue
        answered = confidence >= said
        case = f"With confidence {confidence[:4].tolist()} and right {right[:4].tolist()}"
        case += " …" if len(confidence) > 4 else ""
        case += f", target {target:g}, it returns {said:g}"
        if answered.any() and right[answered].mean() < target:
            share_right = right[answered].mean()
            return False, f"{case}: only {share_right:.0%} of the answers at or above it are right."
        if not answered.any():
            return False, f"{case}: then nothing is answered, and {expected:g} would do."
        return False, (
            f"{case}: that will do, but {expected:g} is lower and will do as well. Do not stop at "
            "the first mistake: surer answers may make up for it."
        )
    confidence, right = given["confidence"], given["right"]
    kept = np.asarray(confidence) >= _lowest(np.asarray(confidence), np.asarray(right), 0.95)
    return True, (
        f"On this run's test and a target of 0.95 it would answer {kept.sum()} of {len(kept)} "
        "texts. The run's own threshold was chosen on validation, where looking is allowed."
    )


@exercise("04.sentence", str)
def _sentence(answer, given):
    hints = {
        "a": "A higher point is not enough: the intervals overlap, and the texts on which only one "
        "is right could fall so by chance.",
        "b": "No proof of a difference is not a proof of equality: a small test cannot see a small "
        "difference.",
    }
    if answer.strip().lower() == "c":
        return True, "A test of this size cannot tell. More test texts could, or several splits."
    return False, hints.get(answer.strip().lower(), 'One of "a", "b" and "c" is wanted.')
