"""The score of parts of the test: long and short texts, cut or whole ones, pairs of topics, border cases."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from gpt2news.explore import SAMPLE
from gpt2news.evaluate.scoring import wilson

SMALL = 20


def by_length(words: np.ndarray, parts: int = 4) -> pd.Series:
    """(n,) label of each text's quarter by length, such as `200 to 310 words`; fewer parts when many texts are equally long."""
    edges = np.unique(np.quantile(words, np.linspace(0, 1, parts + 1)).round().astype(int))
    if len(edges) < 2:
        return pd.Series([f"{words[0]} words"] * len(words))
    place = np.clip(np.searchsorted(edges, words, side="right") - 1, 0, len(edges) - 2)
    last = len(edges) - 2
    labels = [f"{edges[i]} to {edges[i + 1] - (i < last)} words" for i in range(last + 1)]
    return pd.Series([labels[i] for i in place])


def slice_table(right: np.ndarray, slices: dict[str, pd.Series | np.ndarray]) -> pd.DataFrame:
    """Accuracy with its Wilson interval for each value of each slice.

    Args:
        right: (n,) whether the answer is right.
        slices: name -> (n,) the group that each text is in; None where it is in none.

    Returns:
        Columns `slice`, `group`, `n`, `value`, `low`, `high`, `small` (n under 20: read with care); groups in order of appearance
        for `length`, else sorted.
    """
    rows = []
    for name, labels in slices.items():
        labels = pd.Series(labels).reset_index(drop=True)
        for group in sorted(labels.dropna().unique(), key=_natural):
            inside = (labels == group).to_numpy()
            rows.append(
                (
                    name,
                    str(group),
                    int(inside.sum()),
                    *wilson(right[inside].sum(), inside.sum()).values(),
                )
            )
    table = pd.DataFrame(rows, columns=["slice", "group", "n", "value", "low", "high"])
    return table.assign(small=table["n"] < SMALL)


def _natural(label: str) -> tuple:
    first = str(label).split()[0]
    return (0, int(first), "") if first.isdigit() else (1, 0, str(label))


def topic_pairs(truth: np.ndarray, guess: np.ndarray, topics: list[str]) -> pd.DataFrame:
    """How often two topics are taken for one another: `pair`, `n` (texts of both), `mixed_up`, and the share with its interval.

    Pairs that are never mixed up are left out.
    """
    rows = []
    for a, b in combinations(range(len(topics)), 2):
        n = int(np.isin(truth, (a, b)).sum())
        mixed = int(((truth == a) & (guess == b)).sum() + ((truth == b) & (guess == a)).sum())
        if mixed:
            rows.append((f"{topics[a]} / {topics[b]}", n, mixed, *wilson(mixed, n).values()))
    table = pd.DataFrame(rows, columns=["pair", "n", "mixed_up", "value", "low", "high"])
    return table.sort_values(["mixed_up", "pair"], ascending=[False, True], ignore_index=True)


def border_cases(source_ids: pd.Series) -> np.ndarray:
    """(n,) `near a border` or `clear`, for texts of the shipped sample: its column `border` names the second topic of an article."""
    table = pd.read_csv(SAMPLE, dtype=str, keep_default_na=False).set_index("source_id")["border"]
    return np.where(table.loc[source_ids] != "", "near a border", "clear")
