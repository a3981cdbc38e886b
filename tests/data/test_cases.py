"""Files as other people have them, through every door: the corpus, `doctor`, `new-profile`,
`classify --input`, and the upload of the app. All give the same rows, or the same refusal."""

import csv
import json

import pytest
import yaml
from hostile import CASES, Case

from gpt2news.explore import CorpusError, load_corpus
from gpt2news.run import ROOT
from newsreport import __main__ as command
from newsserve import batch
from newsserve.predictor import Answer
from newsserve.tables import Table, TableError, cell_of, fault_of

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
MODEL = ROOT / "models" / "gpt2-mini-bbc"


def answer(texts: list[str]) -> list[Answer]:
    """A model that finds everything to be sport: the doors do not depend on it."""
    return [Answer("sport", 0.9, True, {"sport": 0.9}, 5, False) for _ in texts]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a case; profiles go into a folder of their own, and a stand-in answers."""
    monkeypatch.setattr("newsreport.profiles.NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(batch, "Predictor", lambda folder: answer)

    def put(case: Case):
        path = tmp_path / case.name
        path.write_bytes(case.data)
        return path

    return put


def options(case: Case) -> dict[str, str]:
    """The options that a case gives, by name."""
    words = [word for word in case.given if word != "--strict"]
    return dict(zip(words[::2], words[1::2], strict=True))


def reader(case: Case, **where) -> Table:
    columns = options(case).get("--columns")
    return Table(where.pop("path", case.name), case.text or "text", columns=columns, **where)


def faults(table: Table, column: str) -> tuple[int, dict[int, str], list[str]]:
    """How many rows, why which line cannot be read, and the texts."""
    count, bad, texts = 0, {}, []
    for row, wrong in table:
        count += 1
        fault = wrong or fault_of(cell_of(row, column))
        if fault:
            bad[table.line] = fault
        else:
            texts.append(cell_of(row, column))
    return count, bad, texts


def hold(bad: dict[int, str], case: Case) -> None:
    assert list(bad) == list(case.bad)
    for line, why in case.bad.items():
        assert why in bad[line]


def test_there_are_thirty_and_more():
    assert len({case.name for case in CASES}) == len(CASES) >= 30


@each
@pytest.mark.parametrize("upload", [False, True], ids=["file", "upload"])
def test_the_reader(case, write, upload):
    path = write(case)
    where = {"path": case.name, "data": case.data} if upload else {"path": path}
    if case.refused and case.name != "empty.csv":
        with pytest.raises(TableError, match=case.refused):
            list(reader(case, **where))
        return
    count, bad, texts = faults(reader(case, **where), case.text)
    assert count == case.rows
    hold(bad, case)
    assert not texts or texts[0].startswith(case.first)


@each
def test_the_app_reads_the_same_rows(case, write):
    pytest.importorskip("streamlit")
    from newsserve.app import upload

    if case.refused:
        with pytest.raises(TableError):
            upload.read(case.name, case.data)
        return
    table, rows = upload.read(case.name, case.data)
    assert len(rows) == case.rows
    assert table.column in table.names
    answered = batch.answer_rows(answer, rows, table.column)
    written = upload.as_csv(table, rows, answered).decode("utf-8", "surrogateescape")
    assert len(list(csv.reader(written.splitlines(keepends=True)))) > case.rows / 2


@each
def test_classify(case, write, capsys, tmp_path):
    path, out = write(case), tmp_path / "out.jsonl"
    columns = options(case).get("--columns")
    words = ["classify", "--model", str(MODEL), "--input", str(path), "--output", str(out)]
    words += ["--text-column", case.text or "text", *(["--columns", columns] if columns else [])]
    code = command.main(words)
    said = capsys.readouterr().err
    if case.refused:
        assert code == 2
        assert case.refused in said
        assert not out.exists()
        return
    answered = case.rows - len(case.bad)
    counts = f"{answered} answered, 0 not sure, 0 another kind of text, {len(case.bad)} not read"
    assert f"{case.rows} rows: {counts}" in said
    assert code == (0 if answered else 4)
    rows = [json.loads(line) for line in out.open(errors="surrogateescape")]
    assert [row["error"] for row in rows if row["error"]] != [] or not case.bad
    assert sum(row["predicted"] == "sport" for row in rows) == answered


@each
def test_new_profile_and_the_corpus_that_it_names(case, write, capsys, tmp_path):
    path = write(case)
    code = command.main(["new-profile", "mine", "--data", str(path), *case.given])
    said = capsys.readouterr()
    profile = tmp_path / "notebooks" / "profiles" / "mine.yaml"
    why = case.refused or (case.learned if isinstance(case.learned, str) else "")
    if why:
        assert code == 2
        assert why in said.err
        assert said.err.count("\n") == 1
        assert not profile.exists()
        return
    assert code == 0, said.err
    assert f"{case.learned} texts, {len(case.topics)} topics. Written: " in said.out
    reading = yaml.safe_load(profile.read_text(encoding="utf-8"))["01_explore"]
    assert reading["text_column"] == case.text
    corpus = load_corpus(reading.pop("dataset"), **reading)
    assert len(corpus) == case.learned
    assert tuple(sorted(corpus["topic"].unique())) == case.topics
    assert corpus["text"].iloc[0].startswith(case.first)
    assert corpus["source_id"].is_unique


@each
def test_doctor(case, write, capsys):
    path = write(case)
    code = command.main(["doctor", str(path), *case.given])
    said = capsys.readouterr().out
    why = case.refused or (case.learned if isinstance(case.learned, str) else "")
    assert code == bool(why)
    for part in (why, *case.said):
        assert part in said
    if not why:
        assert "Next: gpt2news new-profile mine --data" in said


def test_a_refusal_of_a_column_names_what_there_is(write):
    two = next(case for case in CASES if case.name == "two_texts.csv")
    says = r"no column 'text'; it has 'text \(column 1\)', 'topic', 'text \(column 3\)'"
    with pytest.raises(CorpusError, match=says):
        load_corpus(write(two))
