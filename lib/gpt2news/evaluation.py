"""Chapter 04: how good is it, how sure can we be of that, and what would a simple model have done?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from gpt2news.corpus import excerpt

BASELINE = "TF-IDF + linear SVM"


def wilson(right: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval, `{"value", "low", "high"}`: Wilson, JASA 22, 1927 (scipy)."""
    low, high = binomtest(int(right), int(n)).proportion_ci(0.95, method="wilson")
    return {"value": float(right / n), "low": float(low), "high": float(high)}


def bootstrap(score: Callable[[np.ndarray], float], n: int, draws: int = 2000, seed: int = 0) -> dict[str, float]:
    """`score(rows)` on all n rows with its 95 % percentile interval over resampled rows: Efron and Tibshirani, 1993."""
    random = np.random.default_rng(seed)
    values = [score(random.integers(n, size=n)) for _ in range(draws)]
    low, high = np.percentile(values, [2.5, 97.5])
    return {"value": float(score(np.arange(n))), "low": float(low), "high": float(high)}


def calibration_error(truth: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over equal-width bins of confidence, weighted by size.

    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    table = reliability(truth, probabilities, bins)
    return float((table["n"] * (table["confidence"] - table["accuracy"]).abs()).sum() / table["n"].sum())


def reliability(truth: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """One row a bin of confidence that has texts: `n`, mean `confidence`, `accuracy`."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    frame = pd.DataFrame({"bin": bin_of, "confidence": confidence, "accuracy": right.astype(float)})
    return frame.groupby("bin").agg(n=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean"))


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that makes softmax(logits / temperature) likeliest on these rows (validation, never test): Guo et al., 2017."""
    rows = np.arange(len(truth))
    loss = lambda log_t: -log_softmax(logits / np.exp(log_t), axis=1)[rows, truth].mean()  # noqa: E731
    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def choose_threshold(truth: np.ndarray, probabilities: np.ndarray, target: float) -> float:
    """The lowest confidence such that answers at or above it are right in at least `target` of these rows (validation); 0.0 answers all.

    When no threshold reaches it: just above the confidence of the surest mistake.
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth)[np.argsort(-confidence)]
    ranked = np.sort(confidence)[::-1]
    last_of_tie = np.append(ranked[1:] < ranked[:-1], True)  # a threshold takes all texts of one confidence or none
    enough = np.flatnonzero((np.cumsum(right) / np.arange(1, len(right) + 1) >= target) & last_of_tie)
    if len(enough) and enough[-1] == len(right) - 1:
        return 0.0
    return float(ranked[enough[-1]] if len(enough) else np.nextafter(confidence[probabilities.argmax(axis=1) != truth].max(), 2))


def coverage(truth: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Rows from the surest text on: `coverage` (share answered so far), `accuracy` on those, `threshold`."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == truth)[order]
    n = np.arange(1, len(right) + 1)
    return pd.DataFrame({"coverage": n / len(n), "accuracy": np.cumsum(right) / n, "threshold": probabilities.max(axis=1)[order]})


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
    macro = lambda rows: f1_score(truth[rows], guess[rows], labels=labels, average="macro", zero_division=0)  # noqa: E731
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


def probabilities_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(n, topics) softmax(logits / temperature) in double precision."""
    return softmax(logits.astype(np.float64) / temperature, axis=1)


def baseline(texts: list[str], topics: list[str]) -> Pipeline:
    """The simple rival, fitted: TF-IDF of words and word pairs, linear support vector machine."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, strip_accents="unicode")
    return make_pipeline(words, LinearSVC(random_state=0)).fit(texts, topics)


def mcnemar_p(model_right: np.ndarray, rival_right: np.ndarray) -> float:
    """Exact McNemar test on the same rows (Psychometrika 12, 1947): the chance of a split at least this uneven among the rows
    where just one of the two is right, if they were equally good. 1.0 when they never differ.
    """
    only_model = int((model_right & ~rival_right).sum())
    only_rival = int((~model_right & rival_right).sum())
    return float(binomtest(only_model, only_model + only_rival).pvalue) if only_model + only_rival else 1.0


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


def predictions(part: pd.DataFrame, probabilities: np.ndarray, topics: list[str], rival: np.ndarray) -> pd.DataFrame:
    """The rows of predictions.csv: source_id, topic, predicted, confidence, baseline, and a column a topic. No text."""
    frame = pd.DataFrame({"source_id": part["source_id"], "topic": part["topic"]})
    frame["predicted"] = np.array(topics)[probabilities.argmax(axis=1)]
    frame["confidence"] = probabilities.max(axis=1).round(6)
    frame["baseline"] = rival
    for i, topic in enumerate(topics):
        frame[f"p_{topic}"] = probabilities[:, i].round(6)
    return frame


def confident_mistakes(part: pd.DataFrame, table: pd.DataFrame, n: int = 8) -> pd.DataFrame:
    """The wrong answers that the model was surest of, with at most 20 words of each text."""
    frame = table.assign(begins=part["text"].map(excerpt).to_numpy())
    wrong = frame[frame["predicted"] != frame["topic"]].sort_values("confidence", ascending=False)
    return wrong.loc[:, ["source_id", "topic", "predicted", "confidence", "baseline", "begins"]].head(n).reset_index(drop=True)
