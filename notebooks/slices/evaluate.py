"""Where the model is weak: slices of the test."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gpt2news.evaluate import wilson

SMALL = 20  # a slice of fewer texts says next to nothing


def by_length(words: list[int] | np.ndarray) -> pd.Categorical:
    """(n,) each text's quarter by length, such as `200 to 310 words`.

    Fewer groups when many texts are equally long; none when all are.
    """
    quarters = pd.qcut(words, 4, duplicates="drop")  # (left, right]
    names = [f"{int(q.left) + 1} to {int(q.right)} words" for q in quarters.categories]
    return quarters.rename_categories(names)


def slice_table(right: np.ndarray, slices: dict[str, pd.Series | np.ndarray]) -> pd.DataFrame:
    """Accuracy with its Wilson interval for each group of each slice, if it is not all the texts.

    Args:
        right: (n,) whether the answer is right.
        slices: name -> (n,) the group that each text is in; None where it is in none.

    Returns:
        Columns `slice`, `group`, `n`, `value`, `low`, `high`, `small` (fewer than `SMALL` texts).
    """
    rows = []
    for name, labels in slices.items():
        for group, inside in pd.Series(right).groupby(pd.Series(labels), observed=True):
            if len(inside) < len(right):
                share = wilson(inside.sum(), len(inside))
                rows.append({"slice": name, "group": str(group), "n": len(inside), **share})
    table = pd.DataFrame(rows, columns=["slice", "group", "n", "value", "low", "high"])
    return table.assign(small=table["n"] < SMALL)
