"""The split that the article of 2022 used, for comparing with its figures: it leaks.

    python benchmarks/article_split.py article_split.csv

trains a linear model on it with the copies in its training part and without them, and prints how
many test texts are right. Needs the corpus `bbc-csv`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from gpt2news import explore


def article_split(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """`frame` with the columns `group` (each text its own) and `split`, as `split_corpus` gives it.

    Args:
        frame: the corpus `bbc-csv`.
        path: a CSV file `row,split` with the 0-based rows of the corpus.

    Raises:
        ValueError: the file has not as many rows as the corpus.
    """
    table = pd.read_csv(path)
    if len(table) != len(frame):
        raise ValueError(
            f"{path.name} has {len(table)} rows, the corpus {len(frame)}: "
            "they belong together for bbc-csv only"
        )
    parts = table.sort_values("row")["split"].str.replace("validation", "val").tolist()
    return frame.assign(group=range(len(frame)), split=parts)


def main(path: Path) -> None:
    frame = article_split(explore.load_corpus("bbc-csv"), path)
    train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    train_words, test_words = (part["text"].map(explore.normalise) for part in (train, test))
    leaked = test_words.isin(set(train_words))
    print(f"{leaked.sum()} of {len(test)} test texts are in training, word for word")
    kept = train[~train_words.isin(set(test_words))]
    for name, part in (("with the copies", train), ("without the copies", kept)):
        tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        model = make_pipeline(tfidf, LinearSVC(random_state=0)).fit(part["text"], part["topic"])
        right = model.predict(test["text"]) == test["topic"]
        print(
            f"{name}: {len(part):,} training texts, {right.sum()} of {len(test)} right, "
            f"of the leaked ones {right[leaked].sum()} of {leaked.sum()}"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
