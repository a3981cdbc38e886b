"""`gpt2news classify` over files: nothing lost, nothing twice."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newsserve import __main__ as cli
from newsserve import batch
from newsserve.predictor import Predictor
from newsserve.tables import Table, TableError

TEXTS = ["The bank cut its forecast", "Goal! The striker scored", "The minister promised a vote"]


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *rows])
    return path


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbered(n):
    return [[str(i), f"{TEXTS[i % 3]} {i}"] for i in range(n)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_any_format_into_any(exported, tmp_path, monkeypatch, source, suffix):
    for name in ("PORTION", "TURN"):
        monkeypatch.setattr(batch, name, 4)
    rows = [{"id": i, "text": text} for i, text in numbered(10)]
    path = tmp_path / f"in.{source}"
    if source == "csv":
        write_csv(path, [row.values() for row in rows])
    elif source == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    out = tmp_path / f"out.{suffix}"
    assert batch.classify_file(exported, path, out).total() == 10
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, out.name])
    given = (
        read_csv(out)
        if suffix == "csv"
        else pq.read_table(out).to_pylist()
        if suffix == "parquet"
        else [json.loads(line) for line in out.read_text().splitlines()]
    )
    wanted = Predictor(exported)([row["text"] for row in rows])
    assert [(row["id"], row["text"], row["predicted"]) for row in given] == [
        (row["id"], row["text"], answer.topic) for row, answer in zip(rows, wanted, strict=True)
    ]
    assert [float(row["probability"]) for row in given] == pytest.approx(
        [answer.probability for answer in wanted]
    )


def test_bad_rows_are_kept_with_their_error(exported, tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(
        b'\xef\xbb\xbfid,text\n1,The bank\n2,\n3,a,"b"\n4\n5,"caf\xe9 bank"\n6,"two\nlines"\n'
    )
    batch.classify_file(exported, source, tmp_path / "out.csv")
    given = {
        row[0]: row
        for row in csv.reader((tmp_path / "out.csv").open(newline="", errors="surrogateescape"))
    }
    assert list(given) == ["id", "1", "2", "3", "4", "5", "6"]
    says = {number: row[-1] for number, row in given.items()}
    assert (says["1"], says["2"], says["6"]) == ("", "no text", "")
    assert says["3"].startswith("3 columns where there are 2 names; beyond them: ['b']")
    assert says["4"].startswith("1 columns")
    assert says["5"] == "the text is not UTF-8"
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"text": "The bank"}\n{"te\n[]\n{"text": 7}\n{"text": null}\n{"other": 1}\n')
    batch.classify_file(exported, lines, tmp_path / "out.jsonl")
    given = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["error"] and row["error"].split(":")[0] for row in given] == [
        None,
        "not JSON",
        "not a JSON object",
        "the text is not a string but int",
        "no text",
        "no text",
    ]
    assert given[1]["text"] == '{"te'


def test_killed_and_resumed_every_row_is_there_once(exported, tmp_path):
    """Killed for real, as soon as some portions are written; a run without --resume refuses to
    throw them away."""
    source, out = write_csv(tmp_path / "in.csv", numbered(14_000)), tmp_path / "out.csv"
    command = [
        sys.executable,
        "-m",
        "newsserve",
        "classify",
        "--model",
        exported,
        "--input",
        source,
        "--output",
        out,
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    portions = tmp_path / ".out.csv.portions"
    deadline = time.monotonic() + 60
    while len(list(portions.glob("0*.json"))) < 1:
        assert process.poll() is None, "it was done before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "go on with --resume" in refused.stderr
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in read_csv(out)] == [str(i) for i in range(14_000)]
    assert all(row["predicted"] for row in read_csv(out))
    assert not portions.exists()


def test_an_unfinished_run_over_another_input_is_not_gone_on_with(exported, tmp_path, monkeypatch):
    for name in ("PORTION", "TURN"):
        monkeypatch.setattr(batch, name, 4)
    source, out = write_csv(tmp_path / "in.csv", numbered(10)), tmp_path / "out.csv"
    monkeypatch.setattr(batch, "join", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        batch.classify_file(exported, source, out)
    write_csv(source, numbered(11))
    with pytest.raises(TableError, match="the input or the model is another"):
        batch.classify_file(exported, source, out, resume=True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,body\n1,a\n", "no column 'text'; it has 'id', 'body'"),
        ("text,error\na,b\n", "error would be overwritten"),
        ("", "no rows"),
        ("text\n", "no rows"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_is_left(exported, tmp_path, content, says):
    source = tmp_path / "in.csv"
    source.write_text(content)
    with pytest.raises(TableError, match=says):
        batch.classify_file(exported, source, tmp_path / "out.csv")
    assert os.listdir(tmp_path) == ["in.csv"]


def test_semicolons_stay_and_a_header_with_a_line_break_is_written_once(
    exported, tmp_path, monkeypatch
):
    for name in ("PORTION", "TURN"):
        monkeypatch.setattr(batch, name, 2)
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id;"no\nte";text\n' + "".join(f"{i};;Goal {i}\n" for i in range(5)))
    assert batch.classify_file(exported, source, out).total() == 5
    rows = list(csv.reader(out.open(newline=""), delimiter=";"))
    assert rows[0] == ["id", "no\nte", "text", *batch.ADDED]
    assert [row[2] for row in rows[1:]] == [f"Goal {i}" for i in range(5)]


def test_the_output_has_the_form_that_its_name_says(exported, tmp_path):
    source = write_csv(tmp_path / "in.csv", numbered(3))
    for name in ("o.CSV", "o.tsv", "o.PARQUET", "o.JSON", "o.ndjson", "o.csv.gz", "o.jsonl.gz"):
        batch.classify_file(exported, source, tmp_path / name)
        rows = [row for row, wrong in Table(tmp_path / name) if not wrong]
        assert [(row["id"], row["text"]) for row in rows] == [tuple(row) for row in numbered(3)]
    assert (tmp_path / "o.tsv").read_text().startswith("id\ttext\tpredicted")
    assert isinstance(json.loads((tmp_path / "o.JSON").read_text()), list)
    assert (tmp_path / "o.csv.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_the_header_comes_out_as_it_went_in(exported, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text , note,note,\nThe bank,a,b,c\n")
    batch.classify_file(exported, source, out)
    head, row = csv.reader(out.open(newline=""))
    assert head == ["text ", " note", "note", "", *batch.ADDED]
    assert row[:4] == ["The bank", "a", "b", "c"]


def test_input_and_output_are_two_files(exported, tmp_path):
    source = write_csv(tmp_path / "in.csv", numbered(3))
    before = source.read_bytes()
    with pytest.raises(
        TableError, match="it is the input or a folder; give the output a name of its own"
    ):
        batch.classify_file(exported, source, tmp_path / "." / "in.csv")
    assert source.read_bytes() == before


def test_a_number_too_large_for_parquet_names_the_way_out(exported, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "The bank", "id": 12345678901234567890123}\n')
    with pytest.raises(TableError, match=r"write \.jsonl instead"):
        batch.classify_file(exported, source, tmp_path / "out.parquet")


def test_the_outcomes_are_counted(exported, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("text\nThe bank cut its forecast\n \nGoal!\n")
    counts = batch.classify_file(exported, source, tmp_path / "out.csv")
    assert counts["not read"] == 1
    assert counts.total() == 3
    assert batch.counted(Counter({"answered": 1200, "not read": 1})) == (
        "1,201 rows: 1,200 answered, 0 not sure, 0 another kind of text, 1 not read"
    )


def test_cells_that_a_spreadsheet_would_run(exported, tmp_path):
    """As they were, unless --safe-cells is given; the header too; only in CSV."""
    source = tmp_path / "in.csv"
    cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "a=1", "'=1", ""]
    with open(source, "w", newline="") as file:
        csv.writer(file).writerows([["=id", "text"], *([cell, "The bank"] for cell in cells)])
    for name, command in {"plain.csv": [], "safe.csv": ["--safe-cells"]}.items():
        files = ["--input", str(source), "--output", str(tmp_path / name), *command]
        assert cli.main(["classify", "--model", str(exported), *files]) == 0
    tables = []
    for name in ("plain.csv", "safe.csv"):
        with open(tmp_path / name, newline="") as file:
            tables.append(list(csv.reader(file)))
    plain, safe = tables
    assert [row[0] for row in plain] == ["=id", *cells]
    wanted = ["'=id", "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "a=1", "'=1", ""]
    assert [row[0] for row in safe] == wanted
    assert [row[1:] for row in safe] == [row[1:] for row in plain]
    batch.classify_file(exported, source, tmp_path / "out.jsonl", safe=True)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["=id"] for line in lines] == cells


class Fragile:
    """A model that fails on some texts."""

    def __init__(self, folder):
        self.model = Predictor(folder)

    def __call__(self, texts):
        if any("poison" in text for text in texts):
            raise MemoryError("out of memory")
        return self.model(texts)


def test_a_row_that_the_model_fails_on_gets_an_error_and_the_rest_is_answered(
    exported, tmp_path, monkeypatch
):
    rows = numbered(70)
    for i in (0, 33, 34, 69):
        rows[i][1] = f"poison {i}"
    source = write_csv(tmp_path / "in.csv", rows)
    monkeypatch.setattr(batch, "Predictor", Fragile)
    counts = batch.classify_file(exported, source, tmp_path / "out.csv")
    answered = read_csv(tmp_path / "out.csv")
    failed = {int(row["id"]): row["error"] for row in answered if row["error"]}
    assert failed == dict.fromkeys((0, 33, 34, 69), "the model failed: out of memory")
    assert (counts["not read"], counts.total()) == (4, 70)
    wanted = [a.topic for a in Predictor(exported)([row[1] for row in rows])]
    assert all(row["predicted"] == wanted[i] for i, row in enumerate(answered) if i not in failed)


def test_a_disk_without_room_for_the_output_is_refused_before_the_work(
    exported, tmp_path, monkeypatch
):
    source = write_csv(tmp_path / "in.csv", numbered(3))
    usage = batch.shutil.disk_usage(tmp_path)
    few = usage._replace(free=source.stat().st_size - 1)
    monkeypatch.setattr(batch, "Predictor", lambda _: pytest.fail("it began"))
    monkeypatch.setattr(batch.shutil, "disk_usage", lambda _: few)
    with pytest.raises(TableError, match="the disk has no room for a copy of the input"):
        batch.classify_file(exported, source, tmp_path / "out.csv")
    assert os.listdir(tmp_path) == ["in.csv"]


def test_a_slow_model_leaves_a_portion_every_few_seconds(exported, tmp_path, monkeypatch):
    """So that a kill costs seconds, however slow the machine; what is kept is not asked again."""
    asked, stopped = [], []

    class Slow(Fragile):
        def __call__(self, texts):
            if len(asked) == 3 and not stopped:
                stopped.append(1)
                raise KeyboardInterrupt
            asked.append(len(texts))
            return super().__call__(texts)

    monkeypatch.setattr(batch, "Predictor", Slow)
    monkeypatch.setattr(batch, "SECONDS", 0)
    source, out = write_csv(tmp_path / "in.csv", numbered(150)), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        batch.classify_file(exported, source, out)
    kept = sorted(path.name for path in (tmp_path / ".out.csv.portions").glob("[0-9]*"))
    assert kept == [f"{start:012}.json" for start in (0, 32, 64)]
    batch.classify_file(exported, source, out, resume=True)
    assert asked == [32, 32, 32, 32, 22]
    assert [row["id"] for row in read_csv(out)] == [str(i) for i in range(150)]


def test_portions_of_another_length_are_gone_on_with(exported, tmp_path, monkeypatch):
    """Those of a slow start, damaged in the middle, then a fast machine."""
    source, out = write_csv(tmp_path / "in.csv", numbered(300)), tmp_path / "out.csv"
    batch.classify_file(exported, source, tmp_path / "wanted.csv")
    with monkeypatch.context() as patch:
        patch.setattr(batch, "SECONDS", 0)
        patch.setattr(batch, "join", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            batch.classify_file(exported, source, out)
    folder = tmp_path / ".out.csv.portions"
    assert len(list(folder.glob("[0-9]*"))) == 10
    (folder / f"{96:012}.json").write_bytes(b"")
    batch.classify_file(exported, source, out, resume=True)
    assert out.read_bytes() == (tmp_path / "wanted.csv").read_bytes()
