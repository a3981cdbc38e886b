"""A chapter that is opened alone trains as chapter 03 would, once, and never for money."""

import json

import pytest

from gpt2news import run
from gpt2news.run import Run, companion

earlier = companion("earlier", "03_finetune")
settings = earlier.settings
TRAINING = {
    "parameters": 7, "max_length": 256, "pooling": "last", "backbone": "models/gpt2-mini",
    "from_scratch": False, "epochs": 5, "seconds": 1.0, "dtype": "fp32",
}  # fmt: skip


@pytest.fixture
def report(tmp_path, monkeypatch):
    """A run called quick, with chapter 02's part of the record; training is only written down."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("quick")
    run.save_metrics(dataset={"name": "sample"})
    monkeypatch.setattr(earlier.split, "catch_up", lambda report: None)
    return run


@pytest.fixture
def trained(monkeypatch):
    calls = []

    def stand_in(recipe, splits, out):
        calls.append(recipe)
        out.mkdir(parents=True)
        (out / "training.json").write_text(json.dumps(TRAINING))
        return TRAINING

    monkeypatch.setattr(earlier, "finetune", stand_in)
    return calls


def test_catching_up_trains_as_the_profile_would_and_only_once(report, trained, capsys):
    earlier.catch_up(report)
    (recipe,) = trained
    assert (recipe.epochs, recipe.max_length, recipe.learning_rate) == (5, 256, 5e-4)
    assert (recipe.batch_size, recipe.pooling, recipe.seed) == (16, "last", 0)
    assert not recipe.normalise
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "03_finetune has not run here: training a model, as profile quick would." in said
    assert report.metrics["model"]["name"] == "gpt2-mini"
    earlier.catch_up(report)
    assert len(trained) == 1
    assert not capsys.readouterr().out


def test_catching_up_spends_no_money(report, trained, monkeypatch):
    wanted = {**settings(report, "03_finetune"), "backend": "sagemaker"}
    monkeypatch.setattr(earlier, "settings", lambda *_: wanted)
    with pytest.raises(FileNotFoundError, match="run chapter 03_finetune first"):
        earlier.catch_up(report)
    assert not trained


def test_a_lower_cased_corpus_and_options_reach_the_recipe(report):
    report.save_metrics(dataset={"name": "bbc-csv"})
    wanted = {**settings(report, "03_finetune"), "max_length": 64, "options": {"freeze": 2}}
    recipe = earlier.recipe_of(report, wanted)
    assert (recipe.normalise, recipe.max_length, recipe.freeze) == (True, 64, 2)


def test_settings_are_the_notebooks_under_the_profiles(tmp_path, monkeypatch):
    """`1e-4` is a text in YAML; where the notebook has a number, it is one."""
    profiles = tmp_path / "notebooks" / "profiles"
    profiles.mkdir(parents=True)
    source = "rate = 0.5  # a share\nwords = 'x'\nseed = 0\nkept = 0.25"
    cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [source]}]
    notebook = tmp_path / "notebooks" / "03_finetune.ipynb"
    notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    profile = "03_finetune: {rate: 1e-4, words: 1e-4, seed: 7}\n01_explore: {words: other}\n"
    (profiles / "quick.yaml").write_text(profile, encoding="utf-8")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    wanted = {"rate": 1e-4, "words": "1e-4", "seed": 7, "kept": 0.25}
    assert settings(Run("quick"), "03_finetune") == wanted
    wanted = {"rate": 0.5, "words": "x", "seed": 0, "kept": 0.25}
    assert settings(Run("without-a-profile"), "03_finetune") == wanted
