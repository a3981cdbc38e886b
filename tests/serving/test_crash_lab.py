"""The batch job under faults: each ends in the same file, or in one clear sentence."""

import csv
import json
import shutil
import threading

import pytest

import crash_lab
from newsserve import batch
from newsserve.predictor import Answer

ROWS = 40
PLACES = 60  # more writes than a job of these rows makes


class Model:
    """Answers at once, always the same."""

    def __init__(self, folder):
        pass

    def __call__(self, texts):
        return [
            Answer("sport", len(t) / 100, True, {"sport": len(t) / 100}, 3, False) for t in texts
        ]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """`job(suffix, resume)`: the batch job over 40 rows, in portions of 8."""
    monkeypatch.setattr(batch, "Predictor", Model)
    monkeypatch.setattr(batch, "PORTION", 8)
    monkeypatch.setattr(batch, "TURN", 4)
    # A child that is killed must not hold a lock that it shares with the others.
    monkeypatch.setattr(batch.tqdm, "monitor_interval", 0)
    batch.tqdm.set_lock(threading.RLock())
    model = tmp_path / "model"
    model.mkdir()
    (model / "serving.json").write_text("{}")
    source = tmp_path / "in.csv"
    with open(source, "w", newline="") as file:
        csv.writer(file).writerows(
            [["id", "text"], *([i, f"text {i} " * i] for i in range(1, ROWS))]
        )
    work = tmp_path / "work"
    work.mkdir()
    return lambda suffix, resume=True: batch.classify_file(
        model, source, work / f"out.{suffix}", resume=resume
    )


def result(tmp_path, suffix):
    """What the job left, which is one file and nothing beside it."""
    work = tmp_path / "work"
    assert [path.name for path in work.iterdir()] == [f"out.{suffix}"]
    return (work / f"out.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("fault", crash_lab.FAULTS)
def test_a_fault_at_every_write(job, tmp_path, suffix, fault):
    job(suffix)
    wanted, work = result(tmp_path, suffix), tmp_path / "work"
    struck = 0
    for nth in range(1, PLACES):
        shutil.rmtree(work)
        work.mkdir()
        code, said = crash_lab.strike(lambda: job(suffix, False), work, fault, nth)
        if code == 0:
            assert result(tmp_path, suffix) == wanted
            break
        struck += 1
        assert code == (crash_lab.KILLED if fault == "kill" else crash_lab.SENTENCE), (nth, said)
        if fault == "full":
            assert "No space left on device" in said
        assert job(suffix).total() == ROWS - 1, nth
        assert result(tmp_path, suffix) == wanted, nth
    print(f"batch, {suffix}, {fault}: {struck} strikes")
    assert struck > 12


@pytest.mark.parametrize("size", [0, 100, 700])
def test_a_disk_that_is_full_in_the_middle_of_a_file(job, tmp_path, size):
    job("csv")
    wanted, work = result(tmp_path, "csv"), tmp_path / "work"
    (work / "out.csv").unlink()
    code, said = crash_lab.strike(lambda: job("csv", False), work, "none", 0, size)
    assert code == crash_lab.SENTENCE, said
    assert "File too large" in said
    assert job("csv").total() == ROWS - 1
    assert result(tmp_path, "csv") == wanted


def unfinished(job, work):
    """Leave a job that was killed when it began to write the output."""
    nth = 1
    while True:
        shutil.rmtree(work)
        work.mkdir()
        crash_lab.strike(lambda: job("csv", False), work, "kill", nth)
        if list(work.glob(".out.csv.portions/.out.*.part.csv")):
            return
        nth += 1


def test_every_file_of_an_unfinished_job_cut_short(job, tmp_path):
    job("csv")
    wanted, work = result(tmp_path, "csv"), tmp_path / "work"
    unfinished(job, work)
    kept = tmp_path / "kept"
    shutil.copytree(work, kept)
    cases = 0
    for path, how in crash_lab.truncations(kept, ".out.csv.portions/*.json"):
        shutil.rmtree(work)
        shutil.copytree(kept, work)
        code, said = crash_lab.strike(lambda: job("csv"), work, "none", 0)
        cases += 1
        if path.name == "of.json" and how != "gone":
            assert code == crash_lab.SENTENCE
            assert "delete this folder and start again" in said
        else:
            assert code == 0, (path.name, how, said)
            assert (work / "out.csv").read_bytes() == wanted
    assert cases >= 18


def test_a_portion_of_fewer_rows_is_not_believed(job, tmp_path):
    """Whole as JSON, but not what was written: 6,000 rows in, 3,963 out."""
    job("csv")
    wanted, work = result(tmp_path, "csv"), tmp_path / "work"
    unfinished(job, work)
    portion = work / ".out.csv.portions" / f"{8:012}.json"
    digest, answers = portion.read_text().split("\n")
    portion.write_text(f"{digest}\n{json.dumps(json.loads(answers)[:3])}")
    assert job("csv").total() == ROWS - 1
    assert (work / "out.csv").read_bytes() == wanted


def test_two_jobs_into_one_output(job, tmp_path, monkeypatch):
    from newsserve.tables import TableError

    inner = []

    class Slow(Model):
        def __call__(self, texts):
            if not inner:
                with pytest.raises(TableError, match="another job is writing it") as refused:
                    job("csv")
                inner.append(refused)
            return super().__call__(texts)

    monkeypatch.setattr(batch, "Predictor", Slow)
    assert job("csv").total() == ROWS - 1
    assert inner


@pytest.mark.parametrize("place", ["a folder", "the input"])
def test_an_output_that_cannot_be_is_refused_before_the_work(job, tmp_path, monkeypatch, place):
    from newsserve.tables import TableError

    monkeypatch.setattr(batch, "Predictor", lambda _: pytest.fail("it began"))
    out = tmp_path / "in.csv" if place == "the input" else tmp_path / "work.csv"
    if place == "a folder":
        out.mkdir()
    before = (tmp_path / "in.csv").read_bytes()
    with pytest.raises(TableError, match="it is the input or a folder"):
        batch.classify_file(tmp_path / "model", tmp_path / "in.csv", out)
    assert (tmp_path / "in.csv").read_bytes() == before
