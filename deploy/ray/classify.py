"""Classify Parquet files over several processes or a cluster, with Ray Data.

python deploy/ray/classify.py --model models/gpt2-mini-bbc --input folder --output answers

The rows are those that `gpt2news classify --input` writes. A cluster is used when RAY_ADDRESS names
one (model and folders then have to be where each node finds them), else processes of this machine,
a core each. It wants `pip install 'gpt2-news[scale]'`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

# Ray's threads import it all at once, and one of them may find it half made.
import fsspec.implementations.http  # noqa: F401
import pyarrow as pa
import pyarrow.parquet as pq
import ray

from newsserve.batch import answer_rows, check_columns, schema_with_answers
from newsserve.predictor import ModelFolderError, Predictor
from newsserve.tables import PORTION, Table, TableError


class Worker:
    """A predictor with one thread: an Arrow table in, the same with answers out."""

    def __init__(self, model: str, column: str):
        self.predictor, self.column = Predictor(model, threads=1), column

    def __call__(self, table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        answers = answer_rows(self.predictor, [(row, None) for row in rows], self.column)
        answered = [{**row, **answer} for row, answer in zip(rows, answers, strict=True)]
        return pa.Table.from_pylist(answered, schema=schema_with_answers(table.schema))


def classify(model: Path, source: Path, out: Path, column: str, workers: int) -> int:
    """Answer all rows of `source` into the new folder `out`; returns how many they are.

    Raises TableError or ModelFolderError before Ray is started.
    """
    table = Table(source, column)
    if table.kind != "parquet" or out.exists():
        raise TableError(f"Ray reads Parquet and writes a new folder: {source}, {out}")
    table.names = table.schema.names
    check_columns(table)
    Predictor(model)  # a folder that cannot be served is refused here, with its own message
    part = out.with_name(f".{out.name}.part").resolve()
    shutil.rmtree(part, ignore_errors=True)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here = {}
    if "RAY_ADDRESS" not in os.environ:
        # A place for each worker and two for the tasks that read and write: those would wait for
        # ever on two cores.
        here = {"num_cpus": workers + 2, "_node_ip_address": "127.0.0.1"}
        here["include_dashboard"] = False
    ray.init(log_to_driver=False, **here)
    try:
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        data = ray.data.read_parquet([str(file.resolve()) for file in table.files])
        data.map_batches(
            Worker,
            fn_constructor_args=(str(model.resolve()), column),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            batch_size=PORTION,
            batch_format="pyarrow",
        ).write_parquet(str(part))
    finally:
        ray.shutdown()
    part.replace(out)
    return sum(pq.read_metadata(file).num_rows for file in out.glob("*.parquet"))


def main() -> int:
    """Returns the exit code; a mistake in what was asked is one line on standard error and 2."""
    parser = argparse.ArgumentParser(description="Classify Parquet files with Ray Data.")
    parser.add_argument("--model", type=Path, required=True, help="a folder that chapter 05 made")
    parser.add_argument("--input", type=Path, required=True, help="Parquet, or a folder of that")
    parser.add_argument("--output", type=Path, required=True, help="a new folder of Parquet files")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    args = parser.parse_args()
    try:
        rows = classify(args.model, args.input, args.output, args.text_column, args.workers)
    except (ModelFolderError, TableError) as error:
        print(f"classify.py: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {rows:,} rows", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
