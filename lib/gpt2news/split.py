"""Chapter 02: split a corpus so that no training text has a twin in validation or test, and prove it on the written files."""

from __future__ import annotations

import csv
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import train_test_split

from gpt2news.explore import comparable
from gpt2news.run import sha256_of
from gpt2news.run import atomic

PARTS = ("train", "val", "test")
SHINGLE = 5
NEAR = 0.5


class LeakError(ValueError):
    """A training text has a twin in another part of the split; the message names the pairs."""


def similar_pairs(
    texts: list[str], threshold: float = NEAR, shingle: int = SHINGLE
) -> pd.DataFrame:
    """Pairs of texts that are the same or nearly so: columns `a`, `b` (positions, a < b) and `jaccard` (1.0: the same words).

    The Jaccard index of the sets of word 5-grams ("shingles": Broder, "On the resemblance and containment of
    documents", 1997), over `comparable` texts. An inverted index (a sparse product) gives every pair that shares a shingle,
    so the result is exact, and pairs that share none cost nothing. Texts under 5 words are compared whole.
    """
    plain = [comparable(text) for text in texts]
    vectorizer = CountVectorizer(
        binary=True,
        dtype=np.int32,
        ngram_range=(shingle, shingle),
        tokenizer=str.split,
        token_pattern=None,
        lowercase=False,
    )
    try:
        shingles = vectorizer.fit_transform(plain)
    except ValueError:  # no text has five words
        shingles = csr_matrix((len(texts), 1), dtype=np.int32)
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    shared = (shingles @ shingles.T).tocoo()
    upper = shared.row < shared.col
    a, b, both = shared.row[upper], shared.col[upper], shared.data[upper]
    jaccard = both / (sizes[a] + sizes[b] - both)
    found = {
        (int(i), int(j)): float(s) for i, j, s in zip(a, b, jaccard, strict=True) if s > threshold
    }
    same = pd.Series(range(len(plain))).groupby(plain).agg(list)
    for rows in same[same.str.len() > 1]:
        found.update({pair: 1.0 for pair in combinations(rows, 2)})
    return pd.DataFrame(
        [(i, j, s) for (i, j), s in sorted(found.items())], columns=["a", "b", "jaccard"]
    )


def duplicate_groups(texts: list[str], threshold: float = NEAR) -> np.ndarray:
    """(n,) group number of each text; texts linked by a chain of similar pairs share one."""
    pairs = similar_pairs(texts, threshold)
    links = csr_matrix(
        (np.ones(len(pairs)), (pairs["a"], pairs["b"])), shape=(len(texts), len(texts))
    )
    return connected_components(links, directed=False)[1]


def split_corpus(
    frame: pd.DataFrame, seed: int = 0, val: float = 0.1, test: float = 0.1
) -> pd.DataFrame:
    """`frame` with the columns `group` and `split` (train, val, test, or `duplicate` for all but the first text of a group).

    Stratified by topic, at random by `seed`. One text a group is kept, so no group can stand on two sides.

    Raises:
        ValueError: shares that leave a part empty; a part with fewer texts than topics; a topic that is all copies.
    """
    if not (0 < val < 1 and 0 < test < 1 and val + test < 1):
        raise ValueError(
            f"val={val}, test={test}: two shares over 0 that add up to less than 1 are needed"
        )
    frame = frame.assign(group=duplicate_groups(frame["text"].tolist()), split="duplicate")
    kept = frame.index[~frame["group"].duplicated()]
    counts = frame.loc[kept, "topic"].value_counts()
    if counts.min() < len(PARTS):
        raise ValueError(
            f"topic {counts.idxmin()!r} has {counts.min()} texts once copies are out; each part needs one: add texts or drop it"
        )
    for name, share in (("val_share", val), ("test_share", test)):
        if share * len(kept) < len(counts):
            raise ValueError(
                f"{name}={share} of {len(kept)} texts is less than one for each of {len(counts)} topics: raise {name}"
            )
    rest, held_test = train_test_split(
        kept, test_size=test, random_state=seed, stratify=frame.loc[kept, "topic"]
    )
    train, held_val = train_test_split(
        rest, test_size=val / (1 - test), random_state=seed, stratify=frame.loc[rest, "topic"]
    )
    for name, rows in zip(PARTS, (train, held_val, held_test), strict=True):
        frame.loc[rows, "split"] = name
    return frame


