"""Intervals by resampling, and the section `test` of metrics.json."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import precision_recall_fscore_support

from gpt2news.evaluate import probabilities_of, wilson
from gpt2news.finetune import Classifier


def bootstrap(
    score: Callable[[np.ndarray], float], n: int, draws: int = 2000, seed: int = 0
) -> dict[str, float]:
    """`score(rows)` on all n rows with its 95 % percentile interval: Efron and Tibshirani, 1993."""
    rows = np.arange(n)
    value = float(score(rows))
    if n < 2:  # scipy refuses to resample one row; its interval would be a point
        return {"value": value, "low": value, "high": value}
    drawn = stats.bootstrap(
        (rows,), score, n_resamples=draws, vectorized=False, method="percentile", rng=seed
    )
    low, high = drawn.confidence_interval
    return {"value": value, "low": float(low), "high": float(high)}


def log_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of minus the logarithm of the probability of the right topic, in nats."""
    given = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(given, 1e-15, 1)).mean())


def calibration_error(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over ten bins.

    The bins are equally wide and weighted by their texts: Guo et al., 2017.
    """
    confidence = probabilities.max(axis=1)
    excess = confidence - (probabilities.argmax(axis=1) == truth)
    bin_of = np.minimum((confidence * 10).astype(int), 9)
    return float(np.abs(np.bincount(bin_of, excess)).sum() / len(truth))


def choose_threshold(truth: np.ndarray, probabilities: np.ndarray, target: float) -> float:
    """The lowest confidence at or above which at least `target` of these answers are right.

    On validation. 0.0 answers all. If no threshold will do: just above the surest mistake.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    if right.mean() >= target:
        return 0.0
    order = np.argsort(-confidence)
    ranked = confidence[order]
    share_right = right[order].cumsum() / np.arange(1, len(order) + 1)
    # A threshold takes all texts of one confidence or none of them.
    last_of_tie = np.append(ranked[1:] < ranked[:-1], True)
    enough = np.flatnonzero((share_right >= target) & last_of_tie)
    if len(enough):
        return float(ranked[enough[-1]])
    return float(np.nextafter(confidence[~right].max(), 2))


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature with the lowest log loss on these rows (validation, never test).

    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    rows = np.arange(len(truth))

    # The logarithm keeps the temperature above 0 and makes 1/2 and 2 equally far from 1.
    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, truth].mean()

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def calibrate(model: Classifier, val: pd.DataFrame, target: float) -> dict:
    """What calibration.json holds of the validation texts: temperature and threshold."""
    truth = np.array([model.topics.index(topic) for topic in val["topic"]])
    logits = model.logits(val["text"].tolist())
    temperature = fit_temperature(logits, truth)
    threshold = choose_threshold(truth, probabilities_of(logits, temperature), target)
    return {"temperature": temperature, "threshold": threshold, "fitted_on": "val"}


def scores(truth: np.ndarray, probabilities: np.ndarray, topics: list[str]) -> dict:
    """The `test` section of metrics.json, of (n,) positions in `topics` and (n, topics).

    `accuracy` has a Wilson interval, `macro_f1` and `log_loss` (nats) one by bootstrap; `majority`
    is the share of the largest topic.
    """
    n, guess, labels = len(truth), probabilities.argmax(axis=1), np.arange(len(topics))

    # As sklearn's f1_score with average="macro", which would take seconds for 2,000 draws.
    def macro_f1(rows: np.ndarray) -> float:
        t, g = truth[rows], guess[rows]
        hits, asked, given = (np.bincount(x, minlength=len(topics)) for x in (t[t == g], t, g))
        return np.mean(2 * hits / np.maximum(asked + given, 1))

    loss = bootstrap(lambda rows: log_loss(truth[rows], probabilities[rows]), n)
    per_topic = precision_recall_fscore_support(truth, guess, labels=labels, zero_division=0)
    return {
        "n": n,
        "accuracy": wilson((guess == truth).sum(), n),
        "macro_f1": bootstrap(macro_f1, n),
        "log_loss": loss["value"],
        "log_loss_interval": loss,
        "ece": calibration_error(truth, probabilities),
        "majority": float(np.bincount(truth).max() / n),
        "per_topic": {
            topic: {"precision": float(p), "recall": float(r), "f1": float(f), "n": int(k)}
            for topic, p, r, f, k in zip(topics, *per_topic, strict=True)
        },
    }
