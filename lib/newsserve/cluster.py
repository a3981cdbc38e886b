"""`classify --engine ray`: Parquet over several processes or a cluster, with Ray Data."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from newsserve.batch import answer_rows, check_columns, schema_with_answers
from newsserve.predictor import Predictor
from newsserve.tables import PORTION, Table, TableError, parquet


class _Worker:
    """A predictor with one thread: an Arrow table in, the same with answers out."""

    def __init__(self, model: str, column: str):
        self.predictor, self.column = Predictor(model, threads=1), column

    def __call__(self, table):
        pa, _ = parquet()
        rows = table.to_pylist()
        answers = answer_rows(self.predictor, [(row, None) for row in rows], self.column)
        answered = [{**row, **answer} for row, answer in zip(rows, answers, strict=True)]
        return pa.Table.from_pylist(answered, schema=schema_with_answers(table.schema))


def classify_with_ray(
    model: Path, source: Path, out: Path, column: str = "text", workers: int = 2
) -> int:
    """`batch.classify_file` for Parquet; `out` is a new folder of Parquet files.

    A cluster is used when RAY_ADDRESS names one (model and folders then have to be where each node
    finds them), else `workers` processes of this machine, a core each. Raises TableError.
    """
    try:
        # Ray's threads import it all at once, and one of them may find it half made.
        import fsspec.implementations.http  # noqa: F401
        import ray
    except ImportError as error:
        raise TableError("--engine ray needs Ray: pip install 'gpt2-news[scale]'") from error
    table = Table(source, column)
    if table.kind != "parquet" or out.exists():
        raise TableError(f"--engine ray reads Parquet and writes a new folder: {source}, {out}")
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
            _Worker,
            fn_constructor_args=(str(model.resolve()), column),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            batch_size=PORTION,
            batch_format="pyarrow",
        ).write_parquet(str(part))
    finally:
        ray.shutdown()
    part.replace(out)
    _, pq = parquet()
    return sum(pq.read_metadata(file).num_rows for file in out.glob("*.parquet"))
