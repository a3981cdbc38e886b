"""Words that decide are named; a method that names others is caught."""

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from gpt2news import evaluate, finetune, split
from gpt2news.run import ROOT, companion
from pretrain_gpt2_mini import train_tokenizer

words = companion("words", "04_evaluate")
scoring = companion("scores", "04_evaluate")
CELLS = nbformat.read(ROOT / "notebooks" / "04_evaluate.ipynb", as_version=4).cells


def summary_of(fall: pd.DataFrame, gap: float = 0.0) -> dict:
    """As the notebook sums `words.deletion` up."""
    reason = words.Explanation("sport", [], np.array([]), gap)
    variables = {"np": np, "evaluate": evaluate, "scoring": scoring, "fall": fall}
    variables["reasons"] = [reason]
    exec(next(cell.source for cell in CELLS if cell.id == "04-71"), variables)
    return variables["checked"]


@pytest.fixture(scope="module")
def keyword_model(tmp_path_factory):
    """A small model that has learned one word each of two topics, among words that say nothing.

    The third topic has no such word.
    """
    random = np.random.default_rng(0)
    plain = [f"filler{i}" for i in range(18)]
    rows = []
    for i in range(900):  # with 200 the model learns the fillers by heart as well
        text = list(random.choice(plain, size=12))
        text[random.integers(12)] = ("goalkeeper", "shareholder", plain[0])[i % 3]
        topic = ("sport", "business", "other")[i % 3]
        rows.append({"text": " ".join(text), "topic": topic, "source_id": str(i)})
    folder = tmp_path_factory.mktemp("keyword")
    frame = pd.DataFrame(rows).assign(
        group=range(900), split=["train"] * 860 + ["val"] * 20 + ["test"] * 20
    )
    split.write_split(frame, folder, {})
    tokenizer = train_tokenizer(frame["text"].tolist(), 400)
    torch.manual_seed(0)
    shape = {"n_positions": 32, "n_embd": 32, "n_layer": 1, "n_head": 2}
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    config = GPT2Config(vocab_size=len(tokenizer), **shape, **special)
    GPT2LMHeadModel(config).save_pretrained(folder / "backbone")
    tokenizer.save_pretrained(folder / "backbone")
    recipe = finetune.Recipe(
        backbone=str(folder / "backbone"),
        epochs=6,
        batch_size=16,
        learning_rate=5e-3,
        max_length=32,
        pooling="mean",
        dtype="fp32",  # the same on every machine
    )
    finetune.finetune(recipe, folder, folder / "model", say=lambda _: None)
    return finetune.Classifier(folder / "model"), frame[frame["topic"] != "other"]


def test_the_word_that_decides_gets_the_most(keyword_model):
    model, frame = keyword_model
    for text, topic in frame[["text", "topic"]].tail(3).itertuples(index=False):
        why = words.explain(model, text)
        assert why.topic == topic
        assert why.words == text.split()
        assert why.words[int(np.argmax(why.values))] in ("goalkeeper", "shareholder")
        assert why.gap < 0.2


def test_without_the_strongest_words_the_probability_falls_more(keyword_model):
    model, frame = keyword_model
    reasons = [words.explain(model, text) for text in frame["text"].tail(20)]
    summary = summary_of(words.deletion(model, reasons))
    assert summary["n"] == 20
    assert summary["strongest"]["low"] > summary["random"]["high"]
    assert summary["strongest_falls_more"]["value"] >= 0.8
    assert summary["difference"]["low"] > 0


def test_a_method_that_points_at_random_words_does_not_pass_the_check(keyword_model):
    model, frame = keyword_model
    random = np.random.default_rng(1)
    reasons = [
        words.Explanation(topic, text.split(), random.normal(size=12), 0.0)
        for text, topic in frame[["text", "topic"]].tail(20).itertuples(index=False)
    ]
    summary = summary_of(words.deletion(model, reasons))
    assert summary["strongest"]["low"] < summary["random"]["high"]
    assert summary["difference"]["low"] <= 0


def test_an_empty_text_cannot_be_explained(keyword_model):
    with pytest.raises(ValueError, match="at least one word"):
        words.explain(keyword_model[0], " \n")


def test_a_single_text_is_summed_up_too(keyword_model):
    model, frame = keyword_model
    table = words.deletion(model, [words.explain(model, frame["text"].iloc[0])])
    summary = summary_of(table)
    assert summary["n"] == 1
    assert summary["difference"]["low"] == summary["difference"]["high"]
