"""Figures of chapter 04: scores with their intervals, a slider, words in colour (05, too)."""

from __future__ import annotations

import html

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML

from figures import play as play
from gpt2news.evaluate import probabilities_of
from gpt2news.show import MODEL, QUIET, RIVAL, plain


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
        axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    axis.set(xlim=(0, 1.12), xlabel="probability")
    axis.set_yticks(places, [plain(topics[i]) for i in order])
    axis.invert_yaxis()
    axis.legend(fontsize=9, loc="lower right")
    return figure


def dots(rows: pd.DataFrame, label: str, digits: int = 0, line: float = 0.36) -> plt.Figure:
    """A dot with its interval a row, from top to bottom.

    Args:
        rows: columns `label`, `value`, `low`, `high`, and `colour` (else all as `MODEL`; a `QUIET`
            row has a grey label too).
        label: of the horizontal axis.
        digits: of the value that is written over a dot; 0: none is written.
        line: inches a row.
    """
    rows = rows if "colour" in rows else rows.assign(colour=MODEL)
    figure, axis = plt.subplots(figsize=(7.2, 0.9 + line * len(rows)))
    places = range(len(rows))
    axis.hlines(places, rows["low"], rows["high"], colors=rows["colour"], lw=3, alpha=0.5)
    axis.scatter(rows["value"], places, c=rows["colour"], s=50, zorder=3)
    for place, value in enumerate(rows["value"] if digits else []):
        above = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center", "fontsize": 9}
        axis.annotate(f"{value:.{digits}f}", (value, place), **above)
    axis.set(xlabel=label, ylim=(len(rows) - 0.4, -0.7))
    axis.set_yticks(places, [plain(text, 48) for text in rows["label"]])
    for text, colour in zip(axis.get_yticklabels(), rows["colour"], strict=True):
        text.set_color("#767b84" if colour == QUIET else "#262626")
    return figure


def intervals(rows: dict[str, dict[str, float]], label: str) -> plt.Figure:
    """`dots` of named scores (`value`, `low`, `high`): the first is the model, then its rivals."""
    table = pd.DataFrame(list(rows.values())).assign(label=list(rows), colour=RIVAL)
    table.loc[0, "colour"] = MODEL
    return dots(table, label, digits=3, line=0.55)


def coloured_words(
    words: list[str],
    values: np.ndarray | list[float],
    title: str,
    digits: int = 1,
    most: float | None = None,
) -> HTML:
    """The first 20 words, blue for the topic and orange against it.

    Not by colour alone: the three strongest words carry a sign and their value. `most` is the
    value of the deepest colour (None: the largest here), so that two texts can be compared.
    """
    sizes = np.abs(np.asarray(values, dtype=float))
    most = most or sizes.max(initial=1e-9)
    strong = np.argsort(-sizes[:20])[:3]
    pieces = []
    for i, word in enumerate(words[:20]):
        colour, sign = ("0, 114, 178", "+") if values[i] >= 0 else ("213, 94, 0", "−")
        size = f"{sizes[i]:.{digits}f}"
        mark = f"<sup>{sign}{size}</sup>" if i in strong and float(size) else ""
        shade = f"background: rgba({colour}, {0.45 * min(1, sizes[i] / most):.2f})"
        box = f"{shade}; border-radius: 3px; padding: 1px 2px"
        pieces.append(f'<span style="{box}">{html.escape(word)}{mark}</span>')
    more = " …" if len(words) > 20 else ""
    title = html.escape(title)
    return HTML(f'<p class="words"><b>{title}</b><br>{" ".join(pieces)}{more}</p>')