def article_split(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The split that the article of 2022 used (`row,split`, 0-based rows of the CSV), for comparing with its figures: it leaks."""
    table = pd.read_csv(path)
    if len(table) != len(frame):
        raise ValueError(
            f"{path.name} has {len(table)} rows, the corpus {len(frame)}: they belong together for bbc-csv only"
        )
    parts = table.sort_values("row")["split"].str.replace("validation", "val").tolist()
    return frame.assign(group=range(len(frame)), split=parts)


def write_split(frame: pd.DataFrame, folder: Path, facts: dict) -> dict:
    """Write `train.csv`, `val.csv`, `test.csv` (text, topic, source_id) and `split.json`; returns what `split.json` holds.

    `split.json`: `facts` (seed, corpus), counts by part and topic, sha256 of each file, groups of duplicates by
    source_id, and groups whose members carry different topics.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        rows = frame.loc[frame["split"] == part, ["text", "topic", "source_id"]]
        with atomic(folder / f"{part}.csv") as file:
            rows.to_csv(
                file, index=False, quoting=csv.QUOTE_ALL
            )  # else a lone carriage return in a text starts a row
    groups = [rows for _, rows in frame.groupby("group", sort=True) if len(rows) > 1]
    record = {
        **facts,
        "counts": {
            p: {"all": int((frame["split"] == p).sum()), **_by_topic(frame, p)} for p in PARTS
        },
        "duplicates_removed": int((frame["split"] == "duplicate").sum()),
        "sha256": {part: sha256_of(folder / f"{part}.csv") for part in PARTS},
        "groups": [rows["source_id"].tolist() for rows in groups],
        "conflicting_topics": [
            dict(zip(rows["source_id"], rows["topic"], strict=True))
            for rows in groups
            if len(set(rows["topic"])) > 1
        ],
    }
    with atomic(folder / "split.json") as file:
        file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def _by_topic(frame: pd.DataFrame, part: str) -> dict[str, int]:
    counts = frame.loc[frame["split"] == part, "topic"].value_counts().sort_index()
    return {str(topic): int(n) for topic, n in counts.items()}


def read_split(folder: Path) -> dict[str, pd.DataFrame]:
    """The written parts: `{"train": frame, "val": …, "test": …}`, columns text, topic, source_id.

    Raises:
        FileNotFoundError: a part is not there; the message says which chapter makes it.
    """
    missing = [part for part in PARTS if not (folder / f"{part}.csv").exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder}: no {', '.join(f'{m}.csv' for m in missing)}; chapter 02_split makes them"
        )
    return {
        part: pd.read_csv(folder / f"{part}.csv", dtype=str, keep_default_na=False)
        for part in PARTS
    }


def find_leaks(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Texts of val or test that have a twin in train: columns `part`, `source_id`, `train_id`, `jaccard` (the nearest twin)."""
    everything = pd.concat([parts[part].assign(part=part) for part in PARTS], ignore_index=True)
    pairs = similar_pairs(everything["text"].tolist())
    rows = []
    for a, b, jaccard in pairs.itertuples(index=False):
        left, right = everything.loc[a], everything.loc[b]
        if left["part"] == "train" and right["part"] != "train":
            rows.append((right["part"], right["source_id"], left["source_id"], jaccard))
    leaks = pd.DataFrame(rows, columns=["part", "source_id", "train_id", "jaccard"])
    return (
        leaks.sort_values("jaccard", ascending=False)
        .drop_duplicates(["part", "source_id"])
        .reset_index(drop=True)
    )


def check_leaks(folder: Path) -> dict[str, int]:
    """The leak gate, on the written files: `{"leaked_exact": 0, "leaked_near": 0}`.

    Raises:
        LeakError: there are leaks; the message names them.
    """
    leaks = find_leaks(read_split(folder))
    if len(leaks):
        named = "; ".join(
            f"{row.part} {row.source_id} is {'the same as' if row.jaccard == 1 else f'{row.jaccard:.2f} like'} train {row.train_id}"
            for row in leaks.head(5).itertuples()
        )
        raise LeakError(
            f"{folder.name}: {len(leaks)} texts of val or test have a twin in train: {named}. Run 02_split again."
        )
    return {"leaked_exact": 0, "leaked_near": 0}
