"""A file of any length in, the same rows with topics out: `classify --input … --output …`.

Rows are read and answered in portions, so memory does not grow with the file. The answers to each
are a file in a folder beside the output, so a run that was killed goes on with `--resume`. At the
end the input is read once more, and each row is written with its answer.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import TextIO

from filelock import FileLock, Timeout
from tqdm import tqdm

from newsserve.files import atomic, move, sha256_of
from newsserve.predictor import Answer, Model, Predictor
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

PORTION, SECONDS, TURN = 256, 2, 32  # rows; a kill costs no more than these, or this time
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs such cells
ADDED = ("predicted", "probability", "answered", "reason", "truncated", "error")


def answer_rows(model: Model, rows: list[Row], column: str) -> list[dict]:
    """The columns of ADDED for each row of a `Table`."""
    cells = [cell_of(row, column) for row, _ in rows]
    faults = [wrong or fault_of(cell) for (_, wrong), cell in zip(rows, cells, strict=True)]
    texts = [cell for cell, fault in zip(cells, faults, strict=True) if not fault]
    answers = iter(model(texts))
    answered = []
    for fault in faults:
        answer = None if fault else next(answers)
        added = dict.fromkeys(ADDED) | {"error": fault}
        if isinstance(answer, Exception):
            added["error"] = f"the model failed: {answer}"
        elif answer:
            added |= {name: value for name, value in vars(answer).items() if name in ADDED}
            added["predicted"] = answer.topic
        answered.append(added)
    return answered


def careful(model: Model, texts: list[str]) -> list[Answer | Exception]:
    """The model's answers; where it fails, each text's own answer, or exception."""
    try:
        return model(texts)
    except Exception as error:
        if len(texts) == 1:
            return [error]
        return [answer for text in texts for answer in careful(model, [text])]


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


def _inert(cell: object) -> object:
    """What no spreadsheet runs."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def write_csv(
    file: TextIO,
    rows: Iterable[dict],
    columns: list[str],
    table: Table,
    delimiter: str,
    safe: bool = False,
) -> None:
    """The table's own header and the rows; a column that a row lacks stays empty.

    With `safe`, an apostrophe stands before what a spreadsheet would run.
    """

    def write(line: str) -> None:
        file.write(line.removesuffix("\r\n") + "\n")

    # With its "\r\n" it quotes a lone carriage return, which would begin a row.
    writer = csv.writer(SimpleNamespace(write=write), delimiter=delimiter)
    names = [*columns, *ADDED]
    header = [*(table.header or columns), *ADDED]
    for cells in chain([header], ([row.get(name) for name in names] for row in rows)):
        writer.writerow(map(_inert, cells) if safe else cells)


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


def save(path: Path, content: list | dict) -> None:
    """Write JSON, under its hash."""
    text = json.dumps(content)
    with atomic(path) as part:
        part.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}", "utf-8")


def load(path: Path) -> list | dict | None:
    """What `save` wrote; None where it is not there, or not as it was."""
    try:
        digest, _, text = path.read_text("utf-8").partition("\n")
    except (FileNotFoundError, ValueError):
        return None
    return json.loads(text) if hashlib.sha256(text.encode()).hexdigest() == digest else None


def begin(folder: Path, of: dict, resume: bool) -> None:
    """Find in the folder of the portions the run to go on with (else TableError), or begin one."""
    if (folder / "of.json").exists():
        if not resume:
            found = "an unfinished run; go on with --resume, or delete this folder"
            raise TableError(f"{folder}: {found}")
        if load(folder / "of.json") != of:
            found = "the input or the model is another than in the unfinished run"
            raise TableError(f"{folder}: {found}; delete this folder and start again")
    save(folder / "of.json", of)


def join(table: Table, portions: list[Path], out: Path, columns: list[str], safe: bool) -> Counter:
    """Write each row of the table with its answer; returns how many had which `outcome`."""
    counts = Counter()

    def rows() -> Iterator[dict]:
        read = iter(table)
        for path in portions:
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
                write_csv(file, rows(), columns, table, delimiter, safe)
                return counts
            array = suffix_of(out) == ".json"
            before, end = ("[", "]\n") if array else ("", "")
            for row in rows():
                file.write(before + json.dumps(row, ensure_ascii=False, default=str) + "\n")
                before = "," if array else ""
            file.write(end)
    return counts


def classify_file(
    model: Path,
    source: Path,
    out: Path,
    column: str = "text",
    resume: bool = False,
    safe: bool = False,
    **reading,
) -> Counter:
    """Answer every row of `source` into `out`, in order; returns how many had which `outcome`.

    `model` is the folder that `Predictor` reads; `out` takes its name when all rows are in it;
    `resume` goes on with a run that was ended before its time; with `safe`, no cell of a CSV output
    is a formula; `reading` goes to `Table`. Raises TableError (a file, the column, or an unfinished
    run is in the way) or ModelFolderError.
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
                if shutil.disk_usage(folder).free < sum(f.stat().st_size for f in table.files):
                    raise TableError(f"{out}: the disk has no room for a copy of the input")
                portions, columns = _answer(model, table, folder, resume)
                whole = folder / out.name  # in there: no half of it stays
                counts = join(table, portions, whole, columns, safe)
                move(whole, out)
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


def _answer(model: Path, table: Table, folder: Path, resume: bool) -> tuple[list[Path], list[str]]:
    """The files of the answers, in order, and the columns of all rows."""
    ask = partial(careful, Predictor(model))
    rows, columns, portions = iter(table), {}, []

    def read(n: int) -> list[Row]:
        some = list(islice(rows, n))
        check_columns(table)
        for row, _ in some:  # rows of JSON may each have columns of their own
            columns.update(dict.fromkeys(row))
        return some

    of = {"input": table.fingerprint(), "model": sha256_of(model / "serving.json")}
    pause = 1 if sys.stderr.isatty() else 10  # seconds; fewer in a log
    with tqdm(unit="row", mininterval=pause, desc=table.path.name) as bar:
        while some := read(TURN):
            if not portions:
                begin(folder, of, resume)
            portions.append(folder / f"{bar.n:012}.json")  # named after its first row
            answers, until = load(portions[-1]), time.monotonic() + SECONDS
            if answers and len(answers) >= len(some):
                read(len(answers) - len(some))
            else:
                answers = answer_rows(ask, some, table.column)
                while len(answers) < PORTION and time.monotonic() < until and (some := read(TURN)):
                    answers += answer_rows(ask, some, table.column)
                save(portions[-1], answers)
            bar.update(len(answers))
    if not portions:
        raise TableError(f"{table.path}: no rows")
    for note in table.notes():
        print(note, file=sys.stderr)
    return portions, list(columns)
