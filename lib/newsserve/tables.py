"""The one table reader, of chapter 01, the doctor, `classify --input` and the web app: a row that
is wrong for one is wrong for all. In constant memory, JSON arrays apart.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from newsserve.forms import (
    ALONE,
    BROKEN,
    KNOWN,
    SAMPLE,
    encoding_of,
    looks_like_data,
    records,
    sniff,
)

PORTION = 2048  # rows that are held at a time
KINDS = dict.fromkeys((".csv", ".tsv", ".txt"), "csv")
KINDS |= dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl") | {".parquet": "parquet"}
GZIP = "\x1f\x8b"
LONGEST_CELL = 64 * 2**20
# A byte that is not UTF-8 is read as a lone surrogate, so that it can be written back as it was.
RAW_TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}
Row = tuple[dict, str | None]


class TableError(ValueError):
    """A file that cannot be read or written; the message says why."""


def suffix_of(path: Path) -> str:
    """The end of a name, in small letters and without `.gz`; a folder is one of Parquet files."""
    name = path.name.lower().removesuffix(".gz")
    return ".parquet" if path.is_dir() else Path(name).suffix


def kind_of(path: Path) -> str:
    """csv, jsonl or parquet, by the name."""
    if suffix_of(path) not in KINDS:
        raise TableError(f"{path}: the name has to end in {', '.join(KINDS)} (or that and .gz)")
    return KINDS[suffix_of(path)]


def open_to_write(path: Path) -> TextIO:
    """A text file, packed if its name says so."""
    pack = gzip.open if path.suffix.lower() == ".gz" else open
    return pack(path, "wt", **RAW_TEXT, newline="")


def cell_of(row: dict, column: str) -> object:
    """What a row has in a column: `a+b` joins two, `a.b` is inside of `a`; None if it has none."""
    if column in row:
        return row[column]
    if "+" in column:
        cells = [cell_of(row, part.strip()) for part in column.split("+")]
        odd = [cell for cell in cells if cell is not None and not isinstance(cell, str)]
        return odd[0] if odd else " ".join(filter(None, cells))
    outer, _, inner = column.partition(".")
    return cell_of(row[outer], inner) if isinstance(row.get(outer), dict) else None


def fault_of(cell: object) -> str | None:
    """Why a cell is not a text that can be read; None when it is one."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return "no text"
    if not isinstance(cell, str):
        return f"the text is not a string but {type(cell).__name__}"
    if BROKEN.search(cell):
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
    """The rows of a CSV, JSON or Parquet file, or of a folder of Parquet files.

    Iterating gives `(row, error)` for each: the columns by name, and what is wrong with its form
    (None: nothing). Whether a cell is a text says `fault_of`.

    Args:
        column: that of the texts. A line that is no row is put there as it is.
        data: the content, where the file is not on disk (an upload).
        columns: names, with commas between, for a CSV file without a header (else "1", "2", …).
        encoding: of a text file; without it, it is found out.

    Known from the first row on are `names`, and of CSV its `delimiter` and `header`, as it stands
    there (None: there is none). `unit` and `line` say where the row just given begins: "line" 7 of
    a text file, "row" 7 of others. Raises TableError, also while iterating.
    """

    def __init__(
        self,
        path: str | Path,
        column: str = "text",
        data: bytes | None = None,
        columns: str | None = None,
        encoding: str | None = None,
    ):
        self.path, self.column, self.data, self.columns = Path(path), column, data, columns
        if data is None and not self.path.exists():
            raise TableError(f"{path}: no such file")
        self.kind, self.line, self.guessed = kind_of(self.path), 0, False
        self.unit = "row" if self.kind == "parquet" else "line"
        self.files = sorted(self.path.glob("*.parquet")) if self.path.is_dir() else [self.path]
        if not self.files:
            raise TableError(f"{path}: no Parquet file in this folder")
        self.names: list[str] | None = None
        self.header: list[str] | None = None
        self.delimiter, self.schema, self.encoding = ",", None, encoding
        if self.kind == "parquet":
            self.schema = self._parquet_file(self.files[0]).schema_arrow
            self.names = self.schema.names

    def fingerprint(self) -> str:
        """Changes with the input: names, sizes and times of its files, and how it is read."""
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        read = [facts, self.column, self.columns, self.encoding]
        return hashlib.sha256(json.dumps(read).encode()).hexdigest()

    def notes(self) -> list[str]:
        """What should be known of how it was read."""
        name, said = self.path.name, []
        if self.guessed:
            said.append(f"{name} {KNOWN['guess'].format(self.encoding)}")
        if self.kind == "csv" and not (self.header or self.columns) and self.names:
            said.append(f"{name}: {KNOWN['no header'].format(', '.join(self.names))}")
        return said

    def lacks(self, *columns: str) -> str:
        """Which columns are not there, and which are; "" if none is missing."""
        missing = []
        for column in columns:
            parts = [column] if column in self.names else map(str.strip, column.split("+"))
            missing += [f"no column {part!r}" for part in parts if part not in self.names]
        has = f"it has {', '.join(map(repr, self.names))}"
        return "; ".join([*missing, has, *self.notes()]) if missing else ""

    def __iter__(self) -> Iterator[Row]:
        readers = {"csv": self._read_csv, "jsonl": self._read_json, "parquet": self._read_parquet}
        self.line = 0
        try:
            yield from readers[self.kind]()
        except (OSError, EOFError, zlib.error) as error:
            raise TableError(f"{self.path}: not a whole file: {error}") from error

    def _open(self) -> io.BufferedIOBase:
        raw = io.FileIO(self.path) if self.data is None else io.BytesIO(self.data)
        head = raw.read(24).decode("latin-1").lower()
        raw.seek(0)
        for start, what in KNOWN["no table"].items():
            if head.startswith(start):
                raise TableError(f"{self.path}: {what}")
        return io.BufferedReader(gzip.open(raw) if head.startswith(GZIP) else raw)

    def _text(self) -> TextIO:
        if not self.encoding:
            with self._open() as binary:
                self.encoding = encoding_of(binary)
            self.guessed = not self.encoding.startswith("utf")
        raw = "surrogateescape" if self.encoding.startswith("utf-8") else "replace"
        try:
            return io.TextIOWrapper(self._open(), self.encoding, raw, newline="")
        except LookupError as error:
            raise TableError(f"{self.path}: {error}") from error

    # The csv module and not pyarrow.csv or pandas: those refuse a whole file for one row of another
    # length (or drop the row), and cannot give back bytes that are not UTF-8.
    def _read_csv(self) -> Iterator[Row]:
        csv.field_size_limit(LONGEST_CELL)
        with self._text() as text:
            sample = text.read(SAMPLE)
            text.seek(0)
            skipped = sample.lower().startswith("sep=")  # Excel's own line
            if skipped:
                text.readline()
                sample = sample.split("\n", 1)[-1]
            if sample.lstrip().startswith(('{"', '[{"')):
                raise TableError(f"{self.path}: {KNOWN['in csv']}")
            form = sniff(sample)
            self.delimiter = form["delimiter"].replace(ALONE, ",")
            lines = io.StringIO(sample, newline="")
            first, *others = [cells for _, cells, _ in islice(records(lines, form), 200)] or [[]]
            rows = records(text, form)
            if first and not self.columns and not looks_like_data(first, others, self.column):
                self.header = next(rows)[1]
            self.names = self._names(len(first))
            for number, cells, wrong in rows:
                self.line = number + skipped
                yield self._row(cells, wrong)

    def _names(self, width: int) -> list[str]:
        """Those given or of the header, else "1", "2", …; what stands twice gets a number."""
        given = self.columns.split(",") if self.columns else map(str, range(1, width + 1))
        names = [cell.strip() for cell in self.header or given]
        numbered = [f"{name} (column {n})".strip() for n, name in enumerate(names, 1)]
        several = [not name or names.count(name) > 1 for name in names]
        return [b if twice else a for a, b, twice in zip(names, numbered, several, strict=True)]

    def _row(self, cells: list[str], wrong: str | None) -> Row:
        wanted = len(self.names)
        row = dict(zip(self.names, cells + [""] * wanted, strict=False))
        if wrong:  # the whole line, in the place of the text
            column = self.column if self.column in self.names else self.names[0]
            row = {**dict.fromkeys(self.names, ""), column: cells[0]}
        elif cells == self.header:
            wrong = "the header again"
        elif len(cells) < wanted or any(cells[wanted:]):  # commas at the end mean nothing
            beyond = f"; beyond them: {cells[wanted:]}" if cells[wanted:] else ""
            wrong = f"{len(cells)} columns where there are {wanted} names{beyond}"
        return row, wrong

    def _read_json(self) -> Iterator[Row]:
        with self._text() as lines:
            while (first := lines.read(1)).isspace():
                pass
            lines.seek(0)
            content = self._array(lines) if first == "[" else lines
            for self.line, part in enumerate(content, 1):
                if part == "{\n":
                    raise TableError(f"{self.path}: {KNOWN['object']}")
                if not isinstance(part, str) or part.strip():
                    yield self._object(part)

    def _array(self, lines: TextIO) -> list:
        self.unit = "row"
        try:
            return json.load(lines)
        except (ValueError, RecursionError) as error:
            raise TableError(f"{self.path}: not a whole JSON array: {error}") from error

    def _object(self, row: object) -> Row:
        """The row in a line, or in a part of an array."""
        content, wrong = row, "not a JSON object"
        try:
            row = json.loads(content.strip().rstrip(",")) if isinstance(content, str) else content
        except (ValueError, RecursionError) as error:
            wrong = f"not JSON: {error}"
        if isinstance(row, dict):
            inner = [f"{a}.{b}" for a in row if isinstance(row[a], dict) for b in row[a]]
            self.names = self.names or [*row, *inner]
            return row, None
        return {self.column: str(content).rstrip("\r\n")}, wrong

    def _parquet_file(self, path: Path):
        pa, pq = parquet()
        try:
            return pq.ParquetFile(path if self.data is None else io.BytesIO(self.data))
        except pa.ArrowException as error:
            raise TableError(f"{path}: not a whole Parquet file: {error}") from error

    def _read_parquet(self) -> Iterator[Row]:
        for path in self.files:
            for batch in self._parquet_file(path).iter_batches(PORTION):
                for row in batch.to_pylist():
                    self.line += 1
                    yield row, None
