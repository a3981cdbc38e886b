"""Figures and tables that every chapter shares; the only place that sets colours and type."""

from __future__ import annotations

import base64
import html
import unicodedata
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import HTML, display

from gpt2news.run import Run, atomic, companion

# Okabe and Ito's palette, safe for colour-blind readers; in the order of use.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000"]
MODEL, RIVAL, QUIET = COLOURS[0], COLOURS[4], "#8a8f98"
DPI = 160
SMALLEST = 9  # points: 12 pixels where an inch has 96
# Characters that mean something to Markdown or HTML; a dollar alone in an element opens no formula.
MARKUP = str.maketrans({c: f"&#{ord(c)};" for c in r"&<>|`*_~[]\!#"} | {"$": "<span>$</span>"})


def style() -> None:
    """Set the look of every figure that follows, and let pandas show whole words."""
    sns.set_theme(style="whitegrid", palette=COLOURS, font_scale=0.95)
    plt.style.use(Path(__file__).with_name("figures.mplstyle"))
    pd.set_option("display.max_colwidth", 160)


def plain(label: object, shown: int = 32, markup: bool = False) -> str:
    """A label from the data, safe to show: one line of `shown` characters, none invisible.

    With `markup` for Markdown and HTML; else for figures and `table`, which escapes.
    """
    # Category C: control characters, and those that turn the direction of what follows.
    visible = [" " if unicodedata.category(c)[0] == "C" else c for c in str(label)]
    text = " ".join("".join(visible).split())
    if len(text) > shown:
        text = f"{text[: shown // 2]}…{text[1 - (shown + 1) // 2 :]}"  # labels may begin alike
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
    letters = figure.findobj(plt.Text)
    for text in letters:
        text.set_fontsize(max(text.get_fontsize(), SMALLEST))
    content = companion("figures", "_fonts").drawn(figure, format="png", dpi=DPI, facecolor="white")
    width = round(figure.get_size_inches()[0] * 96)
    sizes = [text.get_fontsize() for text in letters]
    # Narrower than this, and letters are under 12 px.
    least = round(width * SMALLEST / min(sizes, default=SMALLEST))
    plt.close(figure)
    if run is not None:
        with atomic(run.path("figures", f"{name}.png")) as file:
            file.write_bytes(content)
    data = {"image/png": base64.b64encode(content).decode(), "text/plain": alt}
    about = {"alt": alt, "width": width, "least": least, "name": name}
    display(data, raw=True, metadata={"image/png": about})
