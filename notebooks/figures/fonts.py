"""Letters that a figure's font lacks: drawn by another font of this machine, or as their codes."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache

import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter

CODES = 4  # that stand for a run of letters; a label is to stay short
# It has a box for each character there is, which says nothing of what is read.
USELESS = re.compile("last ?resort|blank|emoji", re.IGNORECASE)
# A letter of each of the scripts that many people write and DejaVu Sans, matplotlib's own, lacks.
SCRIPTS = {
    "Chinese": "中",
    "Japanese": "か",
    "Korean": "한",
    "Devanagari": "क",
    "Bengali": "ক",
    "Tamil": "க",
    "Thai": "ก",
    "Amharic": "አ",
}
FIX = (
    "On Debian or Ubuntu: apt-get install fonts-noto-core fonts-noto-cjk; elsewhere install the "
    "Noto fonts (fonts.google.com/noto)"
)


@cache
def letters_of(file: str) -> frozenset[str]:
    """The characters that a font file can draw; none where it cannot be opened."""
    try:
        return frozenset(map(chr, font_manager.get_font(file).get_charmap()))
    except (OSError, RuntimeError):  # a bitmap font, say
        return frozenset()


@cache
def installed() -> dict[str, str]:
    """Family -> file of its plainest face, of all fonts of this machine."""
    manager = font_manager.fontManager
    known = {font.fname for font in manager.ttflist}
    for file in font_manager.findSystemFonts():  # installed after matplotlib made its list
        if file not in known:
            try:
                manager.addfont(file)
            except (OSError, RuntimeError, NotImplementedError):
                continue
    plainest = sorted(manager.ttflist, key=lambda font: (font.style != "normal", _boldness(font)))
    usable = [font for font in plainest if not USELESS.search(font.name)]
    return {font.name: font.fname for font in reversed(usable)}


def _boldness(font: font_manager.FontEntry) -> int:
    weight = font_manager.weight_dict.get(font.weight, font.weight)
    return abs(weight - 400) if isinstance(weight, int) else 400


def families_for(letters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Families that together draw these letters, as few as will do; the letters that none draws."""
    left, families = set(letters), []
    while left:
        drawn = {name: len(left & letters_of(file)) for name, file in installed().items()}
        best = max(drawn, key=drawn.get, default=None)
        if not drawn.get(best):
            break
        families.append(best)
        left -= letters_of(installed()[best])
    return families, left


def coded(text: str, lost: set[str]) -> str:
    """`text` with codes for the letters that cannot be drawn: `[U+8D22 7ECF]`."""

    def codes(run: re.Match) -> str:
        some = " ".join(f"{ord(letter):04X}" for letter in run[0][:CODES])
        return f"[U+{some}{' …' if len(run[0]) > CODES else ''}]"

    return re.sub(f"[{re.escape(''.join(sorted(lost)))}]+", codes, text) if lost else text


def legible(figure: plt.Figure) -> set[str]:
    """Let each text of a drawn figure be read; returns the letters that stand as codes now."""
    texts = [text for text in figure.findobj(plt.Text) if not text.get_text().isascii()]
    letters = set()
    for text in texts:
        letters |= set(text.get_text()) - letters_of(
            font_manager.findfont(text.get_fontproperties())
        )
    families, lost = families_for({letter for letter in letters if not letter.isspace()})
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *families])
        text.set_text(coded(text.get_text(), lost))
    for axis in figure.findobj(Axis) if lost else []:
        # Its labels come anew from the formatter each time that it is drawn.
        labels = [coded(label.get_text(), lost) for label in axis.get_ticklabels()]
        if any(labels):
            axis.set_ticks(axis.get_ticklocs())
            axis.set_major_formatter(FixedFormatter(labels))
            if axis.axis_name == "x":  # codes are wide
                axis.set_tick_params(labelrotation=30)
    return lost


def drawn(figure: plt.Figure, **form) -> bytes:
    """A figure as `savefig` writes it, each label legible; a word on letters that are codes."""

    def saved() -> bytes:
        content = io.BytesIO()
        figure.savefig(content, **form)
        return content.getvalue()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        content = saved()
    missing = [warning for warning in told if "missing from font" in str(warning.message)]
    for other in (warning for warning in told if warning not in missing):
        warnings.warn(other.message, other.category, stacklevel=3)
    if not missing:
        return content
    lost = legible(figure)
    if lost:
        print(notice(lost))
    return saved()


def lacking() -> list[str]:
    """The `SCRIPTS` that no font of this machine has."""
    lost = families_for(SCRIPTS.values())[1]
    return [name for name, letter in SCRIPTS.items() if letter in lost]


def notice(lost: set[str]) -> str:
    """What is said above a figure with codes."""
    letters = [letter for letter in lost if unicodedata.category(letter)[0] in "LM"]
    names = {unicodedata.name(letter, "?").split()[0].capitalize() for letter in letters}
    names |= {"other signs"} if len(letters) < len(lost) else set()
    scripts = ", ".join(sorted(names)).replace("Cjk", "Chinese characters")
    return f"No font of this machine has {scripts}: codes stand for these letters. {FIX}."
