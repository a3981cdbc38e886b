"""The one reader of tables: every door takes the same files, and calls the same rows bad."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newsserve.tables import Table, TableError, cell_of, fault_of

RAGGED = "3 columns where there are 2 names; beyond them: ['more']"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_and_tabs(tmp_path, delimiter):
    path = tmp_path / "in.csv"
    rows = [["id", "text"], ["1", "The bank"], ["2"], ["3", "Goal!", "more"]]
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    table = Table(path)
    assert list(table) == [
        ({"id": "1", "text": "The bank"}, None),
        ({"id": "2", "text": ""}, "1 columns where there are 2 names"),
        ({"id": "3", "text": "Goal!"}, RAGGED),
    ]
    assert (table.names, table.delimiter) == (["id", "text"], delimiter)


def test_a_row_that_is_no_utf8_is_read_and_can_be_written_back(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(b"\xef\xbb\xbftext\ncaf\xe9\n\nfine\n")
    (bad, _), (good, _) = Table(path)
    assert fault_of(bad["text"]) == "the text is not UTF-8"
    assert bad["text"].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert (good, fault_of(good["text"])) == ({"text": "fine"}, None)


@pytest.mark.parametrize(
    ("cell", "says"),
    [(None, "no text"), (" ", "no text"), (7, "the text is not a string but int"), ("a", None)],
)
def test_what_is_no_text(cell, says):
    assert fault_of(cell) == says


def test_a_line_that_is_no_json_is_kept_where_the_text_would_be(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"te\n[]\n\n{"body": "The bank", "id": 1}\n')
    table = Table(path, column="body")
    first, second, third = table
    assert first[0] == {"body": '{"te'}
    assert first[1].startswith("not JSON: ")
    assert second == ({"body": "[]"}, "not a JSON object")
    assert third == ({"body": "The bank", "id": 1}, None)
    assert table.names == ["body", "id"]


def test_parquet_a_file_and_a_folder(tmp_path):
    rows = [{"id": i, "text": f"text {i}"} for i in range(5)]
    pq.write_table(pa.Table.from_pylist(rows[:3]), tmp_path / "a.parquet")
    pq.write_table(pa.Table.from_pylist(rows[3:]), tmp_path / "b.parquet")
    assert [row for row, _ in Table(tmp_path / "a.parquet")] == rows[:3]
    folder = Table(tmp_path)
    assert [row for row, _ in folder] == rows
    assert folder.schema.names == ["id", "text"]


def test_an_upload_is_read_as_the_file_would_be(tmp_path):
    rows = [{"id": "1", "text": "The bank"}]
    lines = json.dumps(rows[0]).encode()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    parquet = (tmp_path / "a.parquet").read_bytes()
    uploads = {"a.csv": b"id,text\n1,The bank\n", "a.jsonl": lines, "a.parquet": parquet}
    for name, data in uploads.items():
        assert list(Table(name, data=data)) == [(rows[0], None)], name


def test_the_fingerprint_changes_with_the_input(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("text\na\n")
    before = Table(path).fingerprint()
    assert Table(path).fingerprint() == before
    assert Table(path, column="body").fingerprint() != before
    os.utime(path, (0, 0))
    assert Table(path).fingerprint() != before


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (
            "in.doc",
            b"text\na\n",
            "has to end in .csv, .tsv, .txt, .jsonl, .ndjson, .json, .parquet",
        ),
        ("in.csv", b"PK\3\4", "a zip file or a workbook, no table; a spreadsheet"),
        ("in.csv.gz", b"\x1f\x8b\x08\x00", "not a whole file"),
        ("in.parquet", b"PAR1", "not a whole Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_way_out(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(TableError, match=says):
        list(Table(tmp_path / name))
    with pytest.raises(TableError, match="no such file"):
        Table(tmp_path / "nowhere.csv")


def test_a_quotation_mark_that_is_left_open_swallows_nothing(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text('text,id\n"open,1\n' + "".join(f'"a ""line""",{n}\n' for n in range(500)))
    table = Table(path)
    (bad, why), *others = table
    assert bad == {"text": '"open,1', "id": ""}
    assert "quotation mark left open" in why
    assert [row["id"] for row, _ in others] == [str(n) for n in range(500)]
    assert {wrong for _, wrong in others} == {None}
    assert table.line == 502


def test_a_cell_longer_than_may_be_is_a_damaged_row(tmp_path, monkeypatch):
    monkeypatch.setattr("newsserve.tables.LONGEST_CELL", 1000)
    path = tmp_path / "in.csv"
    path.write_text(f"text,id\n{'a' * 2000},1\nfine,2\n")
    (_, wrong), (fine, _) = Table(path)
    assert "field larger than field limit" in wrong
    assert fine == {"text": "fine", "id": "2"}


def test_two_columns_are_joined_and_an_inner_one_is_found():
    row = {"title": "Cup", "body": "A late goal", "a+b": "both", "data": {"text": "inside"}, "n": 1}
    assert cell_of(row, "title+body") == cell_of(row, "title + body") == "Cup A late goal"
    assert cell_of(row, "a+b") == "both"
    assert cell_of(row, "data.text") == "inside"
    assert cell_of(row, "title+n") == 1
    assert cell_of(row, "data.other") is cell_of(row, "nothing") is None
    assert cell_of({"title": "Cup", "body": None}, "title+body") == "Cup"


def test_what_is_missing_is_named_and_so_is_what_is_there(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("title,body\na,b\n")
    table = Table(path)
    list(table)
    assert table.lacks("title+body", "body") == ""
    assert table.lacks("title+text", "topic") == (
        "no column 'text'; no column 'topic'; it has 'title', 'body'"
    )


def test_an_encoding_can_be_named_and_an_unknown_one_is_refused(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes("text,id\nZażółć gęślą,1\n".encode("cp1250"))
    assert [row["text"] for row, _ in Table(path, encoding="cp1250")] == ["Zażółć gęślą"]
    guess = Table(path)
    assert next(iter(guess))[0]["text"] != "Zażółć gęślą"
    (note,) = guess.notes()
    assert note.startswith("in.csv is not UTF-8; read as cp1252, a guess: --encoding names another")
    with pytest.raises(TableError, match="unknown encoding: klingon"):
        list(Table(path, encoding="klingon"))
