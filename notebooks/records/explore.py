"""Chapter 01's section of metrics.json."""

from __future__ import annotations

import pandas as pd

from gpt2news.explore import corpora, locate
from gpt2news.run import sha256_of


def describe(dataset: str, texts: pd.DataFrame, unique: int) -> dict:
    """The section `dataset` of metrics.json: name, hash of the file, counts, topics."""
    path, left_out = locate(dataset), texts.attrs.get("left_out", [])
    return {
        "name": dataset if dataset in corpora().LABELS else path.name,
        "sha256": sha256_of(path),
        "rows_sha256": texts.attrs.get("sha256"),
        "rows": len(texts),
        "unique": unique,
        "duplicates_removed": len(texts) - unique,
        "left_out": len(left_out),
        "left_out_rows": left_out[:20],
        "topics": sorted(texts["topic"].unique()),
    }
