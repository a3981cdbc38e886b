"""The rungs whose language model stays as it is: a linear model on words or on vectors."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from ladder.draws import FIRST, corpus
from ladder.vectors import STATIC, folder_of, vectors
from rival import baseline

# Vectors side by side, too: what one model misses another may hold.
FROZEN = {
    "wordllama": (STATIC,),
    "gpt2-mini": ("gpt2-mini",),
    "minilm": ("minilm",),
    "smollm2": ("smollm2",),
    "together": (STATIC, "minilm", "smollm2"),
}
LINEAR = ("tfidf", "tfidf-all")
CHEAP = ("largest", *LINEAR, *FROZEN)


@dataclass
class Answer:
    """What a rung says of the test texts, and what that cost.

    Attributes:
        says: (n,) topics.
        fit: processor seconds of learning, vectors of the learned texts included.
        answer: processor seconds of one text.
        trained: numbers that learned.
        megabytes: of what is needed to answer.
    """

    says: np.ndarray
    fit: float
    answer: float
    trained: int
    megabytes: float


def head() -> Pipeline:
    """The classifier on vectors: their mean taken out, length 1, logistic regression.

    Chosen on the learning parts of three other draws (seeds 5 to 7); scaling each entry as well
    loses up to seven points with two labels a topic.
    """
    centred = make_pipeline(Normalizer(), StandardScaler(with_std=False), Normalizer())
    return make_pipeline(centred, LogisticRegression(C=10, max_iter=2000))


def texts_and_topics(name: str, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The texts of some rows of a corpus, and their topics."""
    frame = corpus(name).iloc[rows]
    return frame["text"].tolist(), frame["topic"].to_numpy()


def cheap(rung: str, name: str, learn: np.ndarray, test: np.ndarray) -> Answer:
    """Learn a cheap rung from rows `learn` and ask it the rows `test`."""
    texts, topics = texts_and_topics(name, learn)
    if rung == "largest":
        most = pd.Series(topics).value_counts().sort_index().idxmax()
        return Answer(np.full(len(test), most), 0.0, 0.0, 0, 0.0)
    if rung in LINEAR:
        return _linear(rung, texts, topics, texts_and_topics(name, test)[0])
    models = FROZEN[rung]
    given = [vectors(model, name) for model in models]
    rows = np.hstack([found for found, _ in given])
    a_text = sum(seconds for _, seconds in given)
    began = time.process_time()
    classifier = head().fit(rows[learn], topics)
    fit = time.process_time() - began + a_text * len(learn)
    says = classifier.predict(rows[test])
    size = sum(size_of(model) for model in models)
    trained = classifier[-1].coef_.size + classifier[-1].intercept_.size
    return Answer(says, fit, a_text, trained, size)


def size_of(model: str) -> float:
    """Megabytes of a model's weights on disk, as they are used."""
    if model == STATIC:
        return 16.4
    return sum(f.stat().st_size for f in folder_of(model).glob("*.safetensors")) / 1e6


def _linear(rung: str, texts: list[str], topics: np.ndarray, asked: list[str]) -> Answer:
    began = time.process_time()
    model = baseline(texts, topics, min_df=2 if rung == "tfidf" else 1)
    fit = time.process_time() - began
    began = time.process_time()
    says = model.predict(asked)
    answer = (time.process_time() - began) / len(asked)
    return Answer(says, fit, answer, model[-1].coef_.size, len(pickle.dumps(model)) / 1e6)


def scored(answer: Answer, name: str, test: np.ndarray, linear: np.ndarray) -> dict:
    """The figures of one unit.

    Args:
        test: rows that were asked, all of the test or its first.
        linear: (all of the test,) what TF-IDF + linear SVM says, learned from the same texts.
    """
    truth = corpus(name)["topic"].to_numpy()[test]
    right, theirs = answer.says == truth, linear[: len(test)] == truth
    whole = len(linear) == len(test)
    return {
        "n": len(test),
        "right": int(right.sum()),
        "accuracy": round(float(right.mean()), 5) if whole else None,
        "first": round(float(right[:FIRST].mean()), 5),
        "macro_f1": round(float(f1_score(truth, answer.says, average="macro")), 5),
        "only_here": int((right & ~theirs).sum()),
        "only_linear": int((~right & theirs).sum()),
        "fit": float(f"{answer.fit:.3g}"),
        "ms": float(f"{1000 * answer.answer:.3g}"),
        "trained": answer.trained,
        "megabytes": round(answer.megabytes, 2),
    }
