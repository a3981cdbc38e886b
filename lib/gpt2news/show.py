"""The look of every figure, and the figures that need more than a few lines. The only place that sets colours and type."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from functools import wraps

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython import get_ipython
from IPython.display import HTML, display

from gpt2news.run import Run, atomic

# Okabe and Ito's palette, safe for colour-blind readers; in the order of use.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000"]
MODEL, RIVAL, QUIET = COLOURS[0], COLOURS[4], "#8a8f98"
DPI = 160


def style() -> None:
    """Set the look of every figure that follows, and let pandas show whole words."""
    sns.set_theme(style="whitegrid", palette=COLOURS, font_scale=0.95)
    plt.rcParams.update({"figure.figsize": (7.2, 3.6), "figure.constrained_layout.use": True, "axes.titleweight": "bold",
                         "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False})  # fmt: skip
    pd.set_option("display.max_colwidth", 160)


def colour_of(topics: list[str]) -> dict[str, tuple]:
    """A colour a topic, the same in every figure of a run; more than eight topics take a wider palette."""
    palette = COLOURS if len(topics) <= len(COLOURS) else sns.husl_palette(len(topics))
    return dict(zip(sorted(topics), palette, strict=False))


def table(frame: pd.DataFrame) -> HTML:
    """A frame as a plain table: no index, no empty corner; a wide one scrolls inside itself, also by keyboard."""
    wide = {column: "15rem" for column in frame.columns if column in ("begins", "text")}
    label = html.escape(f"table of {', '.join(map(str, frame.columns))}", quote=True)
    inside = frame.to_html(index=False, border=0, col_space=wide or None)
    return HTML(
        f'<div class="scroll" style="overflow-x: auto" role="group" aria-label="{label}" tabindex="0">\n{inside}\n</div>'
    )


def show(figure: plt.Figure, run: Run | None, name: str, alt: str) -> None:
    """Save a figure as `figures/<name>.png` (not without a run), show it with its text alternative, and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    width = round(figure.get_size_inches()[0] * 96)
    plt.close(figure)
    if run is not None:
        with atomic(run.path("figures", f"{name}.png")) as file:
            file.write_bytes(buffer.getvalue())
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt, "width": width, "name": name}})


def marking_words(words: pd.DataFrame) -> plt.Figure:
    """One small bar chart a topic of `explore.marking_words`."""
    topics = words["topic"].unique()
    columns = min(5, len(topics))
    rows = -(-len(topics) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.1 * columns, (2.6 if rows <= 4 else 2.0) * rows), squeeze=False
    )
    for axis in axes.flat[len(topics) :]:
        axis.axis("off")
    for axis, topic in zip(axes.flat, topics, strict=False):
        part = words[words["topic"] == topic][::-1]
        axis.barh(part["word"], part["z"], color=colour_of(topics)[topic])
        axis.set_title(topic, fontsize=10)
        axis.tick_params(labelsize=8)
    figure.supxlabel("z-scored log-odds", fontsize=9)
    return figure


