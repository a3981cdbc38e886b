"""What the model gets wrong: the surest mistakes, the training text nearest to each, and labels that look wrong."""

from __future__ import annotations

import pandas as pd

from gpt2news.corpus import excerpt


def confident_mistakes(part: pd.DataFrame, table: pd.DataFrame, n: int = 8) -> pd.DataFrame:
    """The wrong answers that the model was surest of, with at most 20 words of each text."""
    frame = table.assign(begins=part["text"].map(excerpt).to_numpy())
    wrong = frame[frame["predicted"] != frame["topic"]].sort_values("confidence", ascending=False)
    return wrong.loc[:, ["source_id", "topic", "predicted", "confidence", "baseline", "begins"]].head(n).reset_index(drop=True)
