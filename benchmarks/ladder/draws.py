"""Which texts are learned from and which are asked: the same for every rung."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from gpt2news import explore, split
from gpt2news.run import Run, companion

PER_TOPIC = (2, 4, 8, 16, 32, 64)
# AG News' profile keeps 1,000 rows to learn from; the ladder tunes nothing, so it uses them all.
LEARNS = {"bbc": ("train",), "agnews": ("train", "val")}
FIRST = 2000  # test texts that a dear rung answers; the other rungs are scored on them, too


@dataclass(frozen=True)
class Draw:
    """One split of a corpus: rows of `corpus(name)` in the order in which they are taken.

    Attributes:
        learn: (n,) rows; the first k of each topic are the few labels.
        test: (m,) rows, in an order of their own.
    """

    learn: np.ndarray
    test: np.ndarray


earlier = companion("earlier", "02_split")


@cache
def corpus(name: str) -> pd.DataFrame:
    """The texts of a corpus, as chapter 01 reads them."""
    return explore.load_corpus(name)


@cache
def draw(name: str, seed: int) -> Draw:
    """The split that chapter 02 makes under the profile `name` with this seed: leak-free."""
    texts, settings = corpus(name), earlier.settings(Run(name), "02_split")
    parts = split.split_corpus(texts, seed, settings["val_share"], settings["test_share"])["split"]
    random = np.random.default_rng(seed)
    learn = random.permutation(np.flatnonzero(parts.isin(LEARNS[name])))
    return Draw(learn, random.permutation(np.flatnonzero(parts == "test")))


def few(name: str, seed: int, per_topic: int | None) -> np.ndarray:
    """Rows of the first `per_topic` texts of each topic (None: all that may be learned from).

    More texts of the same draw hold the fewer.
    """
    learn = draw(name, seed).learn
    if per_topic is None:
        return learn
    topics = corpus(name)["topic"].iloc[learn].reset_index(drop=True)
    place = topics.groupby(topics).cumcount().to_numpy()
    return learn[place < per_topic]


def asked(name: str, seed: int, most: int | None = None) -> np.ndarray:
    """Rows of the test, or the first `most` of them."""
    return draw(name, seed).test[:most]
