"""The pictures of chapter 03."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from figures import colour_of
from figures import play as play
from figures.explore import boxes as boxes
from gpt2news.show import COLOURS, MODEL, QUIET, RIVAL


def attention_masks(tokens: list[str]) -> plt.Figure:
    """Who may look at whom in GPT-2 and in BERT; the row that is asked is outlined."""
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 4.6))
    rows = {"GPT-2 asks its last token": tokens, "BERT asks its first token": ["[CLS]", *tokens]}
    for axis, (title, names) in zip(axes, rows.items(), strict=True):
        n, causal = len(names), names is tokens
        mask = np.tril(np.ones((n, n))) if causal else np.ones((n, n))
        colours = ["#f0f2f5", MODEL] if causal and n > 1 else [MODEL]
        labels = {"xticklabels": names, "yticklabels": names}
        sns.heatmap(mask, ax=axis, cmap=colours, cbar=False, linewidths=1, square=True, **labels)
        asked = (0, n - 1) if causal else (0, 0)
        axis.add_patch(plt.Rectangle(asked, n, 1, fill=False, ec=RIVAL, lw=2.5, clip_on=False))
        axis.set_title(title, fontsize=10)
        axis.set(xlabel="may look at", ylabel="token")
        axis.tick_params(axis="x", rotation=60, labelsize=9)
        axis.tick_params(axis="y", rotation=0, labelsize=9)
    return figure


def padding(long: list[str], short: list[str]) -> plt.Figure:
    """Two texts of a batch padded on the right, then on the left; positions underneath."""
    lines = []
    for side in ("right", "left"):
        for pieces in (long, short):
            filling = [("·", QUIET, "")] * (len(long) - len(pieces))
            start = len(filling) if side == "left" else 0
            real = [(piece.strip(), MODEL, str(start + i)) for i, piece in enumerate(pieces)]
            real[-1] = (real[-1][0], RIVAL, real[-1][2])
            lines.append(filling + real if side == "left" else real + filling)
    # A position of two digits takes two characters: each column is as wide in every line.
    widths = [
        max(len(part) for line in lines for part in (line[j][0], line[j][2]))
        for j in range(len(long))
    ]
    centred = []
    for line in lines:
        cells = zip(line, widths, strict=True)
        centred.append(
            [(text.center(wide), colour, small) for (text, colour, small), wide in cells]
        )
    return boxes(centred)


def word_by_word(words: list[str], probabilities: np.ndarray, topics: list[str]) -> plt.Figure:
    """(words, topics) probabilities after each word of a text: one line a topic."""
    figure, axis = plt.subplots(figsize=(max(5.0, 0.42 * len(words) + 1.6), 3.6))
    colours = colour_of(topics)
    shown = probabilities[-1].argsort()[::-1][:8]
    for i, topic in enumerate(topics):
        look = {"color": colours[topic], "lw": 2.4 if i == shown[0] else 1.4}
        label = topic if i in shown else None
        axis.plot(probabilities[:, i], marker="o", ms=3, label=label, **look)
    axis.set(ylim=(0, 1.03), ylabel="probability", xticks=range(len(words)), xticklabels=words)
    axis.tick_params(axis="x", rotation=50, labelsize=9)
    axis.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def training_curves(histories: dict[str, list[dict]]) -> plt.Figure:
    """Loss and validation accuracy by epoch, of one or more histories of training.json."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    for (name, history), colour in zip(histories.items(), COLOURS, strict=False):
        train = pd.DataFrame([entry for entry in history if "loss" in entry])
        val = pd.DataFrame([entry for entry in history if "eval_loss" in entry])
        look = {"color": colour, "marker": "o", "ms": 4}
        left.plot(
            train["epoch"], train["loss"], color=colour, alpha=0.45, label=f"{name}, training"
        )
        left.plot(val["epoch"], val["eval_loss"], label=f"{name}, validation", **look)
        right.plot(val["epoch"], val["eval_accuracy"], **look)
    left.set(title="loss", xlabel="epoch", ylabel="cross-entropy", ylim=(0, None))
    right.set(title="validation accuracy", xlabel="epoch", ylim=(None, 1.005))
    # One legend for both, outside: four lines leave no corner free.
    lines = left.get_legend_handles_labels()
    figure.legend(*lines, fontsize=9, loc="outside lower center", ncols=2)
    return figure
