"""The gallery of all runs and the page of what changed between two, on small made-up runs."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from gpt2news.evaluate import mcnemar_p, wilson
from newsreport import gallery


def a_run(
    root,
    name: str,
    right: list[bool],
    *,
    epochs: int = 3,
    started: str = "2026-01-01T10:00:00+00:00",
    sha: str = "ab",
    ids=None,
):
    """A run's folder with as many test texts as `right` has entries, answered as `right` says."""
    folder = root / name
    folder.mkdir(parents=True)
    k, n = int(np.sum(right)), len(right)
    accuracy = wilson(k, n)
    test = {"accuracy": accuracy, "macro_f1": accuracy, "log_loss": 0.3, "ece": 0.04, "n": n}
    metrics = {
        "profile": name, "dataset": {"name": "<b>x</b>.csv", "sha256": sha}, "split": {"test": n}, "test": test,
        "model": {"name": "mini", "parameters": 2_600_000}, "baseline": {"name": "linear", "accuracy": wilson(n // 2, n)},
    }  # fmt: skip
    record = {
        "started": started, "revision": "r1", "machine": "m", "versions": {"torch": "2.13.0"},
        "parameters": {"02_split": {"run": name, "seed": 0}, "03_finetune": {"run": name, "epochs": epochs}},
        "chapters": {chapter: {"status": "done"} for chapter in ("01_explore", "04_evaluate")},
    }  # fmt: skip
    told = pd.DataFrame(
        {
            "source_id": ids or [f"s{i}" for i in range(n)],
            "topic": "sport",
            "confidence": 0.9,
            "baseline": "sport",
        }
    )
    told["predicted"] = np.where(right, "sport", "tech")
    told.to_csv(folder / "predictions.csv", index=False)
    for file, content in (("metrics.json", metrics), ("run.json", record)):
        (folder / file).write_text(json.dumps(content))
    (folder / "index.html").touch()
    return folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    return tmp_path


def text_of(page) -> str:
    return " ".join(
        re.sub(
            r"<style>.*?</style>|<[^>]+>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL
        ).split()
    )


def test_newest_first_with_state_and_score(root):
    a_run(root, "old", [True] * 9 + [False])
    a_run(root, "new", [True] * 10, started="2026-02-01T10:00:00+00:00")
    broken = a_run(root, "broken", [True], started="2026-01-15T10:00:00+00:00")
    record = json.loads((broken / "run.json").read_text())
    record["chapters"]["03_finetune"] = {"status": "failed"}
    (broken / "run.json").write_text(json.dumps(record))
    (broken / "metrics.json").unlink()
    page = gallery.write_gallery()
    assert page == root / "index.html"
    assert [run["name"] for run in gallery.all_runs(root)] == ["new", "broken", "old"]
    text = text_of(page)
    assert re.findall(r"\b(new|broken|old)\b", text)[-3:] == ["new", "broken", "old"]
    assert "failed at 03_finetune" in text
    assert "0.900 (0.596 to 0.982)" in text
    assert 'href="old/index.html"' in page.read_text()
    assert "<b>x" not in page.read_text()


def test_an_empty_gallery_says_how_to_make_a_run(root):
    assert "No run yet" in text_of(gallery.write_gallery())


def test_what_changed(root):
    right_a, right_b = (
        np.array([True] * 30 + [False] * 10),
        np.array([True] * 28 + [False] * 2 + [True] * 9 + [False]),
    )
    a, b = a_run(root, "a", list(right_a)), a_run(root, "b", list(right_b), epochs=5)
    page = gallery.compare(a, b)
    assert page == root / "compare-a-b.html"
    text = text_of(page)
    assert "03_finetune.epochs 3 5" in text
    assert "seed" not in text
    p = mcnemar_p(right_a, right_b)
    assert p > 0.05
    assert "This test cannot tell them apart: on the 40 texts" in text
    assert f"only a is right on 2, only b on 9 (McNemar p = {p:.2f})." in text
    assert "a right 28 2" in text
    assert "a wrong 9 1" in text
    assert "11 texts." in text
    assert "The same revision, machine and versions." in text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.read_text())


def test_a_clear_win_is_named_whichever_way(root):
    a, b = (
        a_run(root, "a", [True] * 10 + [False] * 30),
        a_run(root, "b", [True] * 30 + [False] * 10),
    )
    assert "b is better: on the 40 texts" in text_of(gallery.compare(a, b))
    assert "b is better: on the 40 texts" in text_of(gallery.compare(b, a))


def test_only_common_texts_count(root):
    a, b = (
        a_run(root, "a", [True] * 10),
        a_run(root, "b", [True] * 10, ids=[f"s{i}" for i in range(6, 16)]),
    )
    text = text_of(gallery.compare(a, b))
    assert "4 texts of 10 and 10 are in both" in text
    c = a_run(root, "c", [True] * 10, ids=[f"t{i}" for i in range(10)])
    assert "no text in common" in text_of(gallery.compare(a, c))


def test_other_corpora_do_not_compare(root):
    a, b = a_run(root, "a", [True] * 10), a_run(root, "b", [False] * 10, sha="cd")
    text = text_of(gallery.compare(a, b))
    assert "their scores do not compare" in text
    assert "The same texts" not in text


def test_settings_that_one_run_does_not_know():
    assert gallery.changes({"x": {"a": 1, "run": "a"}}, {"x": {"a": 1, "b": 2, "run": "b"}}) == [
        ("x.b", "not set", 2)
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a", "a"), "are the same run"),
        (("a", "nowhere"), "nowhere: no run.json there"),
        (("a", "half"), "no results of chapter 04_evaluate"),
    ],
)
def test_the_command_says_what_is_wrong(root, arguments, told):
    a_run(root, "a", [True] * 4)
    (a_run(root, "half", [True]) / "predictions.csv").unlink()
    command = [sys.executable, "-m", "newsreport", "compare", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 2
    assert told in done.stderr
    assert not list(root.glob("compare-*"))


def test_the_command_writes_the_page_and_lists_it_in_the_gallery(root):
    a_run(root, "a", [True] * 4)
    a_run(root, "b", [True] * 4)
    command = [sys.executable, "-m", "newsreport", "compare", "a", "b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(root / "compare-a-b.html")
    assert 'href="compare-a-b.html"' in (root / "index.html").read_text()
