"""A chapter that is opened alone fits what chapter 04 would have fitted, once."""

import json

import numpy as np
import pandas as pd
import pytest

from gpt2news import evaluate
from gpt2news.run import Run, companion

earlier, scoring = companion("earlier", "04_evaluate"), companion("scores", "04_evaluate")


class Limits:
    """Stands for the limits of a kind of text."""

    def __init__(self, folder, train):
        self.given = {"limits of": str(folder), "from": len(train)}

    def model_dump(self, mode):
        return self.given


@pytest.fixture
def report(tmp_path, monkeypatch) -> Run:
    """A run whose model says what a table says: 30 validation texts of two topics."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (30, 2)).astype(np.float32)

    class Model:
        topics = ("a", "b")

        def __init__(self, folder):
            assert folder == tmp_path / "mine" / "model"

        def logits(self, texts):
            return logits[[int(text) for text in texts]]

    val = pd.DataFrame({"text": [str(i) for i in range(30)], "topic": "a"})
    val.loc[logits.argmax(axis=1) == 1, "topic"] = "b"
    val.loc[:4, "topic"] = "a"
    asked = []
    monkeypatch.setattr(earlier.finetune, "catch_up", asked.append)
    monkeypatch.setattr(earlier, "Classifier", Model)
    monkeypatch.setattr(earlier, "read_split", lambda folder: {"val": val, "train": val})
    monkeypatch.setattr(companion("kinds", "04_evaluate"), "fit_folder", Limits)
    run = Run("mine")
    run.asked, run.expected = asked, (logits, (val["topic"] == "b").to_numpy().astype(int))
    return run


def test_catching_up_leaves_the_calibration_as_chapter_04_does(report, capsys):
    earlier.catch_up(report)
    assert report.asked == [report]
    assert capsys.readouterr().out.startswith("04_evaluate has not run here: ")
    logits, truth = report.expected
    given = json.loads(report.path("calibration.json").read_text())
    assert given["fitted_on"] == "val"
    assert given["kind"] == {"limits of": str(report.path("model")), "from": 30}
    assert given["temperature"] == pytest.approx(scoring.fit_temperature(logits, truth))
    probabilities = evaluate.probabilities_of(logits, given["temperature"])
    assert given["threshold"] == companion("scores", "04_evaluate").choose_threshold(
        truth, probabilities, 0.99
    )


def test_nothing_is_done_again(report, capsys):
    report.write_json("calibration.json", {"temperature": 3.0})
    earlier.catch_up(report)
    assert capsys.readouterr().out == ""
    assert json.loads(report.path("calibration.json").read_text()) == {"temperature": 3.0}
