"""`deploy/ray/classify.py`: two workers say the same as `gpt2news classify`."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpt2news.run import ROOT
from newsserve import batch

SCRIPT = ROOT / "deploy" / "ray" / "classify.py"
TEXTS = ["The bank cut its forecast", "Goal! The striker scored", "The minister promised a vote"]


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_two_workers_say_the_same(exported, tmp_path):
    pytest.importorskip("ray")
    folder = tmp_path / "in"
    folder.mkdir()
    rows = [{"id": str(i), "text": f"{TEXTS[i % 3]} {i}"} for i in range(6000)]
    for part in range(3):
        some = rows[part * 2000 : (part + 1) * 2000]
        pq.write_table(pa.Table.from_pylist(some), folder / f"{part}.parquet")
    assert batch.classify_file(exported, folder, tmp_path / "local.parquet").total() == 6000
    out = tmp_path / "ray"
    done = run("--model", exported, "--input", folder, "--output", out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(": 6,000 rows\n")
    local = {row["id"]: row for row in pq.read_table(tmp_path / "local.parquet").to_pylist()}
    ray = pq.read_table(out).to_pylist()
    assert len(ray) == len({row["id"] for row in ray}) == len(local)
    for row in ray:
        assert row["predicted"] == local[row["id"]]["predicted"]
        assert row["probability"] == pytest.approx(local[row["id"]]["probability"], abs=1e-6)


def test_what_cannot_be_taken_is_one_line_and_exit_code_2(exported, tmp_path):
    pytest.importorskip("ray")
    source = tmp_path / "in.csv"
    source.write_text("text\nThe bank\n")
    refused = run("--model", exported, "--input", source, "--output", tmp_path / "out")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "Ray reads Parquet and writes a new folder" in line
