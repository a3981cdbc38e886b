"""Behaviour tests: what a topic classifier must do whatever its score.

CheckList: Ribeiro et al., ACL 2020. The written cases stand in evaluate.yaml. `predict` is
always a function of texts that returns (n, topics) probabilities.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from gpt2news.evaluate import wilson

CASES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
CHANGES = ("case", "punctuation", "spacing", "names", "numbers")
COLUMNS = ["kind", "test", "case", "passed"]
Predict = Callable[[list[str]], np.ndarray]


def changed(text: str, kind: str, random: np.random.Generator) -> str:
    """`text` with one thing changed that says nothing of its topic; the same if it has none."""

    def pick(options: list[str]) -> str:
        return str(random.choice(options))

    def as_many_digits(match: re.Match) -> str:
        k = len(match[0])
        return str(random.integers(10 ** (k - 1), 10**k)) if k < 16 else match[0]

    if kind == "case":
        upper = random.random() < 0.5 or text.islower()
        return text.upper() if upper else text.lower()
    if kind == "punctuation":
        ends = re.sub(r"[.!?](?=\s|$)", lambda _: pick(["", "!", "...", " ."]), text)
        return ends.replace(",", "")
    if kind == "spacing":
        return re.sub(r"\s+", lambda _: pick([" ", "  ", "\n", "\t "]), text)
    if kind == "numbers":
        return re.sub(r"\d+", as_many_digits, text)
    for names in CASES["names"]:

        def another(match: re.Match, names: list[str] = names) -> str:
            return pick([name for name in names if name.lower() != match[0].lower()])

        text = re.sub(rf"\b({'|'.join(names)})\b", another, text, flags=re.I)
    return text


def invariance(predict: Predict, texts: list[str], seed: int = 0) -> pd.DataFrame:
    """Does the topic stay when case, punctuation, spacing, names or numbers change?

    Returns:
        One row a text and change that alters it: `kind`, `test` (the change), `case` (position in
        `texts`), `passed`.
    """
    random = np.random.default_rng(seed)
    before = predict(texts).argmax(axis=1)
    rows = []
    for kind in CHANGES:
        new = [changed(text, kind, random) for text in texts]
        touched = [i for i, text in enumerate(texts) if new[i] != text]
        if touched:
            stays = predict([new[i] for i in touched]).argmax(axis=1) == before[touched]
            rows += _rows("invariance", kind, touched, stays)
    return pd.DataFrame(rows, columns=COLUMNS)


def direction(
    predict: Predict, texts: list[str], truth: list[str], topics: list[str]
) -> pd.DataFrame:
    """Does a plain sentence of another topic, put in front, raise that topic? As `invariance`."""
    before = predict(texts)
    rows = []
    for topic in known(topics):
        column = topics.index(topic)
        others = [i for i, label in enumerate(truth) if label != topic]
        for sentence in CASES["direction"][topic] if others else []:
            after = predict([f"{sentence} {texts[i]}" for i in others])
            rises = after[:, column] > before[others, column]
            rows += _rows("direction", topic, others, rises)
    return pd.DataFrame(rows, columns=COLUMNS)


def minimum(predict: Predict, topics: list[str]) -> pd.DataFrame:
    """One-sentence cases that a person finds obvious; `case` is the sentence, and `predicted`."""
    rows, guesses = [], []
    for topic in known(topics):
        sentences = CASES["minimum"][topic]
        guess = np.array(topics)[predict(sentences).argmax(axis=1)]
        rows += _rows("minimum", topic, sentences, guess == topic)
        guesses += guess.tolist()
    return pd.DataFrame(rows, columns=COLUMNS).assign(predicted=guesses)


def _rows(kind: str, test: str, cases: list, passed: np.ndarray) -> list[tuple]:
    return [(kind, test, case, ok) for case, ok in zip(cases, passed.tolist(), strict=True)]


def known(topics: list[str]) -> list[str]:
    """Those of `topics` that the written cases know; empty for a corpus of quite other topics."""
    return [topic for topic in topics if topic in CASES["minimum"]]


def pass_rates(results: pd.DataFrame) -> dict[str, dict]:
    """`{kind: {"all": share, test: share, …}}`, each share with `n` and its Wilson interval."""
    rates = {}
    for kind, rows in results.groupby("kind", sort=False):
        tests = {"all": rows, **dict(iter(rows.groupby("test", sort=False)))}
        rates[kind] = {
            test: {"n": len(some), **wilson(some["passed"].sum(), len(some))}
            for test, some in tests.items()
        }
    return rates
