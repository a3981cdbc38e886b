"""Confidence that means something: temperature, reliability, and when to answer "not sure"."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax


def reliability(truth: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """One row a bin of confidence that has texts: `n`, mean `confidence`, `accuracy`."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    frame = pd.DataFrame({"bin": bin_of, "confidence": confidence, "accuracy": right.astype(float)})
    return frame.groupby("bin").agg(
        n=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )


def calibration_error(truth: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over equal-width bins of confidence, weighted by size.

    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    table = reliability(truth, probabilities, bins)
    return float(
        (table["n"] * (table["confidence"] - table["accuracy"]).abs()).sum() / table["n"].sum()
    )


def probabilities_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(n, topics) softmax(logits / temperature) in double precision."""
    return softmax(logits.astype(np.float64) / temperature, axis=1)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that makes softmax(logits / temperature) likeliest on these rows (validation, never test): Guo et al., 2017."""
    rows = np.arange(len(truth))
    loss = lambda log_t: -log_softmax(logits / np.exp(log_t), axis=1)[rows, truth].mean()  # noqa: E731
    return float(
        np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x)
    )


def choose_threshold(truth: np.ndarray, probabilities: np.ndarray, target: float) -> float:
    """The lowest confidence such that answers at or above it are right in at least `target` of these rows (validation); 0.0 answers all.

    When no threshold reaches it: just above the confidence of the surest mistake.
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth)[np.argsort(-confidence)]
    ranked = np.sort(confidence)[::-1]
    last_of_tie = np.append(
        ranked[1:] < ranked[:-1], True
    )  # a threshold takes all texts of one confidence or none
    enough = np.flatnonzero(
        (np.cumsum(right) / np.arange(1, len(right) + 1) >= target) & last_of_tie
    )
    if len(enough) and enough[-1] == len(right) - 1:
        return 0.0
    return float(
        ranked[enough[-1]]
        if len(enough)
        else np.nextafter(confidence[probabilities.argmax(axis=1) != truth].max(), 2)
    )


def coverage(truth: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Rows from the surest text on: `coverage` (share answered so far), `accuracy` on those, `threshold`."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == truth)[order]
    n = np.arange(1, len(right) + 1)
    return pd.DataFrame(
        {
            "coverage": n / len(n),
            "accuracy": np.cumsum(right) / n,
            "threshold": probabilities.max(axis=1)[order],
        }
    )
