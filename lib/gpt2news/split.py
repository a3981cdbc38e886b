"""Chapter 02: split a corpus so that no training text has a twin in validation or test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import train_test_split

from gpt2news.explore import comparable
from gpt2news.run import companion

PARTS = ("train", "val", "test")
SHINGLE = 5  # words in a run
NEAR = 0.5  # two texts with a Jaccard index above this are twins


class LeakError(ValueError):
    """A training text has a twin in another part of the split; the message names the pairs."""


def _runs(text: str) -> set[str]:
    """The runs of five words of a text; a shorter text is one run."""
    words = comparable(text).split()
    runs = {" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}
    return runs or {" ".join(words)}


def similar_pairs(texts: list[str], threshold: float = NEAR) -> pd.DataFrame:
    """Pairs of like texts: columns `a`, `b` (positions, a < b) and `jaccard`, sorted.

    The Jaccard index of the sets of word 5-grams ("shingles": Broder, "On the resemblance and
    containment of documents", 1997), over `comparable` texts; 1.0: the same words.
    """
    if not texts:
        return pd.DataFrame(columns=["a", "b", "jaccard"])
    runs = CountVectorizer(analyzer=_runs, binary=True, dtype=np.int32).fit_transform(texts)
    sizes = np.asarray(runs.sum(axis=1)).ravel()
    # A sparse product is an inverted index: every pair that shares a run is in it, so the result
    # is exact, and pairs that share none cost nothing.
    shared = (runs @ runs.T).tocoo()
    upper = shared.row < shared.col
    a, b, both = shared.row[upper], shared.col[upper], shared.data[upper]
    pairs = pd.DataFrame({"a": a, "b": b, "jaccard": both / (sizes[a] + sizes[b] - both)})
    return pairs[pairs["jaccard"] > threshold].sort_values(["a", "b"], ignore_index=True)


def duplicate_groups(texts: list[str]) -> np.ndarray:
    """(n,) group number of each text; texts linked by a chain of similar pairs share one."""
    pairs, n = similar_pairs(texts), len(texts)
    links = csr_matrix((np.ones(len(pairs)), (pairs["a"], pairs["b"])), shape=(n, n))
    return connected_components(links, directed=False)[1]


def split_corpus(
    frame: pd.DataFrame, seed: int = 0, val: float = 0.1, test: float = 0.1
) -> pd.DataFrame:
    """`frame` with the columns `group` and `split`, drawn at random by `seed`, stratified by topic.

    `split` is one of `PARTS`, or `duplicate` for all but the first text of a group: so no group
    can be on two sides.

    Raises:
        ValueError: shares that leave a part empty; a part with fewer texts than topics; a topic
            that is all copies.
    """
    if not (0 < val < 1 and 0 < test < 1 and val + test < 1):
        raise ValueError(
            f"val={val}, test={test}: two shares over 0 that add up to less than 1 are needed"
        )
    frame = frame.assign(group=duplicate_groups(frame["text"].tolist()), split="duplicate")
    kept = frame.index[~frame["group"].duplicated()]
    topics = frame["topic"]
    counts = topics[kept].value_counts()
    if counts.min() < len(PARTS):
        rest = f"has {counts.min()} texts once copies are out"
        raise ValueError(f"topic {counts.idxmin()!r} {rest}; each part needs one: add texts")
    for name, share in (("val_share", val), ("test_share", test)):
        if share * len(kept) < len(counts):
            given = f"{name}={share} of {len(kept)} texts"
            raise ValueError(f"{given} is less than one for each of {len(counts)} topics: raise it")
    rest, held_test = train_test_split(
        kept, test_size=test, random_state=seed, stratify=topics[kept]
    )
    train, held_val = train_test_split(
        rest, test_size=val / (1 - test), random_state=seed, stratify=topics[rest]
    )
    for name, rows in zip(PARTS, (train, held_val, held_test), strict=True):
        frame.loc[rows, "split"] = name
    return frame


def write_split(frame: pd.DataFrame, folder: Path, facts: dict) -> dict:
    """Write `train.csv`, `val.csv`, `test.csv` (text, topic, source_id) and `split.json`.

    Returns what `split.json` holds: `facts` (corpus, seed, shares), counts by part and topic,
    sha256 of each file, and the groups of twins by source_id.
    """
    return companion("records", "02_split").write(frame, folder, facts)


def read_split(folder: Path) -> dict[str, pd.DataFrame]:
    """The written parts: `{"train": frame, "val": …, "test": …}`, columns text, topic, source_id.

    Raises:
        FileNotFoundError: a part is not there; the message says which chapter makes it.
    """
    return {part: read_part(folder / f"{part}.csv") for part in PARTS}


def find_leaks(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Texts of val or test that have a twin in train, with their nearest one.

    Columns `part`, `source_id`, `train_id`, `jaccard`, the most alike first.
    """
    everything = pd.concat([parts[part].assign(part=part) for part in PARTS], ignore_index=True)
    pairs = similar_pairs(everything["text"].tolist())
    # a < b and train comes first, so the training text of a crossing pair is always a.
    a, b = (everything.loc[pairs[side]].reset_index(drop=True) for side in "ab")
    leaks = b[["part", "source_id"]].assign(train_id=a["source_id"], jaccard=pairs["jaccard"])
    leaks = leaks[(a["part"] == "train") & (b["part"] != "train")]
    leaks = leaks.sort_values("jaccard", ascending=False, kind="stable")
    return leaks.drop_duplicates(["part", "source_id"]).reset_index(drop=True)


def check_leaks(folder: Path) -> dict[str, int]:
    """The leak gate, on the written files: `{"leaked_exact": 0, "leaked_near": 0}` or LeakError."""
    leaks = find_leaks(read_split(folder))
    named = []
    for row in leaks.head(5).itertuples():
        like = "the same as" if row.jaccard == 1 else f"{row.jaccard:.2f} like"
        named.append(f"{row.part} {row.source_id} is {like} train {row.train_id}")
    if named:
        told = f"{len(leaks)} texts of val or test have a twin in train: {'; '.join(named)}"
        raise LeakError(f"{folder.name}: {told}. Run 02_split again.")
    return {"leaked_exact": 0, "leaked_near": 0}


def read_part(file: Path) -> pd.DataFrame:
    """One part, or a file of one's own, with at least the columns `text` and `topic`.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: the message names the column or the row that is wrong.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file.parent}: no {file.name}; chapter 02_split makes them")
    # Everything is text: a corpus with the topic "NA" keeps it.
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    for column in ("text", "topic"):
        if column not in frame:
            raise ValueError(f"{file}: no column {column!r}; it has {', '.join(frame)}")
        empty = frame.index[frame[column].str.strip() == ""]
        if len(empty):
            raise ValueError(f"{file}: row {empty[0] + 1} has no {column}")
    if frame.empty:
        raise ValueError(f"{file}: no rows")
    return frame
