"""A file of any length in, the same rows with topics out: `classify --input … --output …`.

Rows are read and answered in portions, so memory does not grow with the file. The answers to each
are a file in a folder beside the output, so a run that was killed goes on with `--resume`. At the
end the input is read once more, and each row is written with its answer.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout
from tqdm import tqdm

from newsserve.files import atomic, move, sha256_of
from newsserve.predictor import Model, Predictor
from newsserve.tables import (
    Row,
    Table,
    TableError,
    cell_of,
    fault_of,
    kind_of,
    open_to_write,
    parquet,
    suffix_of,
)

PORTION = 256  # rows; a kill costs no more than these
ADDED = ("predicted", "probability", "answered", "reason", "truncated", "error")


def answer_rows(model: Model, rows: list[Row], column: str) -> list[dict]:
    """The columns of ADDED for each row of a `Table`."""
    cells = [cell_of(row, column) for row, _ in rows]
    faults = [wrong or fault_of(cell) for (_, wrong), cell in zip(rows, cells, strict=True)]
    texts = [cell for cell, fault in zip(cells, faults, strict=True) if not fault]
    answers = iter(model(texts))
    answered = []
    for fault in faults:
        added = dict.fromkeys(ADDED) | {"error": fault}
        if not fault:
            answer = vars(next(answers))
            added |= {name: answer[name] for name in ADDED if name in answer}
            added["predicted"] = answer["topic"]
        answered.append(added)
    return answered


def outcome(answer: dict) -> str:
    """What came of a row of `answer_rows`."""
    if answer["error"]:
        return "not read"
    if answer["reason"]:
        return "another kind of text"
    return "answered" if answer["answered"] else "not sure"


def counted(counts: Counter) -> str:
    """The outcomes of a job in a line."""
    names = ("answered", "not sure", "another kind of text", "not read")
    kinds = [f"{counts[kind]:,} {kind}" for kind in names]
    return f"{sum(counts.values()):,} rows: {', '.join(kinds)}"


def check_columns(table: Table) -> None:
    """TableError: the texts' column is missing, or one of ADDED is there already."""
    if not table.names:  # no readable row yet
        return
    lacking = table.lacks(table.column)
    if lacking:
        raise TableError(f"{table.path}: {lacking}: give --text-column")
    taken = ", ".join(name for name in ADDED if name in table.names)
    if taken:
        raise TableError(f"{table.path}: the columns {taken} would be overwritten; rename them")


def write_csv(
    file: TextIO, rows: Iterable[dict], columns: list[str], table: Table, delimiter: str
) -> None:
    """The table's own header and the rows; a column that a row lacks stays empty."""
    form = {"delimiter": delimiter, "lineterminator": "\n"}
    csv.writer(file, **form).writerow([*(table.header or columns), *ADDED])
    csv.DictWriter(file, [*columns, *ADDED], **form).writerows(rows)


def schema_with_answers(schema):
    """Arrow's schema with the columns of ADDED behind it."""
    pa, _ = parquet()
    kinds = (pa.string(), pa.float64(), pa.bool_(), pa.string(), pa.bool_(), pa.string())
    added = [pa.field(name, kind) for name, kind in zip(ADDED, kinds, strict=True)]
    return pa.schema([*schema, *added])


def write_parquet(path: Path, rows: Iterator[dict], columns: list[str], schema) -> None:
    """The rows as Parquet; without a schema, that of the first portion."""
    pa, pq = parquet()
    portion = list(islice(rows, PORTION))
    try:
        if schema is None:
            own = [{name: row.get(name) for name in columns} for row in portion]
            schema = pa.Table.from_pylist(own).schema
        schema = schema_with_answers(schema)
        with pq.ParquetWriter(path, schema) as file:
            while portion:
                file.write_table(pa.Table.from_pylist(portion, schema=schema))
                portion = list(islice(rows, PORTION))
    except (pa.ArrowException, OverflowError) as error:
        other = f"a row does not fit the columns of the first rows: {error}"
        raise TableError(f"{other}; write .jsonl instead") from error


