"""Exercises of chapter 04."""

import numpy as np
from scipy.stats import binomtest

from exercises import check, exercise, share


@exercise("04.interval", float)
def _interval(answer, given):
    if abs(answer - 10**0.5) < 0.15:
        return (
            True,
            "By the square root of ten, about 3.2. Precision is bought with labels, and the price rises with its square.",
        )
    hints = {
        10.0: "Ten times the texts, but the width goes with the *root* of their number.",
        round(10**-0.5, 1): "The other way up.",
    }
    return False, hints.get(
        round(answer, 1),
        "Compare `evaluate.wilson(k, n)` with `evaluate.wilson(10 * k, 10 * n)`: high minus low.",
    )


@exercise("04.temperature", float)
def _temperature(answer, given):
    logits = np.array([3.0, 1.0, 0.0])

    def first(scores):
        return float(np.exp(scores[0]) / np.exp(scores).sum())

    return share(
        answer, first(logits / 2),
        f"{first(logits / 2):.3f}, down from {first(logits):.3f}: less sure, and still the same answer.",
        (first(logits), "That is at temperature 1. Divide the scores by 2 before the exponential."),
        (first(logits * 2), "You multiplied. A temperature over 1 *divides* the scores and makes the model less sure."),
        (first(logits) / 2, "The scores are divided, not the probability; the three must still add up to one."),
        otherwise="Divide 3, 1 and 0 by the temperature, take exponentials, divide the first by the sum.",
    )  # fmt: skip


@exercise("04.mcnemar", float)
def _mcnemar(answer, given):
    p = binomtest(3, 12).pvalue
    return share(
        answer, p,
        f"p = {p:.3f}: between equals, so uneven a division of 12 texts comes in one test of {1 / p:.0f}. Too often to call a winner.",
        (binomtest(3, 12, alternative="less").pvalue, "That is one side. Nine to three the other way would have surprised us as much."),
        (3 / 12, "That is the model's share of the 12 texts. How likely is a share so far from one half, between equals?"),
        otherwise="`scipy.stats.binomtest(3, 12).pvalue`: twelve coins, three heads. Texts that both got right or wrong do not count.",
    )  # fmt: skip


@exercise("04.answered", float)
def _answered(answer, given):
    sure = given["probabilities"].max(axis=1) >= 0.9
    right = given["model_right"][sure].mean() if sure.any() else -1.0
    return share(
        answer, sure.mean(),
        f"{sure.sum()} of {len(sure)} are answered" + (f", and {right:.1%} of those answers are right." if sure.any() else "."),
        (1 - sure.mean(), "That is the share it is *not* sure of."),
        (right, "That is how often the answers are right. How many of the texts get one?"),
        otherwise="The largest probability of each text, `probabilities.max(axis=1)`, against 0.9; the mean of True and False is a share.",
    )  # fmt: skip


@exercise("04.sentence", str)
def _sentence(answer, given):
    hints = {
        "a": "A higher point is not enough: the intervals overlap, and the texts on which only one is right could fall so by chance.",
        "b": "No proof of a difference is not a proof of equality: a small test cannot see a small difference.",
    }
    if answer.lower() == "c":
        return True, "A test of this size cannot tell. More test texts could, or several splits."
    return False, hints.get(answer.lower(), 'One of "a", "b" and "c" is wanted.')
