"""How a text file is written, by its first lines: encoding, separator, quotation mark, header."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice, product
from pathlib import Path

SAMPLE = 2**18  # characters, or bytes, by which a file is judged
BROKEN = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, under "surrogateescape"
# A separator before a quotation mark, or such a mark at the beginning and not at the end.
CUT = re.compile(r"""[,;\t|]["']|^(["'])(?!.*\1$)""", re.DOTALL)
ALONE = "\x1f"  # a delimiter that no text has, for a file of one column
# Usual names of columns, the most usual first; encodings of other scripts; messages.
KNOWN = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def encoding_of(binary: io.BufferedIOBase) -> str:
    """UTF-8 or UTF-16, also without a byte order mark; else a guess."""
    head = binary.read(4096)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if 4 * zeros.count(0) > len(head):
            return name
    binary.seek(0)
    seen = b""
    for line in binary:
        if not line.isascii():
            seen += line
        if len(seen) > SAMPLE:
            break
    text = seen.decode("utf-8", "surrogateescape")
    foreign = sum(character > "\x7f" for character in text)
    # A few broken rows in a file of UTF-8 do not make it another encoding.
    if 2 * len(BROKEN.findall(text)) <= foreign:
        return "utf-8-sig"
    if 4 * foreign < len(text):  # Latin letters, some with accents
        return "cp1252"
    from charset_normalizer import from_bytes

    guess = from_bytes(seen, cp_isolation=KNOWN["encodings"]).best()
    return guess.encoding if guess else "cp1252"


def records(lines: Iterable[str], form: dict) -> Iterator[tuple[int, list[str], str | None]]:
    """The records of a CSV file: number of the first line, cells, and what is wrong.

    What is none is its line alone, as one cell: an open quotation mark swallows no other line.
    """
    source, again, taken = iter(lines), deque(), []

    def feed() -> Iterator[str]:
        while again or (line := next(source, None)) is not None:
            taken.append(again.popleft() if again else line)
            yield taken[-1]

    number, reader = 1, csv.reader(feed(), strict=True, **form)
    while True:
        taken.clear()
        try:
            cells, wrong = next(reader, None), None
        except csv.Error as error:
            again.extendleft(reversed(taken[1:]))
            del taken[1:]
            cells, wrong = [taken[0].rstrip("\r\n")], f"{error}; is a quotation mark left open?"
            reader = csv.reader(feed(), strict=True, **form)
        if cells is None:
            return
        if cells:  # an empty line is no row
            yield number, cells, wrong
        number += len(taken)


def sniff(sample: str) -> dict:
    """How a CSV file is written: `delimiter`, `quotechar` and `escapechar` of the csv module."""
    best, score = {"delimiter": ALONE, "quotechar": '"', "escapechar": None}, (0.4, 0)
    for escape, quote, delimiter in product((None, "\\"), "\"'", ",;\t|"):
        form = {"delimiter": delimiter, "quotechar": quote, "escapechar": escape}
        rows = list(islice(records(io.StringIO(sample, newline=""), form), 100))
        width = len(rows[0][1]) if rows else 0
        fits = sum(_fits(cells, width) for _, cells, wrong in rows if not wrong) / max(1, len(rows))
        fits -= 0.05 * ((quote == "'") + bool(escape))  # more than one odd row
        if width > 1 and (fits, width) > score:
            best, score = form, (fits, width)
    return best


def _fits(cells: list[str], width: int) -> float:
    """1 for as many as wanted (more may be empty), 0.5 where a quoted one seems to be cut."""
    if len(cells) < width or any(cells[width:]):
        return 0
    return 0.5 if any(map(CUT.search, cells)) else 1


def looks_like_data(first: list[str], rows: list[list[str]], column: str) -> bool:
    """Is line 1 no header? It has a number, a sentence, or what stands below it again."""
    names = [cell.strip().lower() for cell in first]
    if {*column.lower().split("+"), *KNOWN["texts"], *KNOWN["labels"]} & set(names):
        return False
    if any(len(name.split()) > 8 or re.fullmatch(r"[-+]?\d+([.,]\d+)?", name) for name in names):
        return True
    below = zip(*(row for row in rows if len(row) == len(first) and row != first), strict=True)
    return any(cell.strip() and cell in cells for cell, cells in zip(first, below, strict=False))