def load(path: Path) -> list | dict | None:
    """What a JSON file holds; None where it is not there, or not whole."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def begin(folder: Path, of: dict, resume: bool) -> None:
    """Find in the folder of the portions the run to go on with (else TableError), or begin one."""
    if (folder / "of.json").exists():
        if not resume:
            found = "an unfinished run; go on with --resume, or delete this folder"
            raise TableError(f"{folder}: {found}")
        if load(folder / "of.json") != of:
            found = "the input or the model is another than in the unfinished run"
            raise TableError(f"{folder}: {found}; delete this folder and start again")
    with atomic(folder / "of.json") as part:
        part.write_text(json.dumps(of), "utf-8")


def join(table: Table, folder: Path, out: Path, columns: list[str]) -> Counter:
    """Write each row of the table with its answer; returns how many had which `outcome`."""
    counts = Counter()

    def rows() -> Iterator[dict]:
        read = iter(table)
        for path in sorted(folder.glob("[0-9]*.json")):
            answers = load(path)
            for added, (row, _) in zip(answers, islice(read, len(answers)), strict=True):
                counts[outcome(added)] += 1
                yield {**row, **added}

    with atomic(out) as part:
        if kind_of(out) == "parquet":
            write_parquet(part, rows(), columns, table.schema)
            return counts
        with open_to_write(part) as file:
            if kind_of(out) == "csv":
                delimiter = "\t" if suffix_of(out) == ".tsv" else table.delimiter
                write_csv(file, rows(), columns, table, delimiter)
                return counts
            array = suffix_of(out) == ".json"
            before, end = ("[", "]\n") if array else ("", "")
            for row in rows():
                file.write(before + json.dumps(row, ensure_ascii=False, default=str) + "\n")
                before = "," if array else ""
            file.write(end)
    return counts


def classify_file(
    model: Path, source: Path, out: Path, column: str = "text", resume: bool = False, **reading
) -> Counter:
    """Answer every row of `source` into `out`, in order; returns how many had which `outcome`.

    `model` is the folder that `Predictor` reads; `out` takes its name when all rows are in it;
    `resume` goes on with a run that was ended before its time; `reading` goes to `Table`. Raises
    TableError (a file, the column, or an unfinished run is in the way) or ModelFolderError.
    """
    table = Table(source, column, **reading)
    folder = out.with_name(f".{out.name}.portions")
    kind_of(out)
    if out.is_dir() or out.resolve() == source.resolve():
        raise TableError(f"{out}: it is the input or a folder; give the output a name of its own")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0) as lock:
            try:
                counts = _classify(model, table, out, folder, resume)
                (folder / "of.json").unlink()
                return counts
            finally:
                if not (folder / "of.json").exists():  # nothing to go on with
                    lock.release()  # Windows removes no file that is open
                    shutil.rmtree(folder)
    except Timeout:
        raise TableError(f"{out}: another job is writing it") from None
    except OSError as error:
        on = "; go on with --resume" if (folder / "of.json").exists() else ""
        raise TableError(f"{error.filename or out}: {error.strerror or error}{on}") from error


def _classify(model: Path, table: Table, out: Path, folder: Path, resume: bool) -> Counter:
    predictor, rows, columns = Predictor(model), iter(table), {}
    of = {"input": table.fingerprint(), "model": sha256_of(model / "serving.json")}
    pause = 1 if sys.stderr.isatty() else 10  # seconds; fewer in a log
    with tqdm(unit="row", mininterval=pause, desc=table.path.name) as bar:
        for number in count():
            portion = list(islice(rows, PORTION))
            check_columns(table)
            if not portion:
                break
            if number == 0:
                begin(folder, of, resume)
            for row, _ in portion:  # rows of JSON may each have columns of their own
                columns.update(dict.fromkeys(row))
            path = folder / f"{number:08}.json"
            if len(load(path) or []) != len(portion):
                with atomic(path) as part:
                    answers = answer_rows(predictor, portion, table.column)
                    part.write_text(json.dumps(answers), "utf-8")
            bar.update(len(portion))
    if not bar.n:
        raise TableError(f"{table.path}: no rows")
    for note in table.notes():
        print(note, file=sys.stderr)
    counts = join(table, folder, folder / out.name, list(columns))  # in there: no half of it stays
    move(folder / out.name, out)
    return counts
