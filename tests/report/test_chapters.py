"""The five real notebooks: the report `quick` as shipped."""

import csv
import json
import re
import shutil

import nbformat
import pytest
from huggingface_hub import ModelCard
from nbclient import NotebookClient

from gpt2news.run import CHAPTERS, ROOT, Run
from newsreport import gates, pages
from newsreport.profiles import NOTEBOOKS


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def leaves(node, path="") -> dict[str, object]:
    """Every single value of metrics.json under its path, for `pytest.approx`."""
    if not isinstance(node, dict | list):
        return {path: node}
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    return {
        name: leaf for key, value in pairs for name, leaf in leaves(value, f"{path}/{key}").items()
    }


def test_quick_leaves_all_that_the_design_lists(quick):
    for chapter in CHAPTERS:
        assert (quick / f"{chapter}.html").stat().st_size > 5_000
        assert (quick / "notebooks" / f"{chapter}.ipynb").exists()
    for name in (
        "index.html",
        "metrics.json",
        "run.json",
        "predictions.csv",
        "splits/split.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "onnx/model.int8.onnx",
        "onnx/serving.json",
    ):
        assert (quick / name).exists(), name
    assert len(list((quick / "figures").glob("*.png"))) >= 8
    assert not list(quick.rglob("*.part*"))


def test_quick_metrics_have_the_agreed_keys(quick):
    m = metrics_of(quick)
    assert m["profile"] == "quick"
    assert {"name", "sha256", "rows", "unique", "duplicates_removed"} <= set(m["dataset"])
    assert m["split"]["leaked_exact"] == m["split"]["leaked_near"] == 0
    assert m["split"]["train"] + m["split"]["val"] + m["split"]["test"] == m["dataset"]["unique"]
    assert {"name", "parameters", "max_length", "pooling"} <= set(m["model"])
    assert (
        m["test"]["accuracy"]["low"]
        < m["test"]["accuracy"]["value"]
        <= m["test"]["accuracy"]["high"]
    )
    assert {"macro_f1", "log_loss", "ece", "per_topic"} <= set(m["test"])
    assert {"name", "accuracy"} == set(m["baseline"])
    assert 0 <= m["mcnemar_p"] <= 1
    assert {"size_mb", "p50_ms", "p95_ms", "parity_max_abs_diff", "accuracy_drop"} <= set(
        m["deploy"]
    )
    assert set(m["seconds"]) == set(CHAPTERS)


def test_quick_records_what_metrics_yaml_lists_and_nothing_else(quick):
    m = metrics_of(quick)
    listed = {name: keys for sections in gates.SECTIONS.values() for name, keys in sections.items()}
    assert set(m) <= {"profile", "seconds", *listed}
    assert set(gates.SECTIONS["04_evaluate"]) - set(m) <= {"studies"}
    for name, keys in listed.items():
        if isinstance(keys, dict):
            assert set(m[name]) <= set(keys), name


def shares(node, path="") -> list[tuple[str, dict]]:
    """Every value with an interval in metrics.json, with where it stands."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return []
    found = [(path, node)] if {"value", "low", "high"} <= set(node) else []
    for key, value in node.items():
        found += shares(value, f"{path}.{key}")
    return found


def test_every_interval_holds_its_value(quick):
    found = shares(metrics_of(quick))
    assert len(found) > 10
    for path, score in found:
        assert score["low"] <= score["value"] <= score["high"], path


def test_quick_has_every_part_of_chapter_04(quick):
    m = metrics_of(quick)
    assert {s["slice"] for s in m["slices"]} <= {"length", "read", "topic", "border"}
    assert set(m["behaviour"]) == {"invariance", "direction", "minimum"}
    assert m["behaviour"]["minimum"]["all"]["n"] == 25
    assert m["attribution"]["strongest"]["low"] > m["attribution"]["random"]["high"]
    assert m["leaks"] == {"exact": 0, "near": 0, "named": []}


def test_quick_has_model_cards_and_meets_its_gates(quick):
    for kind in ("model", "onnx"):
        card = ModelCard.load(quick / kind / "README.md")
        assert card.data.eval_results[0].metric_value == pytest.approx(
            metrics_of(quick)["test"]["accuracy"]["value"], abs=1e-4
        )
    assert "not met" not in (quick / "index.html").read_text(encoding="utf-8")


def test_quick_learns(quick):
    """A model that ignored its texts would get 0.2; the floor leaves room for so small a test."""
    m = metrics_of(quick)
    assert m["test"]["accuracy"]["value"] >= 0.75
    assert m["deploy"]["parity_max_abs_diff"] < 1e-3
    assert abs(m["deploy"]["accuracy_drop"]) <= 0.05


def test_predictions_agree_with_the_scores_and_hold_no_text(quick):
    rows = list(csv.DictReader((quick / "predictions.csv").open(encoding="utf-8")))
    m = metrics_of(quick)
    assert len(rows) == m["split"]["test"]
    assert sum(r["topic"] == r["predicted"] for r in rows) / len(rows) == pytest.approx(
        m["test"]["accuracy"]["value"]
    )
    assert max(len(value) for row in rows for value in row.values()) < 40


def test_pages_ask_for_nothing_outside_and_describe_every_figure(quick):
    for page in quick.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert re.findall(r"<script[^>]*>", html) == ["<script>"], (
            "one script, written out: it sorts tables"
        )
        assert not re.findall(r'(?:src|srcset)="(?:https?:)?//', html), page.name
        assert not re.findall(r"<link|@import|url\(", html), page.name
        for image in re.findall(r"<img[^>]*>", html):
            alt = re.search(r'alt="([^"]*)"', image)
            assert "badge" in image or (
                alt and len(alt[1]) > 20 and "without a description" not in alt[1]
            ), image[:200]
        assert "Traceback" not in html
        assert "Warning" not in html
        assert "No answer yet" not in html
        assert len(html) < 1_500_000


def test_the_index_reads_its_numbers_from_metrics(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    shutil.copytree(quick, tmp_path / "quick")
    run = Run("quick")
    m = run.metrics
    m["test"]["accuracy"]["value"] = 0.12345
    run.write_json("metrics.json", m)
    pages.render_run(run, json.loads(run.path("run.json").read_text()))
    assert "0.123" in run.path("index.html").read_text()
    assert "0.123" not in (quick / "index.html").read_text()


@pytest.mark.parametrize(
    ("chapter", "place"), [("02_split", ROOT), ("02_split", NOTEBOOKS), ("04_evaluate", NOTEBOOKS)]
)
def test_a_chapter_runs_again_as_it_ran_before(quick, chapter, place, tmp_path, monkeypatch):
    """As "Run All" in JupyterLab, from either folder; the defaults write to the run `quick`."""
    shutil.copytree(quick, tmp_path / "quick")
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    where = {"metadata": {"path": str(place)}}
    NotebookClient(notebook, kernel_name="python3", timeout=300, resources=where).execute()
    # Not to the last bit: a product of matrices depends on how many threads share it.
    again, before = leaves(metrics_of(tmp_path / "quick")), leaves(metrics_of(quick))
    clock = re.compile(r"/ladder/\d+/(seconds|milliseconds)")  # what each rung took, that time
    again, before = (
        {name: value for name, value in found.items() if not clock.fullmatch(name)}
        for found in (again, before)
    )
    assert again.keys() == before.keys()
    for name, value in before.items():
        near = pytest.approx(value, rel=1e-4, abs=1e-6) if isinstance(value, float) else value
        assert again[name] == near, name
