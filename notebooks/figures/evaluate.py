"""Two figures of chapter 04: the scores, and one that can be played with."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gpt2news.evaluate import probabilities_of
from gpt2news.show import MODEL, QUIET, RIVAL, dots


def intervals(rows: dict[str, dict[str, float]], label: str) -> plt.Figure:
    """`dots` of named scores (`value`, `low`, `high`): the first is the model, then its rivals."""
    table = pd.DataFrame(list(rows.values())).assign(label=list(rows), colour=RIVAL)
    table.loc[0, "colour"] = MODEL
    return dots(table, label, digits=3, line=0.55)


def temperature(logits: np.ndarray, topics: list[str], value: float) -> plt.Figure:
    """Probabilities of one text, (topics,) logits, at temperature 1 and at `value`.

    Topics in the order of their logits, the first ten.
    """
    order = np.argsort(-logits)[:10]
    places = np.arange(len(order))
    figure, axis = plt.subplots(figsize=(7.2, 0.9 + 0.42 * len(order)))
    for shift, t, colour in ((-0.2, 1.0, QUIET), (0.2, value, MODEL)):
        shares = probabilities_of(logits[None], t)[0, order]
        bars = axis.barh(
            places + shift, shares, height=0.38, color=colour, label=f"temperature {t:g}"
        )
        axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axis.set(xlim=(0, 1.12), xlabel="probability")
    axis.set_yticks(places, [topics[i] for i in order])
    axis.invert_yaxis()
    axis.legend(fontsize=8, loc="lower right")
    return figure
