"""The split that the article of 2022 used, for comparing with its figures: it leaks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


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
