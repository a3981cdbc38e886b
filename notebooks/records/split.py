"""What chapter 02 writes: the parts of the split, and its section of metrics.json."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd

from gpt2news.run import atomic, sha256_of
from gpt2news.split import PARTS
from records.explore import describe as describe


def summary(written: dict, leaks: dict[str, int]) -> dict:
    """The section `split` of metrics.json, of what `write_split` and `check_leaks` returned."""
    sizes = {part: written["counts"][part]["all"] for part in PARTS}
    return {**sizes, **leaks, "seed": written["seed"]}


def write(frame: pd.DataFrame, folder: Path, facts: dict) -> dict:
    """`gpt2news.split.write_split`."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for part in PARTS:
        rows = frame.loc[frame["split"] == part, ["text", "topic", "source_id"]]
        by_topic = rows["topic"].value_counts().sort_index().to_dict()
        counts[part] = {"all": len(rows), **by_topic}
        with atomic(folder / f"{part}.csv") as file:
            # All fields in quotes: else a lone carriage return in a text would start a row.
            rows.to_csv(file, index=False, quoting=csv.QUOTE_ALL)
    groups = frame.groupby("group")["source_id"].apply(list)
    record = {
        **facts,
        "counts": counts,
        "duplicates_removed": int((frame["split"] == "duplicate").sum()),
        "sha256": {part: sha256_of(folder / f"{part}.csv") for part in PARTS},
        "groups": groups[groups.str.len() > 1].tolist(),
    }
    with atomic(folder / "split.json") as file:
        file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record
