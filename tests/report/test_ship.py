"""The shipped model: its card says what its figures say; only a better one replaces it."""

import copy
import json

import pytest

import ship
from newsreport.pages import card


@pytest.fixture
def figures() -> dict:
    return json.loads((ship.OUT / "metrics.json").read_text(encoding="utf-8"))


def test_the_shipped_card_is_that_of_the_shipped_figures(figures):
    assert (ship.OUT / "README.md").read_text(encoding="utf-8") == str(card(figures, "onnx"))


def test_a_model_that_scores_lower_is_refused(figures):
    assert ship.refusal(figures, figures) == ""
    assert ship.refusal(figures, {}) == ""
    worse = copy.deepcopy(figures)
    worse["test"]["accuracy"]["value"] -= 0.01
    assert "is below the shipped model's" in ship.refusal(worse, figures)


def test_a_run_that_leaks_or_has_other_articles_is_refused(figures):
    leaking, other = copy.deepcopy(figures), copy.deepcopy(figures)
    leaking["split"]["leaked_near"] = 1
    other["dataset"]["name"] = "sample"
    for metrics in (leaking, other):
        assert "not a leak-free run on bbc" in ship.refusal(metrics, {})


def test_what_is_shipped_can_be_served(figures, tmp_path):
    from newsserve.predictor import Predictor

    ship.ship(ship.OUT, {**figures, "studies": 1}, tmp_path / "shipped")
    names = {path.name for path in (tmp_path / "shipped").iterdir()}
    assert names == {path.name for path in ship.OUT.iterdir()}
    (answer,) = Predictor(tmp_path / "shipped")(["The striker scored twice."])
    assert answer.topic == "sport"
