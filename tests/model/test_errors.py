"""A planted leak and a planted wrong label are caught by name; neighbours, attributions, tables of studies."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gpt2news import evaluate, split
from gpt2news.explore import load_corpus
from gpt2news.evaluate import attribution, errors, figures, tables


@pytest.fixture(scope="module")
def parts() -> dict[str, pd.DataFrame]:
    """The shipped sample, split; test row 7 copied into train with a change, and the label of one training text swapped."""
    frame = split.split_corpus(load_corpus("sample"), seed=0)
    parts = {
        part: frame.loc[frame["split"] == part, ["text", "topic", "source_id"]].reset_index(
            drop=True
        )
        for part in split.PARTS
    }
    leaked = parts["test"].iloc[[7]].assign(source_id="planted-leak")
    leaked["text"] = leaked["text"] + " More soon."
    parts["train"] = pd.concat([parts["train"], leaked], ignore_index=True)
    sport = parts["train"].index[parts["train"]["topic"] == "sport"][3]
    parts["train"].loc[sport, ["topic", "source_id"]] = ["politics", "planted-label"]
    return parts


def test_a_planted_leak_is_named(parts):
    leaks = split.find_leaks(parts)
    assert leaks[["part", "source_id", "train_id"]].to_numpy().tolist() == [
        ["test", parts["test"]["source_id"][7], "planted-leak"]
    ]
    assert 0.9 < leaks["jaccard"][0] < 1
    rival = evaluate.baseline(parts["train"]["text"].tolist(), parts["train"]["topic"].tolist())
    near = errors.nearest_neighbours(parts["train"], parts["test"], rival[0])
    assert len(near) == len(parts["test"])
    assert near.sort_values("similarity").iloc[-1]["neighbour"] == "planted-leak"
    assert near["similarity"][7] > 0.95 > near["similarity"].drop(7).max()
    assert near["neighbour_topic"][7] == parts["test"]["topic"][7]


def test_a_planted_wrong_label_is_named_first(parts):
    table, by = errors.label_candidates(parts)
    assert by == "linear"
    row = table.set_index("source_id").loc["planted-label"]
    assert (row["part"], row["topic"], row["looks_like"]) == ("train", "politics", "sport")
    assert table["source_id"].tolist().index("planted-label") < 5
    assert len(table) < 0.1 * sum(map(len, parts.values()))
    assert max(len(text.split()) for text in table["begins"]) <= 21


def test_candidates_come_from_the_folds_study_once_it_has_scored_every_text(parts):
    texts = pd.concat(parts.values(), ignore_index=True)
    topics = sorted(texts["topic"].unique())
    answers = {
        i: [0.96 if t == topic else 0.01 for t in topics]
        for i, topic in zip(texts["source_id"], texts["topic"], strict=True)
    }
    answers["planted-label"] = [0.96 if t == "sport" else 0.01 for t in topics]
    half = dict(list(answers.items())[:250])
    rest = {i: row for i, row in answers.items() if i not in half}
    first, second = {"topics": topics, "answers": half}, {"topics": topics, "answers": rest}
    assert errors.from_folds(texts, {"units": {"a": first}}) is None
    assert errors.from_folds(texts, None) is None
    table, by = errors.label_candidates(parts, {"units": {"a": first, "b": second}})
    assert by == "fine-tuned"
    assert table["source_id"].tolist() == ["planted-label"]
    assert table["p_topic"][0] == pytest.approx(0.01)


# --- why --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keyword_model(tmp_path_factory):
    """A small model that has learned one word each of two topics, among words that say nothing; the third topic has no such word."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from gpt2news import finetune

    random = np.random.default_rng(0)
    plain = [f"filler{i}" for i in range(18)]
    rows = []
    for i in range(900):  # with 200 the model learns the fillers by heart as well
        words = list(random.choice(plain, size=12))
        words[random.integers(12)] = ("goalkeeper", "shareholder", plain[0])[i % 3]
        rows.append(
            {
                "text": " ".join(words),
                "topic": ("sport", "business", "other")[i % 3],
                "source_id": str(i),
            }
        )
    folder = tmp_path_factory.mktemp("keyword")
    frame = pd.DataFrame(rows).assign(
        group=range(900), split=["train"] * 860 + ["val"] * 20 + ["test"] * 20
    )
    split.write_split(frame, folder, {})
    tokenizer = finetune.train_tokenizer(frame["text"].tolist(), 400)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=32, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0,
                        pad_token_id=1)  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder / "backbone")
    tokenizer.save_pretrained(folder / "backbone")
    finetune.finetune(folder, folder / "model", backbone=str(folder / "backbone"), epochs=6, batch_size=16, learning_rate=5e-3,
                      max_length=32, pooling="mean", say=lambda _: None)  # fmt: skip
    return finetune.Classifier(folder / "model"), frame[frame["topic"] != "other"]


def test_the_word_that_decides_gets_the_most(keyword_model):
    model, frame = keyword_model
    for text, topic in frame[["text", "topic"]].tail(3).itertuples(index=False):
        why = attribution.explain(model, text)
        assert why.topic == topic
        assert why.words == text.split()
        assert why.words[int(np.argmax(why.values))] in ("goalkeeper", "shareholder")
        assert why.gap < 0.2


