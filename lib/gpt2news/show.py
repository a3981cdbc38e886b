"""Figures and tables that every chapter shares; the only place that sets colours and type."""

from __future__ import annotations

import base64
import html
import io
import unicodedata
from collections.abc import Callable
from functools import wraps
from inspect import signature

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
# Characters that mean something to Markdown or HTML; a dollar alone in an element opens no formula.
MARKUP = str.maketrans({c: f"&#{ord(c)};" for c in r"&<>|`*_~[]\!#"} | {"$": "<span>$</span>"})


def style() -> None:
    """Set the look of every figure that follows, and let pandas show whole words."""
    look = {
        "figure.figsize": (7.2, 3.6),
        "figure.constrained_layout.use": True,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,  # a topic called "$a$ to $b$" is no formula
    }
    sns.set_theme(style="whitegrid", palette=COLOURS, font_scale=0.95, rc=look)
    pd.set_option("display.max_colwidth", 160)


def colour_of(topics: list[str]) -> dict[str, tuple]:
    """A colour a topic, the same in every figure of a run; over eight topics a wider palette."""
    palette = COLOURS if len(topics) <= len(COLOURS) else sns.husl_palette(len(topics))
    return dict(zip(sorted(topics), palette, strict=False))


def plain(label: object, shown: int = 32, markup: bool = False) -> str:
    """A label from the data, safe to show: one line of `shown` characters, none invisible.

    With `markup` for Markdown and HTML; else for figures and `table`, which escapes.
    """
    # Category C: control characters, and those that turn the direction of what follows.
    visible = [" " if unicodedata.category(c)[0] == "C" else c for c in str(label)]
    text = " ".join("".join(visible).split())
    if len(text) > shown:
        text = text[: shown - 1].rstrip() + "…"
    return text.translate(MARKUP) if markup else text


def table(frame: pd.DataFrame) -> HTML:
    """A frame as a plain table: no index; a wide one scrolls inside itself, also by keyboard."""
    wide = {column: "15rem" for column in frame.columns if column in ("begins", "text")}
    label = html.escape(f"table of {', '.join(map(str, frame.columns))}", quote=True)
    inside = frame.to_html(index=False, border=0, col_space=wide or None)
    inside = inside.replace("$", "<span>$</span>")  # two in one cell would be read as a formula
    return HTML(
        '<div class="scroll" style="overflow-x: auto" role="group" '
        f'aria-label="{label}" tabindex="0">\n{inside}\n</div>'
    )


def show(figure: plt.Figure, run: Run | None, name: str, alt: str) -> None:
    """Save a figure as `figures/<name>.png` (if there is a run), show it with the text `alt`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    width = round(figure.get_size_inches()[0] * 96)
    sizes = [text.get_fontsize() for text in figure.findobj(plt.Text)]
    least = round(width * 9 / min(sizes, default=9))  # narrower, and letters are under 12 px
    plt.close(figure)
    if run is not None:
        with atomic(run.path("figures", f"{name}.png")) as file:
            file.write_bytes(buffer.getvalue())
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": alt}
    about = {"alt": alt, "width": width, "least": least, "name": name}
    display(data, raw=True, metadata={"image/png": about})


def play(draw: Callable, run: Run, name: str, /, **controls) -> None:
    """A figure with controls in a live notebook; elsewhere the figure with its first values.

    Args:
        draw: returns (figure, text alternative); its defaults are the first values.
        run, name: as in `show`; only the first figure is saved.
        controls: one a parameter, as `ipywidgets.interact` takes them; any text is a field.
    """
    # JupyterLab, VS Code and Colab allow the kernel to ask for input; papermill does not.
    if not getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False):
        figure, alt = draw()
        show(figure, run, name, alt)
        return
    from ipywidgets import Text, interact

    # interact starts a slider at the function's default, but a field at the text it is given.
    for parameter, control in controls.items():
        if isinstance(control, str):
            controls[parameter] = signature(draw).parameters[parameter].default
    saved = iter([run])  # the first drawing only

    @wraps(draw)
    def redraw(**values):
        figure, alt = draw(**values)
        show(figure, next(saved, None), name, alt)

    for control in interact(redraw, **controls).widget.children:
        if isinstance(control, Text):
            control.layout.width = "44rem"


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


def boxes(lines: list[list[tuple[str, str, str]]], unit: float = 7.0) -> plt.Figure:
    """Words in boxes, set like text: a line is a list of (text, fill colour, small print).

    `unit`: points a character.
    """
    lines = lines or [[]]
    wide = [[unit * (max(len(text), 1) + 1.4) for text, *_ in line] for line in lines]
    width = max([360, *(sum(line) for line in wide)])
    figure, axis = plt.subplots(figsize=(width / 72 + 0.1, 0.5 * len(lines)))
    centred = {"ha": "center", "va": "center"}
    for row, line in enumerate(lines):
        x = 0.0
        for (text, colour, small), space in zip(line, wide[row], strict=True):
            shade = {"color": colour, "alpha": 0.28, "lw": 0}
            axis.add_patch(plt.Rectangle((x, -row), space - 2, 0.58, **shade))
            middle = x + space / 2 - 1
            axis.text(middle, 0.27 - row, text, family="monospace", fontsize=10.5, **centred)
            axis.text(middle, -row - 0.17, small, fontsize=6.5, color="#57606a", **centred)
            x += space
    axis.set(xlim=(0, width), ylim=(0.7 - len(lines), 0.65))
    axis.axis("off")
    return figure


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
