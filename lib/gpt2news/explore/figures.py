"""The figures of chapter 01 that need more than a few lines."""

from __future__ import annotations

import matplotlib.pyplot as plt

from gpt2news.show import MODEL, QUIET, RIVAL, boxes


def tokens(pieces: list[str], ids: list[int], width: int = 78) -> plt.Figure:
    """A text cut into tokens, their numbers underneath.

    A word kept whole has one colour, the parts of a cut word another, punctuation is grey.

    Args:
        pieces: the tokens as text; one that starts with a space starts a word.
        ids: their numbers.
        width: characters a line, about.
    """
    words: list[list[tuple[str, int]]] = []
    for piece, number in zip(pieces, ids, strict=True):
        if not words or piece.startswith(" "):
            words.append([])
        words[-1].append((piece.strip().replace("\ufffd", "▯"), number))
    lines, used = [[]], 0.0
    for word in words:
        letters = [text for text, _ in word if any(c.isalnum() or c == "▯" for c in text)]
        colour = MODEL if len(letters) <= 1 else RIVAL
        length = sum(len(text) + 1.4 for text, _ in word)
        if used and used + length > width:
            lines.append([])
            used = 0.0
        for text, number in word:
            lines[-1].append((text, colour if text in letters else QUIET, str(number)))
        used += length
    return boxes(lines)


def shared_runs(texts: list[str], size: int) -> plt.Figure:
    """Texts word by word; the words inside a run of `size` words that all texts have are blue."""
    words = [text.split() for text in texts]
    starts = [range(len(w) - size + 1) for w in words]
    runs = [{tuple(w[i : i + size]) for i in s} for w, s in zip(words, starts, strict=True)]
    shared = set.intersection(*runs)
    lines = []
    for text, places in zip(words, starts, strict=True):
        inside = set()
        for i in places:
            if tuple(text[i : i + size]) in shared:
                inside.update(range(i, i + size))
        lines.append([(w, MODEL if i in inside else QUIET, "") for i, w in enumerate(text)])
    return boxes(lines)
