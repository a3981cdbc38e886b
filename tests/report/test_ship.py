"""The shipped model is the one whose figures are published, and its card says those figures."""

import copy

import pytest

import publish
import ship
from newsreport.pages import card, read_json
from newsserve.predictor import MANIFEST


@pytest.fixture
def shipped() -> dict:
    return copy.deepcopy(publish.published()[publish.SHIPPED])


@pytest.fixture
def published() -> dict:
    """A published run `bbc` whose model is there."""
    record = copy.deepcopy(publish.published()["bbc"])
    record["run"]["model"] = {"model.int8.onnx": "1", "tokenizer.json": "2"}
    return record


def test_one_record_for_the_tables_the_card_and_the_model(shipped):
    text = (ship.OUT / "README.md").read_text(encoding="utf-8")
    assert text == str(card(shipped["metrics"], "onnx"))
    manifest = read_json(ship.OUT / MANIFEST)["sha256"]
    assert manifest == {name: shipped["run"]["model"][name] for name in manifest}
    assert f"| `{publish.SHIPPED}`, shipped |" in publish.table(publish.published())


def test_the_shipped_model_has_a_row_of_its_own_only_while_it_is_another(shipped, published):
    found = {"bbc": published, publish.SHIPPED: shipped}
    assert "shipped" in publish.table(found)
    assert "an earlier run" in publish.details(found)
    shipped["run"]["model"] = {"model.int8.onnx": "1"}
    assert "shipped" not in publish.table(found)
    assert "an earlier run" not in publish.details(found)


def test_another_model_than_the_published_one_is_refused(published):
    manifest = {"sha256": published["run"]["model"]}
    assert ship.refusal(manifest, published) == ""
    assert "make results RUNS=bbc first" in ship.refusal(manifest, {})
    assert "make results RUNS=bbc first" in ship.refusal({"sha256": {}}, published)
    assert "run chapter 05_deploy first" in ship.refusal({}, published)


def test_a_run_that_leaks_or_has_other_articles_is_refused(published):
    manifest = {"sha256": published["run"]["model"]}
    leaking, other = copy.deepcopy(published), copy.deepcopy(published)
    leaking["metrics"]["split"]["leaked_near"] = 1
    other["metrics"]["dataset"]["name"] = "sample"
    for record in (leaking, other):
        assert "not a leak-free run on bbc" in ship.refusal(manifest, record)


def test_what_is_shipped_can_be_served(shipped, tmp_path):
    from newsserve.predictor import Predictor

    ship.ship(ship.OUT, shipped["metrics"], tmp_path / "shipped")
    names = {path.name for path in (tmp_path / "shipped").iterdir()}
    assert names == {path.name for path in ship.OUT.iterdir()}
    (answer,) = Predictor(tmp_path / "shipped")(["The striker scored twice."])
    assert answer.topic == "sport"


def test_the_shipped_model_holds_no_path_of_a_machine():
    graph = (ship.OUT / "model.int8.onnx").read_bytes()
    assert b"site-packages" not in graph
    assert b"/lib/" not in graph
