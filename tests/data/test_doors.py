"""The table of doors: each hostile file is read or refused by each door, in clear words."""

import pytest
from doors import SHOWN, table
from hostile import CASES

CODES = {
    "new-profile": {0, 2},
    "doctor": {0, 1},
    "report": {0, 1},
    "classify": {0, 2, 4},
    "app": {0, 1},
    "HTTP": {200, 415, 422},
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict:
    pytest.importorskip("streamlit")
    return table([], tmp_path_factory.mktemp("doors"))


def test_each_door_has_a_code_and_words_for_each_file(rows):
    assert list(rows) == [case.name for case in CASES]
    for name, said in rows.items():
        for door, (code, words) in said.items():
            assert code in CODES[door], (name, door)
            assert words, (name, door)
            assert "Traceback" not in words, (name, door)
        print(f"{name:<34}", *(f"{door} {code}" for door, (code, _) in said.items()))


def test_doors_that_make_a_corpus_agree(rows):
    for name, said in rows.items():
        failed = {door: said[door][0] > 0 for door in ("new-profile", "doctor", "report")}
        assert len(set(failed.values())) == 1, (name, failed)


def test_what_no_door_reads_is_refused_by_every_door_with_the_same_words(rows):
    for case in CASES:
        if not case.refused or case.name == "empty.csv":
            continue
        for door in ("new-profile", "doctor", "report", "classify", "app"):
            code, words = rows[case.name][door]
            assert code > 0, (case.name, door)
            assert case.refused in words, (case.name, door)


def test_over_http_a_table_is_refused_by_its_type_and_json_is_read(rows):
    assert rows["semicolon.csv"]["HTTP"][0] == 415
    assert "send application/json or application/jsonlines" in rows["semicolon.csv"]["HTTP"][1]
    assert rows["array.json"]["HTTP"] == (200, "48 answers")
    assert rows["lines.ndjson"]["HTTP"] == (200, "48 answers")
    assert rows["cut.json"]["HTTP"][0] == 422


def test_the_table_can_be_asked_for_some_files(tmp_path):
    some = table(["lines.ndjson", "workbook"], tmp_path)
    assert list(some) == ["lines.ndjson", "workbook.csv"]
    assert all(len(words[:SHOWN]) for said in some.values() for _, words in said.values())
