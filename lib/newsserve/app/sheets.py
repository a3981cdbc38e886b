"""An uploaded CSV file in, the same rows with topics out. A row that cannot be read is kept, and a column says why."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from newsserve.predictor import Answer
from newsserve.tables import ADDED, fault_of

NOT_SURE, NOT_READ = "not sure", "not read"
csv.field_size_limit(2**24)


class SheetError(ValueError):
    """A file that is not the CSV that is asked for; the message says what it is and the way out."""


@dataclass
class Sheet:
    """A CSV file.

    Attributes:
        names: of the columns.
        rows: as many cells each as there are names; a byte that is not UTF-8 is a lone surrogate, and written back as it was.
        misread: what is wrong with the form of each row, None for nothing.
        delimiter: between the cells.
        answers: one a row, None for a row that cannot be answered; filled by `answer`, as is
        errors: why it cannot.
    """

    names: list[str]
    rows: list[list[str]]
    misread: list[str | None]
    delimiter: str = ","
    answers: list[Answer | None] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)

    def likely_column(self) -> int:
        """The column named text, article or the like; else the one with the longest cells."""
        lowered = [name.strip().lower() for name in self.names]
        for name in ("text", "article", "body", "content"):
            if name in lowered:
                return lowered.index(name)
        return max(range(len(self.names)), key=lambda i: sum(len(row[i]) for row in self.rows))

    def answer(
        self, model: Callable[[list[str]], list[Answer]], column: int, portion: int = 16
    ) -> Iterator[int]:
        """Ask the model for the texts of a column; yields the number of rows that are done."""
        self.answers, self.errors = [], []
        for start in range(0, len(self.rows), portion):
            texts = [row[column] for row in self.rows[start : start + portion]]
            errors = [
                wrong or fault_of(text)
                for wrong, text in zip(self.misread[start:], texts, strict=False)
            ]
            good = [text for text, error in zip(texts, errors, strict=True) if not error]
            given = iter(model(good) if good else [])
            self.answers += [None if error else next(given) for error in errors]
            self.errors += errors
            yield len(self.answers)

    def topics(self) -> Counter[str]:
        """How many rows have each topic, and how many none."""
        return Counter(
            NOT_READ if a is None else a.topic if a.answered else NOT_SURE for a in self.answers
        )

    def write(self) -> bytes:
        """The rows with the columns of ADDED, as CSV in the file's own encoding and with its own delimiter."""
        out = io.StringIO(newline="")
        sheet = csv.writer(out, delimiter=self.delimiter, lineterminator="\n")
        sheet.writerow([*self.names, *ADDED])
        for row, error, a in zip(self.rows, self.errors, self.answers, strict=True):
            added = (
                ["", "", "", "", error]
                if a is None
                else [a.topic, round(a.probability, 6), a.answered, a.truncated, ""]
            )
            sheet.writerow([*row, *added])
        return out.getvalue().encode("utf-8", "surrogateescape")


def read(data: bytes) -> Sheet:
    """A CSV file with a header, in UTF-8, between commas, semicolons or tabs.

    Raises:
        SheetError: it is not one, has no rows, or has a column that the results would overwrite.
    """
    if b"\0" in data[:4096]:
        raise SheetError(
            "This is not a CSV file; a spreadsheet is saved as one with “Save as”, “CSV UTF-8”."
        )
    text = data.decode("utf-8-sig", "surrogateescape")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    names, rows, misread = None, [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in filter(None, reader):
            if names is None:
                names = row
                continue
            rest = row[len(names) :]
            says = (
                f"{len(row)} columns where the header has {len(names)}"
                if len(row) != len(names)
                else None
            )
            misread.append(f"{says}; beyond the header: {rest}" if rest else says)
            rows.append((row + [""] * len(names))[: len(names)])
    except csv.Error as error:
        raise SheetError(
            f"Line {reader.line_num} cannot be read ({error}); is a quotation mark left open?"
        ) from error
    if not rows:
        raise SheetError(
            "This file has no rows: it needs a line with the names of the columns, then one text a row."
        )
    if taken := [name for name in ADDED if name in names]:
        raise SheetError(
            f"The results would overwrite the columns {', '.join(taken)}: rename them, then upload the file again."
        )
    return Sheet(names, rows, misread, delimiter)