def training_curves(histories: dict[str, list[dict]]) -> plt.Figure:
    """Training and validation loss, and validation accuracy, of one or more `training.json` histories."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    for (name, history), colour in zip(histories.items(), COLOURS, strict=False):
        train = pd.DataFrame([entry for entry in history if "loss" in entry])
        val = pd.DataFrame([entry for entry in history if "eval_loss" in entry])
        left.plot(
            train["epoch"], train["loss"], color=colour, alpha=0.45, label=f"{name}, training"
        )
        left.plot(
            val["epoch"],
            val["eval_loss"],
            color=colour,
            marker="o",
            ms=4,
            label=f"{name}, validation",
        )
        right.plot(val["epoch"], val["eval_accuracy"], color=colour, marker="o", ms=4, label=name)
    left.set(title="loss", xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0, None))
    right.set(title="validation accuracy", xlabel="epoch", ylim=(None, 1.005))
    left.legend(fontsize=8)
    right.legend(fontsize=8, loc="lower right")
    return figure


def confusion(truth: list[str], guess: list[str], topics: list[str]) -> plt.Figure:
    """Confusion matrix in counts; a row is a true topic."""
    table = pd.crosstab(pd.Categorical(truth, topics), pd.Categorical(guess, topics), dropna=False)
    side = min(max(4.2, 0.5 * len(topics) + 1.5), 9.0)  # the width of a page
    size = 10 if len(topics) <= 12 else 7
    figure, axis = plt.subplots(figsize=(side + 0.8, side))
    sns.heatmap(
        table,
        annot=len(topics) <= 20,
        fmt="d",
        annot_kws={"fontsize": size},
        cmap="Blues",
        cbar=False,
        square=True,
        ax=axis,
        xticklabels=topics,
        yticklabels=topics,
    )
    axis.set(xlabel="predicted", ylabel="true topic")
    axis.tick_params(axis="x", rotation=35 if size == 10 else 90, labelsize=size)
    axis.tick_params(axis="y", rotation=0, labelsize=size)
    return figure


def intervals(rows: dict[str, dict[str, float]], label: str) -> plt.Figure:
    """One dot with its 95 % interval a row; the first row is the model, the others are its rivals."""
    figure, axis = plt.subplots(figsize=(7.2, 0.9 + 0.55 * len(rows)))
    for place, score in enumerate(rows.values()):
        colour = MODEL if place == 0 else RIVAL
        axis.plot(
            [score["low"], score["high"]],
            [place, place],
            color=colour,
            lw=3,
            alpha=0.5,
            solid_capstyle="round",
        )
        axis.plot(score["value"], place, "o", color=colour, ms=8)
        axis.annotate(
            f"{score['value']:.3f}",
            (score["value"], place),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    axis.set(
        yticks=range(len(rows)), yticklabels=list(rows), xlabel=label, ylim=(len(rows) - 0.4, -0.7)
    )
    return figure


def reliability(before: pd.DataFrame, after: pd.DataFrame) -> plt.Figure:
    """Accuracy against confidence before and after temperature scaling; dot size is the number of texts."""
    figure, axis = plt.subplots(figsize=(4.6, 4.2))
    axis.plot([0, 1], [0, 1], color=QUIET, lw=1, ls="--", label="perfectly calibrated")
    for table, colour, name in ((before, QUIET, "before"), (after, MODEL, "after temperature")):
        axis.plot(table["confidence"], table["accuracy"], color=colour, alpha=0.6)
        size = 20 + 160 * table["n"] / table["n"].sum()
        axis.scatter(
            table["confidence"], table["accuracy"], s=size, color=colour, alpha=0.8, label=name
        )
    axis.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.04))
    axis.legend(fontsize=8, loc="upper left")
    return figure


def live() -> bool:
    """Is somebody at the notebook? JupyterLab, VS Code and Colab allow the kernel to ask for input; papermill and nbconvert do not."""
    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


def play(draw: Callable, run: Run, name: str, /, **controls) -> None:
    """A figure with controls in a live notebook; the same figure with its first values, without controls, elsewhere.

    Args:
        draw: returns (figure, text alternative); the defaults of its parameters are the first values.
        run, name: as in `show`; what is played with is not saved.
        controls: one a parameter, as `ipywidgets.interact` takes them: a text, (low, high, step), a list.
    """
    if not live():
        figure, alt = draw()
        show(figure, run, name, alt)
        return
    from ipywidgets import Text, interact

    saved = iter([run])  # the first drawing only

    @wraps(draw)
    def redraw(**values):
        figure, alt = draw(**values)
        show(figure, next(saved, None), name, alt)

    for control in interact(redraw, **controls).widget.children:
        if isinstance(control, Text):
            control.layout.width = "44rem"


def waste(shares: dict[str, float]) -> plt.Figure:
    """The share of a batch's work that is padding (0 to 1), a bar a way of making batches; the last is ours."""
    figure, axis = plt.subplots(figsize=(7.2, 0.8 + 0.45 * len(shares)))
    axis.barh(list(shares), [1 - share for share in shares.values()], color=MODEL, label="texts")
    bars = axis.barh(
        list(shares),
        list(shares.values()),
        left=[1 - share for share in shares.values()],
        color=QUIET,
        label="padding",
    )
    axis.bar_label(bars, [f"{share:.0%}" for share in shares.values()], padding=4, fontsize=9)
    axis.set(xlabel="share of the work", xlim=(0, 1.09))
    axis.xaxis.set_major_formatter("{x:.0%}")
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def coloured_words(
    words: list[str],
    values: np.ndarray | list[float],
    title: str,
    shown: int = 20,
    digits: int = 1,
    most: float | None = None,
) -> HTML:
    """The first `shown` words (at most 20), blue for the topic and orange against it, the deeper the stronger.

    Not by colour alone: the strongest words carry a sign and their value, and a reader of the page's source or by ear gets both.
    `most` is the value of the deepest colour (None: the largest here), so that two texts can be compared.
    """
    values = np.asarray(values, dtype=float)
    shown = min(shown, 20)
    most = most or max([1e-9, *np.abs(values)])
    strong = set(np.argsort(-np.abs(values[:shown]))[:3].tolist())
    pieces = []
    for i, (word, value) in enumerate(zip(words[:shown], values[:shown], strict=True)):
        colour, sign = ("0, 114, 178", "+") if value >= 0 else ("213, 94, 0", "−")
        size = f"{abs(value):.{digits}f}"
        mark = f"<sup>{sign}{size}</sup>" if i in strong and size.strip("0.") else ""
        style = f"background: rgba({colour}, {0.45 * min(1, abs(value) / most):.2f}); border-radius: 3px; padding: 1px 2px"
        pieces.append(f'<span style="{style}">{html.escape(word)}{mark}</span>')
    more = " …" if len(words) > shown else ""
    return HTML(f'<p class="words"><b>{html.escape(title)}</b><br>{" ".join(pieces)}{more}</p>')