def test_without_the_strongest_words_the_probability_falls_more(keyword_model):
    model, frame = keyword_model
    reasons = [attribution.explain(model, text) for text in frame["text"].tail(20)]
    summary = attribution.deletion_summary(attribution.deletion(model, reasons))
    assert summary["n"] == 20
    assert summary["strongest"]["low"] > summary["random"]["high"]
    assert summary["strongest_falls_more"]["value"] >= 0.8


def test_a_method_that_points_at_random_words_does_not_pass_the_check(keyword_model):
    model, frame = keyword_model
    random = np.random.default_rng(1)
    reasons = [
        attribution.Explanation(topic, text.split(), random.normal(size=12), 0.0)
        for text, topic in frame[["text", "topic"]].tail(20).itertuples(index=False)
    ]
    summary = attribution.deletion_summary(attribution.deletion(model, reasons))
    assert summary["strongest"]["low"] < summary["random"]["high"]


def test_an_empty_text_cannot_be_explained(keyword_model):
    with pytest.raises(ValueError, match="at least one word"):
        attribution.explain(keyword_model[0], " \n")


def test_coloured_words_show_twenty_at_most_escaped_and_not_by_colour_alone():
    values = np.zeros(30)
    values[2], values[4] = 2.0, -1.0
    page = figures.coloured_words(["<b>x</b>"] * 30, values, "A & B", shown=50).data
    assert page.count("&lt;b&gt;x&lt;/b&gt;") == 20
    assert "A &amp; B" in page
    assert "<sup>+2.0</sup>" in page
    assert "<sup>−1.0</sup>" in page
    assert page.endswith("…</p>")


# --- what studies say -------------------------------------------------------------------------------------------------


def test_corrected_difference_is_wider_than_the_plain_t_test():
    differences = np.array([0.01, 0.02, 0.00, 0.03, 0.02, 0.01])
    given = tables.corrected_difference(differences, train=400, test=100)
    plain = stats.ttest_1samp(differences, 0)
    assert given["value"] == pytest.approx(0.015)
    assert given["p"] > plain.pvalue
    widening = np.sqrt((1 / 6 + 100 / 400) / (1 / 6))
    half = stats.sem(differences) * stats.t.ppf(0.975, 5) * widening
    assert given["high"] - given["value"] == pytest.approx(half)
    assert tables.corrected_difference(np.zeros(4), 4, 1) == {
        "value": 0,
        "low": 0,
        "high": 0,
        "p": 1.0,
    }


def test_tables_of_the_studies():
    settings = {"max_length": 128, "epochs": 2, "folds": 2}
    unit = {"max_length": 128, "epochs": 2, "log_loss": 0.2, "seconds": 30.0}
    runs = {
        f"last@128, seed {s}": {**unit, "row": "last@128", "seed": s, "accuracy": a}
        for s, a in enumerate((0.90, 0.92, 0.94))
    }
    runs["article, seed 0"] = {**unit, "row": "article", "seed": 0, "accuracy": 0.5}
    study = {"settings": settings, "units": runs, "wanted": [*runs, "article, seed 1"]}
    table = tables.ablation_table(study, "gpt2news evaluate --ablation")
    assert table["again"].tolist() == [
        "gpt2news evaluate --ablation last@128",
        "gpt2news evaluate --ablation article",
    ]
    assert table.loc[0, ["runs", "accuracy", "sd", "low", "high"]].tolist() == [
        3,
        pytest.approx(0.92),
        pytest.approx(0.02),
        0.90,
        0.94,
    ]
    assert table["sd"][1] is None or np.isnan(table["sd"][1])
    assert (
        "4 of 5 trainings (128 tokens, 2 epochs where nothing else is said), 2 minutes"
        in tables.status(study, "x")
    )
    assert tables.status(study, "x").endswith("**Not complete**: `x` goes on.")
    assert tables.status(None, "x") == "*Not measured in this run.* `x` measures it."
    fold = {
        "accuracy": 0.9,
        "baseline": 0.95,
        "macro_f1": 0.9,
        "ece_before": 0.05,
        "ece": 0.02,
        "train": 80,
        "n": 20,
        "seed": 0,
    }
    study = {
        "settings": settings,
        "units": {"a": {**fold, "answers": {}}, "b": {**fold, "accuracy": 0.8, "answers": {}}},
        "wanted": ["a", "b", "c"],
    }
    summary = tables.folds_summary(study)
    assert (summary["runs"], summary["wanted"], summary["seeds"]) == (2, 3, 1)
    assert summary["accuracy"]["mean"] == pytest.approx(0.85)
    assert summary["difference"]["value"] == pytest.approx(-0.1)
    assert (
        "Over 2 folds (128 tokens, epochs 2), fine-tuned model against rival: no difference that they can prove, -10.0 points"
        in summary["verdict"]
    )
    clear = {
        **study,
        "units": {name: {**fold, "accuracy": 0.99 - 0.001 * i} for i, name in enumerate("abc")},
    }
    assert ": ahead, +3.9 points (" in tables.folds_summary(clear)["verdict"]
    clear["units"] = {name: {**fold, "accuracy": 0.90 - 0.001 * i} for i, name in enumerate("abc")}
    assert ": behind, -5.1 points (" in tables.folds_summary(clear)["verdict"]
    one = {**study, "units": {"a": fold}}
    assert "difference" not in tables.folds_summary(one)
    assert tables.folds_summary(one)["accuracy"]["sd"] is None
