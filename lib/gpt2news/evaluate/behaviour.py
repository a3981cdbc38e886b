"""Behaviour tests: what a topic classifier must do whatever its score (CheckList: Ribeiro et al., ACL 2020), and off-topic text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from gpt2news.explore import excerpt
from gpt2news.evaluate.scoring import wilson

CASES = yaml.safe_load(Path(__file__).with_name("behaviour.yaml").read_text(encoding="utf-8"))
CHANGES = ("case", "punctuation", "spacing", "names", "numbers")


def changed(text: str, kind: str, random: np.random.Generator) -> str:
    """`text` with one thing changed that says nothing of its topic; the same text when it has no such thing."""
    if kind == "case":
        return text.upper() if random.random() < 0.5 or text.islower() else text.lower()
    if kind == "punctuation":
        return re.sub(
            r"[.!?](?=\s|$)", lambda mark: str(random.choice(["", "!", "...", " ."])), text
        ).replace(",", "")
    if kind == "spacing":
        return re.sub(r"\s+", lambda _: str(random.choice([" ", "  ", "\n", "\t "])), text)
    if kind == "numbers":  # as many digits, no leading zero; a year or a price becomes another
        return re.sub(
            r"\d+",
            lambda n: (
                str(random.integers(10 ** (len(n[0]) - 1), 10 ** len(n[0])))
                if len(n[0]) < 16
                else n[0]
            ),
            text,
        )
    for names in CASES["names"]:
        pattern = rf"\b({'|'.join(names)})\b"
        text = re.sub(
            pattern,
            lambda name, names=names: str(
                random.choice([n for n in names if n.lower() != name[0].lower()])
            ),
            text,
            flags=re.I,
        )
    return text


def invariance(
    predict: Callable[[list[str]], np.ndarray], texts: list[str], seed: int = 0
) -> pd.DataFrame:
    """Does the topic stay when case, punctuation, spacing, names or numbers change? One row a text and change that alters it.

    Args:
        predict: texts -> (n, topics) probabilities.
        texts: real ones.

    Returns:
        Columns `kind`, `test` (the change), `case` (position in `texts`), `passed`.
    """
    random = np.random.default_rng(seed)
    before = predict(texts).argmax(axis=1)
    rows = []
    for kind in CHANGES:
        new = [changed(text, kind, random) for text in texts]
        touched = [i for i, text in enumerate(texts) if new[i] != text]
        after = predict([new[i] for i in touched]).argmax(axis=1) if touched else []
        rows += [
            ("invariance", kind, i, bool(guess == before[i]))
            for i, guess in zip(touched, after, strict=True)
        ]
    return pd.DataFrame(rows, columns=["kind", "test", "case", "passed"])


def direction(
    predict: Callable[[list[str]], np.ndarray],
    texts: list[str],
    truth: list[str],
    topics: list[str],
) -> pd.DataFrame:
    """Does a plain sentence of a topic, put in front of a text of another one, raise that topic's probability? As `invariance`."""
    before = predict(texts)
    rows = []
    for topic in known(topics):
        others = [i for i, t in enumerate(truth) if t != topic]
        for sentence in CASES["direction"][topic]:
            after = predict([f"{sentence} {texts[i]}" for i in others])
            column = topics.index(topic)
            rows += [
                ("direction", topic, i, bool(p > before[i, column]))
                for i, p in zip(others, after[:, column], strict=True)
            ]
    return pd.DataFrame(rows, columns=["kind", "test", "case", "passed"])


def minimum(predict: Callable[[list[str]], np.ndarray], topics: list[str]) -> pd.DataFrame:
    """One-sentence cases that a person finds obvious: columns of `invariance`, `case` is the sentence, and `predicted`."""
    cases = [(topic, sentence) for topic in known(topics) for sentence in CASES["minimum"][topic]]
    guess = predict([sentence for _, sentence in cases]).argmax(axis=1) if cases else []
    rows = [
        ("minimum", topic, sentence, topics[g] == topic, topics[g])
        for (topic, sentence), g in zip(cases, guess, strict=True)
    ]
    return pd.DataFrame(rows, columns=["kind", "test", "case", "passed", "predicted"])


def known(topics: list[str]) -> list[str]:
    """Those of `topics` that the written cases know; empty for a corpus of quite other topics."""
    return [topic for topic in topics if topic in CASES["minimum"]]


def pass_rates(results: pd.DataFrame) -> dict[str, dict]:
    """`{kind: {"all": share, test: share, …}}`, each share with its Wilson interval and `n`; what metrics.json holds."""
    share = lambda rows: {"n": len(rows), **wilson(rows["passed"].sum(), len(rows))}  # noqa: E731
    return {
        kind: {
            "all": share(rows),
            **{test: share(some) for test, some in rows.groupby("test", sort=False)},
        }
        for kind, rows in results.groupby("kind", sort=False)
    }


def off_topic(
    predict: Callable[[list[str]], np.ndarray], topics: list[str], threshold: float
) -> pd.DataFrame:
    """Texts that belong to none of the topics: columns `kind`, `text`, `predicted`, `confidence`, `not_sure` (under `threshold`)."""
    cases = [(kind, text) for kind, texts in CASES["off_topic"].items() for text in texts]
    probabilities = predict([text for _, text in cases])
    frame = pd.DataFrame(cases, columns=["kind", "text"])
    frame["text"] = frame["text"].map(excerpt)
    frame["predicted"] = np.array(topics)[probabilities.argmax(axis=1)]
    frame["confidence"] = probabilities.max(axis=1)
    return frame.assign(not_sure=frame["confidence"] < threshold)
