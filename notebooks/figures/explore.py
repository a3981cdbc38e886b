"""Words in boxes, a figure of chapters 01 and 03."""

from __future__ import annotations

import matplotlib.pyplot as plt

from figures import colour_of as colour_of
from figures import play as play


def boxes(lines: list[list[tuple[str, str, str]]], unit: float = 7.0) -> plt.Figure:
    """Words in boxes, set like text: a line is a list of (text, fill colour, small print).

    `unit`: points a character.
    """
    lines = lines or [[]]
    # A digit of the small print is a little narrower than a character of the text.
    wide = [
        [unit * (max(len(text), 0.85 * len(small), 1) + 1.4) for text, _, small in line]
        for line in lines
    ]
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
            axis.text(middle, -row - 0.17, small, fontsize=9, color="#57606a", **centred)
            x += space
    axis.set(xlim=(0, width), ylim=(0.7 - len(lines), 0.65))
    axis.axis("off")
    return figure
