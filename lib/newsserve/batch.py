"""A file of any length in, the same rows with topics out: `classify --input … --output …`.

Rows are read and answered in portions, so memory does not grow with the file. Each portion is a
file in a folder beside the output, written whole or not at all. At the end they are joined, and the
result takes the output's name. So a run that was killed goes on with `--resume` where it was.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from newsserve.files import sha256_of
from newsserve.predictor import Answer, Predictor
from newsserve.tables import PORTION, Row, Table, TableError, fault_of, kind_of, parquet

ADDED = ("predicted", "probability", "answered", "truncated", "error")
RAW_TEXT = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def answer_rows(
    model: Callable[[list[str]], list[Answer]], rows: list[Row], column: str
) -> list[dict]:
    """The rows with the columns of ADDED; where one cannot be answered, `error` says why.

    Args:
        model: texts in, one answer a text out.
        rows: `(row, error)` as `newsserve.tables` reads them.
        column: the one that holds the texts.
    """
    faults = [wrong or fault_of(row.get(column)) for row, wrong in rows]
    texts = [row[column] for (row, _), fault in zip(rows, faults, strict=True) if not fault]
    answers = iter(model(texts) if texts else [])
    answered = []
    for (row, _), fault in zip(rows, faults, strict=True):
        added = dict.fromkeys(ADDED)
        if fault:
            added["error"] = fault
        else:
            answer = next(answers)
            added["predicted"] = answer.topic
            added["probability"] = answer.probability
            added["answered"] = answer.answered
            added["truncated"] = answer.truncated
        answered.append({**row, **added})
    return answered


def check_columns(table: Table) -> None:
    """The texts' column has to be there, and none that the answers would overwrite.

    Raises:
        TableError: one of both.
    """
    names = table.names or []
    if table.column not in names:
        raise TableError(
            f"{table.path}: no column {table.column!r}; it has {', '.join(map(repr, names))}: "
            "give --text-column"
        )
    taken = [name for name in ADDED if name in names]
    if taken:
        raise TableError(
            f"{table.path}: the columns {', '.join(taken)} would be overwritten; rename them"
        )


def write_csv(file: TextIO, rows: list[dict], columns: list[str], delimiter: str = ",") -> None:
    """The rows as CSV, without a header.

    Raises:
        TableError: a row has a column that is not in `columns`.
    """
    sheet = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
    try:
        sheet.writerows(rows)
    except ValueError as error:
        raise TableError(
            f"a row has columns that the first rows lack ({error}); write .jsonl instead"
        ) from error


def write_header(file: TextIO, columns: list[str], delimiter: str = ",") -> None:
    """The first line of a CSV file."""
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerow(columns)


def schema_with_answers(schema):
    """Arrow's schema with the columns of ADDED behind it."""
    pa, _ = parquet()
    kinds = (pa.string(), pa.float64(), pa.bool_(), pa.bool_(), pa.string())
    added = [pa.field(name, kind) for name, kind in zip(ADDED, kinds, strict=True)]
    return pa.schema([*schema, *added])


