"""A chapter that is opened alone makes chapter 02's part, once, as the profile would."""

import pytest

from gpt2news.explore import load_corpus
from gpt2news.run import Run, companion
from gpt2news.split import PARTS, check_leaks, read_split, split_corpus, write_split

earlier = companion("earlier", "02_split")


@pytest.fixture
def report(tmp_path, monkeypatch) -> Run:
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    return Run("quick")


def test_catch_up_makes_what_is_missing_and_says_so_once(report, capsys):
    earlier.catch_up(report)
    said = capsys.readouterr().out
    assert said == "02_split has not run here: splitting sample, as profile quick would.\n"
    metrics = report.metrics
    assert metrics["split"] == {
        "train": 400,
        "val": 50,
        "test": 50,
        "leaked_exact": 0,
        "leaked_near": 0,
        "seed": 0,
    }
    assert metrics["dataset"]["rows"] == metrics["dataset"]["unique"] == 500
    assert metrics["dataset"]["name"] == "sample"
    written = read_split(report.path("splits"))
    again = split_corpus(load_corpus("sample"), 0)
    for part in PARTS:
        ids = again.loc[again["split"] == part, "source_id"]
        assert written[part]["source_id"].tolist() == ids.tolist()
    before = {path: path.stat().st_mtime_ns for path in report.folder.rglob("*")}
    earlier.catch_up(report)
    assert capsys.readouterr().out == ""
    assert {path: path.stat().st_mtime_ns for path in report.folder.rglob("*")} == before


def test_catch_up_keeps_a_split_that_was_drawn_otherwise(report, capsys):
    written = write_split(
        split_corpus(load_corpus("sample"), 4, 0.2, 0.2), report.path("splits"), {"seed": 4}
    )
    section = companion("records", "02_split").summary(written, check_leaks(report.path("splits")))
    report.save_metrics(dataset={"name": "mine.csv"}, split=section)
    earlier.catch_up(report)
    assert capsys.readouterr().out == ""
    assert report.metrics["split"] == section
    assert report.metrics["dataset"] == {"name": "mine.csv"}


def test_a_run_without_a_profile_takes_the_notebooks_settings(report, capsys):
    earlier.catch_up(Run("my-own"))
    assert "splitting sample, with the settings in its notebook." in capsys.readouterr().out
