"""Small figures that explain an idea where a notebook uses it: tokens, twins, masks, padding, temperature. The look is set in `plots`."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from gpt2news.show import COLOURS, MODEL, QUIET, RIVAL, colour_of


def boxes(lines: list[list[tuple[str, str, str]]], unit: float = 7.0) -> plt.Figure:
    """Words or tokens in boxes, set like text: a line is a list of (text, fill colour, small print under the box)."""
    width = max(sum(unit * (max(len(text), 1) + 1.4) for text, *_ in line) for line in lines)
    figure, axis = plt.subplots(figsize=(max(width, 360) / 72 + 0.1, 0.5 * len(lines)))
    for row, line in enumerate(lines):
        x = 0.0
        for text, colour, small in line:
            wide = unit * (max(len(text), 1) + 1.4)
            axis.add_patch(plt.Rectangle((x, -row), wide - 2, 0.58, color=colour, alpha=0.28, lw=0))
            axis.text(
                x + wide / 2 - 1,
                -row + 0.27,
                text,
                ha="center",
                va="center",
                family="monospace",
                fontsize=10.5,
            )
            axis.text(
                x + wide / 2 - 1,
                -row - 0.17,
                small,
                ha="center",
                va="center",
                fontsize=6.5,
                color="#57606a",
            )
            x += wide
    axis.set(xlim=(0, max(width, 360)), ylim=(0.7 - len(lines), 0.65))
    axis.axis("off")
    return figure


def tokens(pieces: list[str], ids: list[int], width: int = 78) -> plt.Figure:
    """A text cut into tokens, their numbers underneath; a word kept whole has one colour, the parts of a cut word another.

    Args:
        pieces: the tokens as text; one that starts with a space starts a word.
        ids: their numbers.
        width: characters a line, about.
    """
    words: list[list[int]] = []
    for i, piece in enumerate(pieces):
        if i == 0 or piece.startswith(" "):
            words.append([])
        words[-1].append(i)
    lines, used = [[]], 0
    for word in words:
        parts = [(pieces[i].strip().replace("\ufffd", "▯"), str(ids[i])) for i in word]
        letters = [text for text, _ in parts if any(c.isalnum() or c == "▯" for c in text)]
        colour = MODEL if len(letters) <= 1 else RIVAL
        length = sum(len(text) + 1.4 for text, _ in parts)
        if used and used + length > width:
            lines, used = [*lines, []], 0
        lines[-1] += [
            (text, colour if text in letters else QUIET, number) for text, number in parts
        ]
        used += length
    return boxes(lines)


def shared_runs(texts: list[str], size: int) -> plt.Figure:
    """Texts word by word; the words that stand in a run of `size` words that all the texts have are coloured."""
    words = [text.split() for text in texts]
    runs = [{tuple(w[i : i + size]) for i in range(len(w) - size + 1)} for w in words]
    both = set.intersection(*runs)
    marked = [
        {
            j
            for i in range(len(w) - size + 1)
            if tuple(w[i : i + size]) in both
            for j in range(i, i + size)
        }
        for w in words
    ]
    return boxes(
        [
            [(word, MODEL if i in m else QUIET, "") for i, word in enumerate(w)]
            for w, m in zip(words, marked, strict=True)
        ]
    )


def straddling(
    families: np.ndarray, draws: dict[str, np.ndarray], parts: tuple[str, ...]
) -> plt.Figure:
    """Where the members of each family of twins stand, one panel a draw; lines join twins, heavy ones cross from part to part.

    Args:
        families: (n,) family number of each text.
        draws: title -> (n,) part of each text; a part that is not one of `parts`: the text was taken out.
        parts: the parts, from left to right.
    """
    figure, axes = plt.subplots(len(draws), 1, figsize=(7.2, 1.75 * len(draws)), squeeze=False)
    sizes = np.bincount(families)
    colour = dict(zip(np.flatnonzero(sizes > 1), COLOURS * 9, strict=False))
    for axis, (title, drawn) in zip(axes.flat, draws.items(), strict=True):
        place, left = {}, 0.0
        for part in parts:
            members = np.flatnonzero(drawn == part)
            columns = -(-len(members) // 4)
            axis.add_patch(
                plt.Rectangle((left - 0.6, -0.6), columns + 0.2, 4.2, color="#f0f2f5", zorder=0)
            )
            axis.text(left - 0.45, 3.85, f"{part}, {len(members)}", fontsize=9, va="bottom")
            place.update({i: (left + k // 4, 3 - k % 4) for k, i in enumerate(members)})
            left += columns + 1.4
        for number, tint in colour.items():
            inside = [i for i in np.flatnonzero(families == number) if i in place]
            for a, b in pairwise(inside):
                crosses = drawn[a] != drawn[b]
                axis.plot(
                    *zip(place[a], place[b], strict=True),
                    color=tint,
                    lw=2.2 if crosses else 1,
                    ls="-" if crosses else ":",
                    zorder=1,
                )
        for i, (x, y) in place.items():
            axis.plot(
                x,
                y,
                "o",
                color=colour.get(families[i], "#b6bcc4"),
                ms=7 if families[i] in colour else 5,
                zorder=2,
            )
        axis.set_title(title, fontsize=10, pad=14)
        axis.set(xlim=(-0.7, left - 0.6), ylim=(-0.7, 4.4))
        axis.axis("off")
    return figure


def attention_masks(tokens: list[str]) -> plt.Figure:
    """Who may look at whom, in GPT-2 and in BERT: row token, column token; the row that is asked for the topic is outlined."""
    n = len(tokens)
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 4.3))
    for axis, title, mask, asked in zip(
        axes,
        ("GPT-2 asks the last", "BERT asks the first"),
        (np.tril(np.ones((n, n))), np.ones((n, n))),
        (n - 1, 0),
        strict=True,
    ):
        sns.heatmap(mask, ax=axis, cmap=["#f0f2f5", MODEL] if mask.min() == 0 else [MODEL], cbar=False, linewidths=1, square=True,
                    xticklabels=tokens, yticklabels=tokens)  # fmt: skip
        axis.add_patch(plt.Rectangle((0, asked), n, 1, fill=False, ec=RIVAL, lw=2.5, clip_on=False))
        axis.set_title(title, fontsize=10)
        axis.set(xlabel="may look at", ylabel="token")
        axis.tick_params(axis="x", rotation=60, labelsize=8)
        axis.tick_params(axis="y", rotation=0, labelsize=8)
    return figure


def padding(long: list[str], short: list[str]) -> plt.Figure:
    """Two texts of a batch filled up on the right, then on the left; positions underneath, the token that is asked in another colour."""
    lines = []
    for side in ("right", "left"):
        for pieces in (long, short):
            filling = [("·", QUIET, "")] * (len(long) - len(pieces))
            start = len(filling) if side == "left" else 0
            real = [(piece.strip(), MODEL, str(start + i)) for i, piece in enumerate(pieces)]
            real[-1] = (real[-1][0], RIVAL, real[-1][2])
            lines.append(filling + real if side == "left" else real + filling)
    widths = [max(len(line[j][0]) for line in lines) for j in range(len(long))]
    return boxes(
        [
            [
                (text.center(w), colour, place)
                for (text, colour, place), w in zip(line, widths, strict=True)
            ]
            for line in lines
        ]
    )


def word_by_word(words: list[str], probabilities: np.ndarray, topics: list[str]) -> plt.Figure:
    """(words, topics) probabilities after each word of a text: one line a topic."""
    figure, axis = plt.subplots(figsize=(max(5.0, 0.42 * len(words) + 1.6), 3.6))
    colours = colour_of(topics)
    last = probabilities[-1].argsort()[::-1][:8]
    for i, topic in enumerate(topics):
        axis.plot(
            probabilities[:, i],
            color=colours[topic],
            lw=2.4 if i == last[0] else 1.4,
            marker="o",
            ms=3,
            label=topic if i in last else None,
        )
    axis.set(ylim=(0, 1.03), ylabel="probability", xticks=range(len(words)), xticklabels=words)
    axis.tick_params(axis="x", rotation=50, labelsize=8)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def temperature(logits: np.ndarray, topics: list[str], value: float) -> plt.Figure:
    """Probabilities of one text at temperature 1 and at `value`; topics in the order of their scores, the ten first."""
    order = np.argsort(-logits)[:10]
    figure, axis = plt.subplots(figsize=(7.2, 0.9 + 0.42 * len(order)))
    for shift, t, colour in ((-0.2, 1.0, QUIET), (0.2, value, MODEL)):
        scaled = np.exp((logits - logits.max()) / t)
        bars = axis.barh(
            np.arange(len(order)) + shift,
            (scaled / scaled.sum())[order],
            height=0.38,
            color=colour,
            label=f"temperature {t:g}",
        )
        axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axis.set(
        yticks=range(len(order)),
        yticklabels=[topics[i] for i in order],
        xlim=(0, 1.12),
        xlabel="probability",
    )
    axis.invert_yaxis()
    axis.legend(fontsize=8, loc="lower right")
    return figure


def thresholds(confidence: np.ndarray, right: np.ndarray, threshold: float) -> plt.Figure:
    """Confidence of the right and of the wrong answers, on either side of a threshold."""
    figure, axis = plt.subplots(figsize=(7.2, 3.0))
    bins = np.linspace(min(0.2, confidence.min()), 1, 33)
    axis.hist(
        [confidence[right], confidence[~right]],
        bins=bins,
        stacked=True,
        color=[MODEL, RIVAL],
        label=["right", "wrong"],
        edgecolor="white",
    )
    axis.axvline(threshold, color="black", ls="--")
    axis.axvspan(axis.get_xlim()[0], threshold, color=QUIET, alpha=0.18, lw=0)
    axis.annotate("not sure ", (threshold, 0.93), xycoords=("data", "axes fraction"), ha="right")
    axis.annotate(" answered", (threshold, 0.93), xycoords=("data", "axes fraction"))
    axis.set(xlabel="confidence", ylabel="texts", xlim=(bins[0], 1))
    axis.margins(y=0.18)
    axis.legend(fontsize=8, loc="center left")
    return figure
