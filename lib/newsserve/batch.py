"""A file of any length in, the same rows with topics out, in constant memory: `gpt2news classify --input … --output …`.

Rows are read and answered in portions; each portion is a file in a folder beside the output, written whole or not at all. At the end
they are joined, and the output takes its name. So a run that was killed goes on with `--resume` where it was.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from newsserve.files import sha256_of
from newsserve.predictor import Predictor
from newsserve.tables import (
    ADDED,
    PORTION,
    BatchError,
    Source,
    fault_of,
    join,
    kind_of,
    parquet,
    schema_with_answers,
    write,
)


def answer_rows(
    predictor: Predictor, rows: list[tuple[dict, str | None]], column: str
) -> list[dict]:
    """The rows with the columns of ADDED; a row with something wrong keeps its columns, and `error` says what."""
    checked = [(row, wrong or fault_of(row.get(column))) for row, wrong in rows]
    answers = iter(predictor([row[column] for row, wrong in checked if not wrong]))
    nothing = dict.fromkeys(ADDED)
    result = []
    for row, wrong in checked:
        if wrong:
            result.append({**row, **nothing, "error": wrong})
            continue
        a = next(answers)
        result.append({**row, "predicted": a.topic, "probability": a.probability, "answered": a.answered, "truncated": a.truncated,
                       "error": None})  # fmt: skip
    return result


def classify_file(
    model: Path, source: Path, out: Path, column: str = "text", resume: bool = False
) -> int:
    """Answer every row of `source` into `out` (CSV, JSON Lines or Parquet by its name); progress goes to standard error.

    Args:
        model: the folder that `Predictor` reads.
        source: a file, or a folder of Parquet files.
        out: takes its name when all rows are in it.
        column: the one that holds the text.
        resume: go on with a run that was ended before its time.

    Returns:
        Number of rows; each of the input is there once, in order, those that could not be answered with an `error`.

    Raises:
        BatchError: a file, the column, or an unfinished run is in the way.
        ModelFolderError: the model cannot be served.
    """
    rows = Source(source, column)
    kind_of(out)
    folder = out.with_name(f".{out.name}.portions")
    wanted = json.dumps(
        {
            "input": rows.fingerprint(),
            "model": sha256_of(model / "serving.json") if model.is_dir() else "",
        }
    )
    portions = sorted(folder.glob(f"[0-9]*{out.suffix}"))
    if portions and not resume:
        raise BatchError(
            f"{folder}: an unfinished run of {len(portions) * PORTION:,} rows; go on with --resume, or delete this folder"
        )
    if portions and (folder / "of.json").read_text() != wanted:
        raise BatchError(
            f"{folder}: the input or the model is another than in the unfinished run; delete this folder and start again"
        )
    predictor = Predictor(model)
    stream = iter(rows)
    count = sum(1 for _ in islice(stream, len(portions) * PORTION))
    with tqdm(
        initial=count,
        unit="row",
        unit_scale=True,
        mininterval=0.5 if sys.stderr.isatty() else 10,
        desc=source.name,
    ) as bar:
        while portion := list(islice(stream, PORTION)):
            if not portions:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "of.json").write_text(wanted)
            path = folder / f"{len(portions):08}{out.suffix}"
            write(
                path,
                answer_rows(predictor, portion, column),
                portions[0] if portions else None,
                rows.schema,
            )
            portions.append(path)
            count += len(portion)
            bar.total = max(count, round(count / rows.done)) if rows.done else None
            bar.update(len(portion))
    if not portions:
        raise BatchError(f"{source}: no rows")
    join(portions, whole := folder / f"whole{out.suffix}")
    os.replace(whole, out)
    shutil.rmtree(folder)
    return count


class _Answers:
    """One of Ray's workers: a predictor with one thread, a table in, a table with answers out."""

    def __init__(self, model: str, column: str):
        self.predictor, self.column = Predictor(model, threads=1), column

    def __call__(self, table):
        rows = answer_rows(self.predictor, [(row, None) for row in table.to_pylist()], self.column)
        return parquet()[0].Table.from_pylist(rows, schema=schema_with_answers(table.schema))


def classify_with_ray(
    model: Path, source: Path, out: Path, column: str = "text", workers: int = 2
) -> int:
    """The same for a folder of Parquet files, with Ray Data; `out` is a folder of Parquet files.

    A cluster is used when RAY_ADDRESS names one (model and folders then have to be where each node finds them), else this machine.

    Args:
        workers: processes that answer, one core each.

    Returns:
        Number of rows.

    Raises:
        BatchError: as `classify_file`; also when Ray is not installed or `out` is there already.
    """
    try:
        import fsspec.implementations.http  # noqa: F401  Ray's threads import it all at once, and one may find it half made
        import ray
    except ImportError as error:
        raise BatchError("--engine ray needs Ray: pip install 'gpt2-news[scale]'") from error
    rows = Source(source, column)
    if rows.kind != "parquet":
        raise BatchError(f"{source}: --engine ray reads Parquet, a file or a folder of them")
    if out.exists():
        raise BatchError(f"{out}: is there already; --engine ray writes a new folder")
    rows.check(rows.schema.names)
    Predictor(model)  # a folder that cannot be served is refused here, with its own message
    part = out.with_name(f".{out.name}.part").resolve()
    shutil.rmtree(part, ignore_errors=True)
    # On one machine: a place for each worker, and two for the tasks that read and write, which would wait for ever on two cores.
    here = {"num_cpus": workers + 2, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    here = {} if "RAY_ADDRESS" in os.environ else here
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(ignore_reinit_error=True, log_to_driver=False, **here)
    try:
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        data = ray.data.read_parquet([str(file.resolve()) for file in rows.files])
        settings = {
            "fn_constructor_args": (str(model.resolve()), column),
            "batch_size": PORTION,
            "batch_format": "pyarrow",
        }
        data.map_batches(
            _Answers, compute=ray.data.ActorPoolStrategy(size=workers), num_cpus=1, **settings
        ).write_parquet(str(part))
    finally:
        ray.shutdown()
    os.replace(part, out)
    return sum(parquet()[1].read_metadata(file).num_rows for file in out.glob("*.parquet"))
