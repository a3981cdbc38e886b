"""Scores with their intervals, the simple rival, and the test that says whether one of the two is ahead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from gpt2news.evaluate.calibration import calibration_error

BASELINE = "TF-IDF + linear SVM"


def wilson(right: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval, `{"value", "low", "high"}`: Wilson, JASA 22, 1927 (scipy)."""
    low, high = binomtest(int(right), int(n)).proportion_ci(0.95, method="wilson")
    return {"value": float(right / n), "low": float(low), "high": float(high)}


def bootstrap(
    score: Callable[[np.ndarray], float], n: int, draws: int = 2000, seed: int = 0
) -> dict[str, float]:
    """`score(rows)` on all n rows with its 95 % percentile interval over resampled rows: Efron and Tibshirani, 1993."""
    random = np.random.default_rng(seed)
    values = [score(random.integers(n, size=n)) for _ in range(draws)]
    low, high = np.percentile(values, [2.5, 97.5])
    return {"value": float(score(np.arange(n))), "low": float(low), "high": float(high)}


def scores(truth: np.ndarray, probabilities: np.ndarray, topics: list[str]) -> dict:
    """The `test` section of metrics.json.

    Args:
        truth: (n,) positions in `topics`.
        probabilities: (n, topics).

    Returns:
        `accuracy` (Wilson) and `macro_f1` (bootstrap) with intervals, `log_loss` (nats), `ece`, `n`, and
        `per_topic` (precision, recall, f1, n).
    """
    n, guess, labels = len(truth), probabilities.argmax(axis=1), np.arange(len(topics))
    macro = lambda rows: f1_score(
        truth[rows], guess[rows], labels=labels, average="macro", zero_division=0
    )  # noqa: E731
    per_topic = precision_recall_fscore_support(truth, guess, labels=labels, zero_division=0)
    return {
        "n": n,
        "accuracy": wilson((guess == truth).sum(), n),
        "macro_f1": bootstrap(macro, n),
        "log_loss": float(log_loss(truth, probabilities.astype(np.float64), labels=labels)),
        "ece": calibration_error(truth, probabilities),
        "per_topic": {
            topic: {"precision": float(p), "recall": float(r), "f1": float(f), "n": int(k)}
            for topic, p, r, f, k in zip(topics, *per_topic, strict=True)
        },
    }


def baseline(texts: list[str], topics: list[str]) -> Pipeline:
    """The simple rival, fitted: TF-IDF of words and word pairs, linear support vector machine."""
    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2, strip_accents="unicode"
    )
    return make_pipeline(words, LinearSVC(random_state=0)).fit(texts, topics)


def mcnemar_p(model_right: np.ndarray, rival_right: np.ndarray) -> float:
    """Exact McNemar test on the same rows (Psychometrika 12, 1947): the chance of a split at least this uneven among the rows
    where just one of the two is right, if they were equally good. 1.0 when they never differ.
    """
    only_model = int((model_right & ~rival_right).sum())
    only_rival = int((~model_right & rival_right).sum())
    return (
        float(binomtest(only_model, only_model + only_rival).pvalue)
        if only_model + only_rival
        else 1.0
    )


def verdict(model: float, rival: float, p: float, n: int, name: str = BASELINE) -> str:
    """One sentence that says which of the two is ahead, as far as n texts can tell."""
    if p >= 0.05:
        leaning = (
            "equal on this test set"
            if model == rival
            else f"{'ahead' if model > rival else 'behind'} by {abs(model - rival) * 100:.1f} points here"
        )
        return f"The fine-tuned model and {name} show no difference that n = {n} can prove ({leaning}, McNemar p = {p:.2f})."
    side = "ahead of" if model > rival else "behind"
    return f"The fine-tuned model is {side} {name} by {abs(model - rival) * 100:.1f} points (n = {n}, McNemar p = {p:.3f})."


def predictions(
    part: pd.DataFrame, probabilities: np.ndarray, topics: list[str], rival: np.ndarray
) -> pd.DataFrame:
    """The rows of predictions.csv: source_id, topic, predicted, confidence, baseline, and a column a topic. No text."""
    frame = pd.DataFrame({"source_id": part["source_id"], "topic": part["topic"]})
    frame["predicted"] = np.array(topics)[probabilities.argmax(axis=1)]
    frame["confidence"] = probabilities.max(axis=1).round(6)
    frame["baseline"] = rival
    for i, topic in enumerate(topics):
        frame[f"p_{topic}"] = probabilities[:, i].round(6)
    return frame


def log_loss_interval(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Mean log loss (nats) with its bootstrap interval, see `bootstrap`."""
    losses = -np.log(
        np.clip(probabilities[np.arange(len(truth)), truth].astype(np.float64), 1e-15, 1)
    )
    return bootstrap(lambda rows: losses[rows].mean(), len(losses))
