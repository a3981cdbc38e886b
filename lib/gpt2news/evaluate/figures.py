"""The figures of chapter 04 that need more than a few lines, and words in colour."""

from __future__ import annotations


import matplotlib.pyplot as plt
import numpy as np
import pandas as pd


from gpt2news.show import MODEL, QUIET, RIVAL


def folds(study: dict, rival: str) -> plt.Figure:
    """One dot a training of the `folds` study, model above its rival; a line joins the two of a fold, the bar is the mean."""
    runs = pd.DataFrame(list(study["units"].values()))
    figure, axis = plt.subplots(figsize=(7.2, 2.2))
    shift = np.linspace(-0.16, 0.16, len(runs)) if len(runs) > 1 else [0.0]
    for place, (column, colour) in enumerate((("accuracy", MODEL), ("baseline", RIVAL))):
        axis.scatter(
            runs[column], place + np.asarray(shift), s=26, color=colour, alpha=0.75, zorder=3
        )
        axis.plot([runs[column].mean()] * 2, [place - 0.3, place + 0.3], color=colour, lw=2.5)
        axis.annotate(f"{runs[column].mean():.3f}", (runs[column].mean(), place - 0.32), (0, 2), textcoords="offset points", ha="center",
                      fontsize=9)  # fmt: skip
    for up, left, right in zip(shift, runs["accuracy"], runs["baseline"], strict=True):
        axis.plot([left, right], [up, 1 + up], color=QUIET, lw=0.7, alpha=0.6)
    axis.set(
        yticks=[0, 1],
        yticklabels=["fine-tuned model", rival],
        ylim=(1.45, -0.65),
        xlabel=f"accuracy, {len(runs)} trainings",
    )
    return figure


def slices(table: pd.DataFrame) -> plt.Figure:
    """Accuracy with its 95 % interval a slice; slices of few texts in grey."""
    figure, axis = plt.subplots(figsize=(7.2, 0.8 + 0.32 * len(table)))
    for place, row in enumerate(table.itertuples()):
        colour = "#b9bec6" if row.small else MODEL
        axis.plot(
            [row.low, row.high],
            [place, place],
            color=colour,
            lw=3,
            alpha=0.5,
            solid_capstyle="round",
        )
        axis.plot(row.value, place, "o", color=colour, ms=6)
    labels = [f"{row.group}  (n = {row.n})" for row in table.itertuples()]
    axis.set(
        yticks=range(len(table)),
        yticklabels=labels,
        xlabel="test accuracy, 95 % interval",
        ylim=(len(table) - 0.4, -0.6),
    )
    for label, small in zip(axis.get_yticklabels(), table["small"], strict=True):
        label.set_color("#767b84" if small else "#262626")
    for place in np.flatnonzero(table["slice"].to_numpy()[1:] != table["slice"].to_numpy()[:-1]):
        axis.axhline(place + 0.5, color=QUIET, lw=0.6, alpha=0.5)
    return figure


def deletion(table: pd.DataFrame) -> plt.Figure:
    """Mean fall of the topic's probability against the share of words taken out, strongest first and at random, with 95 % bands."""
    figure, axis = plt.subplots(figsize=(5.6, 3.4))
    for column, colour, name in (
        ("strongest", MODEL, "the strongest words out"),
        ("random", QUIET, "as many random words out"),
    ):
        by_share = table.groupby("share")[column]
        mean, error = by_share.mean(), 1.96 * by_share.std().fillna(0) / np.sqrt(by_share.size())
        axis.plot(mean.index, mean, "o-", color=colour, ms=5, label=name)
        axis.fill_between(mean.index, mean - error, mean + error, color=colour, alpha=0.18, lw=0)
    axis.set(xlabel="share of the words taken out", ylabel="fall of the probability")
    axis.legend(fontsize=8, loc="upper left")
    return figure


def ablation(table: pd.DataFrame) -> plt.Figure:
    """Mean accuracy and the range over seeds, a row of the ablation each, the best on top."""
    table = table.sort_values("accuracy", ascending=False)
    figure, axis = plt.subplots(figsize=(7.2, 0.9 + 0.36 * len(table)))
    for place, row in enumerate(table.itertuples()):
        colour = RIVAL if row.row == "article" else MODEL
        axis.plot(
            [row.low, row.high],
            [place, place],
            color=colour,
            lw=3,
            alpha=0.5,
            solid_capstyle="round",
        )
        axis.plot(row.accuracy, place, "o", color=colour, ms=6)
    axis.set(yticks=range(len(table)), yticklabels=table["row"], xlabel="validation accuracy, mean and range over the seeds",
             ylim=(len(table) - 0.4, -0.6))  # fmt: skip
    return figure


def learning_curve(table: pd.DataFrame, rival: str) -> plt.Figure:
    """Test accuracy of model and rival against the number of training texts (logarithmic), with one standard deviation over seeds."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for column, colour, name in (("model", MODEL, "fine-tuned model"), ("baseline", RIVAL, rival)):
        sd = table[f"{column}_sd"].astype(float).fillna(0)
        axis.errorbar(
            table["texts"],
            table[column],
            yerr=sd,
            fmt="o-",
            color=colour,
            ms=5,
            capsize=3,
            label=name,
        )
    axis.set(xscale="log", xlabel="training texts", ylabel="test accuracy")
    axis.set_xticks(table["texts"], [f"{n:,}" for n in table["texts"]])
    axis.minorticks_off()
    axis.legend(fontsize=8, loc="lower right")
    return figure
