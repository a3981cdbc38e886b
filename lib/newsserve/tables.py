"""Rows of CSV, JSON Lines and Parquet files, read one by one and written in portions."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

PORTION = 2048
ADDED = ("predicted", "probability", "answered", "truncated", "error")
KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


class BatchError(ValueError):
    """A file that cannot be read or written; the message names it and the way out."""


def kind_of(path: Path) -> str:
    """csv, jsonl or parquet, by the name; a folder is one of Parquet files."""
    if path.is_dir():
        return "parquet"
    if path.suffix.lower() not in KINDS:
        raise BatchError(f"{path}: the name has to end in {', '.join(KINDS)}")
    return KINDS[path.suffix.lower()]


def fault_of(text: object) -> str | None:
    """Why a cell cannot be answered; None when it can."""
    if not isinstance(text, str):
        return "no text" if text is None else f"the text is not a string but {type(text).__name__}"
    if not text.strip():
        return "no text"
    return (
        "the text is not UTF-8"
        if any("\udc80" <= character <= "\udcff" for character in text)
        else None
    )


def parquet():
    """pyarrow and its Parquet module; BatchError when it is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise BatchError("Parquet needs pyarrow: pip install 'gpt2-news[scale]'") from error
    return pa, pq


class Source:
    """The rows of a CSV, JSON Lines or Parquet file, or of a folder of Parquet files, one after the other.

    Iterating gives `(row, error)`: the columns, and what is wrong with the row (None: nothing).

    Attributes:
        done: share of the input that has been read, 0 to 1.
        schema: Arrow's, of Parquet input; else None.
    """

    def __init__(self, path: Path, column: str):
        self.path, self.column, self.done = path, column, 0.0
        if not path.exists():
            raise BatchError(f"{path}: no such file")
        self.kind = kind_of(path)
        self.files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not self.files:
            raise BatchError(f"{path}: no Parquet file in this folder")
        self.schema = parquet()[1].read_schema(self.files[0]) if self.kind == "parquet" else None

    def fingerprint(self) -> str:
        """Changes when the input does: names, sizes and times of change of its files, and the column."""
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        return hashlib.sha256(json.dumps([facts, self.column]).encode()).hexdigest()

    def check(self, names: Iterable[str] | None) -> None:
        """Raises BatchError when the column is not among the names, or one of ADDED is."""
        names = list(names or [])
        if self.column not in names:
            raise BatchError(
                f"{self.path}: no column {self.column!r}; it has {', '.join(map(repr, names))}: give --text-column"
            )
        if taken := [name for name in ADDED if name in names]:
            raise BatchError(
                f"{self.path}: the columns {', '.join(taken)} would be overwritten; rename them"
            )

    def __iter__(self) -> Iterator[tuple[dict, str | None]]:
        return {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._rows_of_parquet}[
            self.kind
        ]()

    def _csv(self) -> Iterator[tuple[dict, str | None]]:
        csv.field_size_limit(64 * 2**20)
        with open(self.path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows, size = csv.reader(file), max(1, self.path.stat().st_size)
            try:
                names = next(rows, None)
                self.check(names)
                for row in filter(None, rows):
                    self.done = file.buffer.tell() / size
                    wrong = (
                        None
                        if len(row) == len(names)
                        else f"{len(row)} columns where the header has {len(names)}"
                    )
                    if len(row) > len(names):
                        wrong += f"; the last: {row[len(names) :]}"
                    yield dict(zip(names, row + [""] * len(names), strict=False)), wrong
            except csv.Error as error:
                raise BatchError(
                    f"{self.path}: line {rows.line_num}: {error}; is a quotation mark left open?"
                ) from error

    def _jsonl(self) -> Iterator[tuple[dict, str | None]]:
        with open(self.path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            size, checked = max(1, self.path.stat().st_size), False
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                self.done = file.buffer.tell() / size
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    row, wrong = None, f"line {number} is not JSON: {error}"
                else:
                    wrong = None if isinstance(row, dict) else f"line {number} is not a JSON object"
                if wrong is None and not checked:
                    self.check(row)
                    checked = True
                yield ({self.column: line.rstrip("\r\n")} if wrong else row), wrong

    def _rows_of_parquet(self) -> Iterator[tuple[dict, str | None]]:
        pq, read = parquet()[1], 0
        tables = [pq.ParquetFile(file) for file in self.files]
        total = max(1, sum(table.metadata.num_rows for table in tables))
        for table in tables:
            self.check(table.schema_arrow.names)
            for batch in table.iter_batches(PORTION):
                for row in batch.to_pylist():
                    read += 1
                    self.done = read / total
                    yield row, None


def schema_with_answers(schema):
    """Arrow's schema with the columns of ADDED behind it."""
    pa = parquet()[0]
    kinds = (pa.string(), pa.float64(), pa.bool_(), pa.bool_(), pa.string())
    return pa.schema(
        [*schema, *(pa.field(name, kind) for name, kind in zip(ADDED, kinds, strict=True))]
    )


def write(path: Path, rows: list[dict], like: Path | None, schema) -> None:
    """Rows into a new file; its columns are those of the file `like`, or else those of the rows (Parquet: of `schema`)."""
    part = path.with_name(f"{path.name}.part")
    if path.suffix == ".parquet":
        pa, pq = parquet()
        if like:
            schema = pq.read_schema(like)
        else:
            bare = [
                {name: value for name, value in row.items() if name not in ADDED} for row in rows
            ]
            schema = schema_with_answers(
                pa.Table.from_pylist(bare).schema if schema is None else schema
            )
        try:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), part)
        except pa.ArrowException as error:
            raise BatchError(
                f"a row does not fit the columns of the first rows: {error}; write .jsonl instead"
            ) from error
    else:
        with open(part, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if path.suffix == ".csv":
                columns = (
                    _header(like)
                    if like
                    else list(dict.fromkeys(name for row in rows for name in row))
                )
                if lost := {name for row in rows for name in row} - set(columns):
                    raise BatchError(
                        f"a row has columns that the first rows lack ({', '.join(sorted(lost))}); write .jsonl instead"
                    )
                sheet = csv.DictWriter(file, columns, lineterminator="\n")
                sheet.writeheader()
                sheet.writerows(rows)
            else:
                file.writelines(
                    json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows
                )
    os.replace(part, path)


def _header(path: Path) -> list[str]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return next(csv.reader(file))


def join(portions: list[Path], out: Path) -> None:
    """The portions one after the other, as one file."""
    if out.suffix == ".parquet":
        pq = parquet()[1]
        with pq.ParquetWriter(out, pq.read_schema(portions[0])) as file:
            for portion in portions:
                file.write_table(pq.read_table(portion))
        return
    with open(out, "wb") as file:
        for number, portion in enumerate(portions):
            with open(portion, "rb") as rows:
                if number and out.suffix == ".csv":
                    head = "".join(_lines_of_header(portion)).encode("utf-8", "surrogateescape")
                    rows.seek(len(head))
                shutil.copyfileobj(rows, file)


def _lines_of_header(path: Path) -> list[str]:
    """The lines of a CSV file's header (a column's name may hold a line break)."""
    read = []
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        next(csv.reader(iter(lambda: read.append(file.readline()) or read[-1], "")))
    return read
