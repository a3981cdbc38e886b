"""The one table reader, of chapter 01, `classify --input` and the web app: a row that is wrong for
one is wrong for all. CSV, JSON Lines and Parquet, in constant memory.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

PORTION = 2048  # rows that are held at a time
KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
LONGEST_CELL = 64 * 2**20
# A byte that is not UTF-8 is read as a lone surrogate, so that it can be written back as it was.
RAW_TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}

Row = tuple[dict, str | None]


class TableError(ValueError):
    """A file that cannot be read or written; the message says why."""


def kind_of(path: Path) -> str:
    """csv, jsonl or parquet; a folder is one of Parquet files."""
    if path.is_dir():
        return "parquet"
    if path.suffix.lower() not in KINDS:
        raise TableError(f"{path}: the name has to end in {', '.join(KINDS)}")
    return KINDS[path.suffix.lower()]


def fault_of(cell: object) -> str | None:
    """Why a cell is not a text that can be read; None when it is one."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return "no text"
    if not isinstance(cell, str):
        return f"the text is not a string but {type(cell).__name__}"
    if any("\udc80" <= character <= "\udcff" for character in cell):
        return "the text is not UTF-8"
    return None


def parquet():
    """pyarrow and its Parquet module."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise TableError("Parquet needs pyarrow: pip install 'gpt2-news[scale]'") from error
    return pa, pq


class Table:
    """The rows of a CSV, JSON Lines or Parquet file, or of a folder of Parquet files.

    Iterating gives `(row, error)` for each row: the columns by name, and what is wrong with its
    form (None: nothing). Whether a cell is a text says `fault_of`.

    Args:
        column: the one of the texts. A line that is no JSON is put there as it is.
        data: the content, where the file is not on disk (an upload).

    The columns' `names`, and the `delimiter` of a CSV file (a comma, a semicolon or a tab), are
    known from the first readable row on. Raises TableError, also while iterating.
    """

    def __init__(self, path: str | Path, column: str = "text", data: bytes | None = None):
        self.path, self.column, self.data = Path(path), column, data
        if data is None and not self.path.exists():
            raise TableError(f"{path}: no such file")
        self.kind = kind_of(self.path)
        self.files = sorted(self.path.glob("*.parquet")) if self.path.is_dir() else [self.path]
        if not self.files:
            raise TableError(f"{path}: no Parquet file in this folder")
        self.names: list[str] | None = None
        self.delimiter, self.schema = ",", None
        if self.kind == "parquet":
            self.schema = self._parquet_file(self.files[0]).schema_arrow

    def fingerprint(self) -> str:
        """Changes with the input: names, sizes and times of its files, and the column."""
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        return hashlib.sha256(json.dumps([facts, self.column]).encode()).hexdigest()

    def __iter__(self) -> Iterator[Row]:
        readers = {"csv": self._read_csv, "jsonl": self._read_jsonl, "parquet": self._read_parquet}
        return readers[self.kind]()

    def _open(self) -> io.BufferedIOBase:
        return open(self.path, "rb") if self.data is None else io.BytesIO(self.data)

    # The csv module and not pyarrow.csv or pandas: those refuse a whole file for one row of another
    # length (or drop the row), and cannot give back bytes that are not UTF-8.
    def _read_csv(self) -> Iterator[Row]:
        csv.field_size_limit(LONGEST_CELL)
        with self._open() as binary:
            head = binary.read(4096)
            if b"\0" in head:
                saved = "a spreadsheet is saved as one with “Save as”, “CSV UTF-8”"
                raise TableError(f"{self.path}: this is not a CSV file in UTF-8; {saved}")
            binary.seek(0)
            first_line = head.partition(b"\n")[0].decode("utf-8", "replace")
            self.delimiter = max(",;\t", key=first_line.count)
            text = io.TextIOWrapper(binary, "utf-8-sig", "surrogateescape", newline="")
            cells = csv.reader(text, delimiter=self.delimiter)
            try:
                self.names = next(cells, [])
                twice = {name for name in self.names if self.names.count(name) > 1}
                if twice:
                    named = ", ".join(sorted(twice))
                    raise TableError(f"{self.path}: more than one column is named {named}")
                for row in cells:
                    if row:  # an empty line is no row
                        yield self._named(row)
            except csv.Error as error:
                why = f"line {cells.line_num}: {error}; is a quotation mark left open?"
                raise TableError(f"{self.path}: {why}") from error

    def _named(self, cells: list[str]) -> Row:
        wanted = len(self.names)
        row = dict(zip(self.names, cells + [""] * wanted, strict=False))
        if len(cells) == wanted:
            return row, None
        wrong = f"{len(cells)} columns where the header has {wanted}"
        if len(cells) > wanted:
            wrong += f"; beyond the header: {cells[wanted:]}"
        return row, wrong

    def _read_jsonl(self) -> Iterator[Row]:
        # utf-8-sig: a byte order mark is no part of the first row.
        with io.TextIOWrapper(self._open(), "utf-8-sig", "surrogateescape", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                row, wrong = None, f"line {number} is not a JSON object"
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    wrong = f"line {number} is not JSON: {error}"
                if isinstance(row, dict):
                    self.names = self.names or list(row)
                    yield row, None
                else:
                    yield {self.column: line.rstrip("\r\n")}, wrong

    def _parquet_file(self, path: Path):
        pa, pq = parquet()
        try:
            return pq.ParquetFile(path if self.data is None else io.BytesIO(self.data))
        except pa.ArrowException as error:
            raise TableError(f"{path}: not a whole Parquet file: {error}") from error

    def _read_parquet(self) -> Iterator[Row]:
        for path in self.files:
            file = self._parquet_file(path)
            self.names = file.schema_arrow.names
            for batch in file.iter_batches(PORTION):
                for row in batch.to_pylist():
                    yield row, None