class _Portions:
    """The folder of what has been answered so far, one file a portion.

    `of.json` in it says of which input and model they are (so that `--resume` refuses others), and
    with which columns a CSV file was begun.
    """

    def __init__(self, table: Table, model: Path, out: Path):
        self.table, self.out, self.kind = table, out, kind_of(out)
        self.folder = out.with_name(f".{out.name}.portions")
        self.of = {
            "input": table.fingerprint(),
            "model": sha256_of(model / "serving.json") if model.is_dir() else "",
        }
        self.paths = sorted(self.folder.glob(f"[0-9]*{out.suffix}"))
        self.columns: list[str] = []

    @property
    def delimiter(self) -> str:
        return self.table.delimiter if self.table.kind == "csv" else ","

    def check(self, resume: bool) -> None:
        """Raises TableError when portions are there that are not to be gone on with."""
        if not self.paths:
            return
        if not resume:
            raise TableError(
                f"{self.folder}: an unfinished run of {len(self.paths) * PORTION:,} rows; go on "
                "with --resume, or delete this folder"
            )
        before = json.loads((self.folder / "of.json").read_text())
        self.columns = before.pop("columns", [])
        if before != self.of:
            raise TableError(
                f"{self.folder}: the input or the model is another than in the unfinished run; "
                "delete this folder and start again"
            )

    def add(self, rows: list[dict]) -> None:
        """Write one portion, whole or not at all."""
        if not self.paths:
            self._begin(rows)
        path = self.folder / f"{len(self.paths):08}{self.out.suffix}"
        part = path.with_name(f"{path.name}.part")
        if self.kind == "parquet":
            self._write_parquet(part, rows)
        else:
            with open(part, "w", **RAW_TEXT) as file:
                if self.kind == "csv":
                    write_csv(file, rows, self.columns, self.delimiter)
                else:
                    for row in rows:
                        file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        os.replace(part, path)
        self.paths.append(path)

    def _begin(self, rows: list[dict]) -> None:
        # Rows of JSON may each have columns of their own: those of the first portion count.
        self.columns = list(dict.fromkeys(name for row in rows for name in row))
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "of.json").write_text(json.dumps({**self.of, "columns": self.columns}))

    def _write_parquet(self, part: Path, rows: list[dict]) -> None:
        pa, pq = parquet()
        if self.paths:
            schema = pq.read_schema(self.paths[0])
        elif self.table.schema is not None:
            schema = schema_with_answers(self.table.schema)
        else:
            own = [{k: row[k] for k in row if k not in ADDED} for row in rows]
            schema = schema_with_answers(pa.Table.from_pylist(own).schema)
        try:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), part)
        except pa.ArrowException as error:
            raise TableError(
                f"a row does not fit the columns of the first rows: {error}; write .jsonl instead"
            ) from error

    def join(self) -> None:
        """All portions as one file under the output's name; the folder is gone then."""
        whole = self.folder / f"whole{self.out.suffix}"
        if self.kind == "parquet":
            _, pq = parquet()
            with pq.ParquetWriter(whole, pq.read_schema(self.paths[0])) as file:
                for path in self.paths:
                    file.write_table(pq.read_table(path))
        else:
            with open(whole, "w", **RAW_TEXT) as file:
                if self.kind == "csv":
                    write_header(file, self.columns, self.delimiter)
                file.flush()
                for path in self.paths:
                    with open(path, "rb") as portion:
                        shutil.copyfileobj(portion, file.buffer)
        os.replace(whole, self.out)
        shutil.rmtree(self.folder)


def classify_file(
    model: Path, source: Path, out: Path, column: str = "text", resume: bool = False
) -> int:
    """Answer every row of `source` into `out`; progress goes to standard error.

    Args:
        model: the folder that `Predictor` reads.
        source: CSV, JSON Lines or Parquet by its name, or a folder of Parquet files.
        out: likewise; takes its name when all rows are in it.
        column: the one that holds the texts.
        resume: go on with a run that was ended before its time.

    Returns:
        Number of rows; each of the input is there once, in order, those that could not be answered
        with an `error`.

    Raises:
        TableError: a file, the column, or an unfinished run is in the way.
        ModelFolderError: the model cannot be served.
    """
    table = Table(source, column)
    portions = _Portions(table, model, out)
    portions.check(resume)
    predictor = Predictor(model)
    rows = iter(table)
    count = sum(1 for _ in islice(rows, len(portions.paths) * PORTION))
    every = 0.5 if sys.stderr.isatty() else 10
    with tqdm(
        initial=count, unit="row", unit_scale=True, mininterval=every, desc=source.name
    ) as bar:
        while portion := list(islice(rows, PORTION)):
            if table.names is not None:
                check_columns(table)  # each file of a folder has its own
            portions.add(answer_rows(predictor, portion, column))
            count += len(portion)
            # How many rows there are is not known before the end: estimated from the share read.
            bar.total = max(count, round(count / table.done)) if table.done else None
            bar.update(len(portion))
    if not portions.paths:
        if table.names is not None:
            check_columns(table)
        raise TableError(f"{source}: no rows")
    portions.join()
    return count
