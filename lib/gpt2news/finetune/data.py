"""Labelled texts as the training loop wants them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

COLUMNS = ("text", "topic")


def read_part(path: Path, part: str) -> pd.DataFrame:
    """The texts of a CSV file, or of `<part>.csv` in a folder: columns text, topic, and whatever else is there.

    Raises:
        FileNotFoundError: there is no such file; the message says which chapter makes it.
        ValueError: a column is missing, or a row has no text or no topic; the message names the file and the row.
    """
    file = path if path.is_file() else path / f"{part}.csv"
    if not file.is_file():
        raise FileNotFoundError(f"{path}: no {part}.csv; chapter 02_split makes them")
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise ValueError(f"{file}: no column {missing[0]!r}; it has {', '.join(frame)}; needed are {', '.join(COLUMNS)}")
    if frame.empty:
        raise ValueError(f"{file}: no rows")
    for column in COLUMNS:
        empty = frame.index[frame[column].str.strip() == ""]
        if len(empty):
            raise ValueError(f"{file}: row {empty[0] + 1} has no {column}")
    return frame
