"""The published ladder and the ladder of a run: sentences true by their intervals, or not said."""

import json

import numpy as np
import pandas as pd
import pytest

from gpt2news.evaluate import BASELINE
from gpt2news.run import ROOT, companion

labels = companion("labels", "04_evaluate")


def table(**rungs):
    """`rung={labels: [accuracy of each draw]}` as a frame of units."""
    rows = [
        {"rung": rung.replace("__", "-"), "draw": draw, "labels": n, "accuracy": v, "first": v}
        for rung, sizes in rungs.items()
        for n, values in sizes.items()
        for draw, v in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["rung", "draw", "labels", "accuracy", "first"])


LOW = [0.50, 0.52, 0.48, 0.51, 0.49]
HIGH = [0.90, 0.91, 0.89, 0.92, 0.90]
NOISE = [0.95, 0.45, 0.55, 0.50, 0.05]


def test_an_interval_of_draws_is_students_t():
    found = labels.interval([0.8, 0.9, 1.0])
    assert found["value"] == pytest.approx(0.9)
    assert found["high"] - found["value"] == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-5)
    assert found["draws"] == 3


@pytest.mark.parametrize("values", [[0.8], [0.8, 0.9]])
def test_too_few_draws_have_no_interval(values):
    found = labels.interval(values)
    assert np.isnan(found["low"])
    assert labels.above(found) == "unknown"


def test_draws_that_agree_have_an_interval_of_no_width():
    assert labels.above(labels.interval([0.1, 0.1, 0.1])) == "ahead"
    assert labels.above(labels.interval([0.0, 0.0, 0.0])) == "level"


def test_a_difference_is_paired_by_draw():
    some = table(smollm2={10: [0.9, 0.5, 0.7]}, tfidf={10: [0.8, 0.4, 0.6]})
    found = labels.difference(some, "smollm2", "tfidf", 10)
    assert found["low"] == pytest.approx(0.1)
    assert found["high"] == pytest.approx(0.1)


def test_a_rung_that_answered_the_first_texts_is_compared_on_those():
    some = table(smollm2={10: HIGH}, tfidf={10: LOW})
    some.loc[some["rung"] == "smollm2", "accuracy"] = None
    some.loc[some["rung"] == "tfidf", "first"] = 0.3
    assert labels.difference(some, "smollm2", "tfidf", 10)["value"] == pytest.approx(0.604)


def test_the_rival_is_the_better_linear_model():
    some = table(**{"tfidf": {10: LOW}, "tfidf__all": {10: HIGH}, "smollm2": {10: HIGH}})
    assert labels.rival_at(some, 10) == "tfidf-all"
    assert labels.rival_at(some, 99) == "tfidf"


# --- the conclusion ------------------------------------------------------------------------------


def test_ahead_with_few_labels_and_with_many():
    some = table(smollm2={10: HIGH, 99: HIGH}, tfidf={10: LOW, 99: LOW})
    few, many = labels.conclusion({"bbc": some})
    assert few.startswith("**With few labels, take a pretrained model.**")
    assert "on BBC News with 10 labels in all it is ahead by 40.4 points (" in few
    assert many.startswith("**It stays ahead with all labels**: on BBC News with 99 labels")


def test_no_difference_is_called_that():
    some = table(smollm2={10: NOISE, 99: NOISE}, tfidf={10: LOW, 99: LOW})
    few, many = labels.conclusion({"bbc": some})
    assert few.startswith("**With few labels a pretrained model is not always ahead.**")
    assert "no difference that the draws can prove" in few
    assert many.startswith("**With all labels its lead is gone**")
    assert "points" not in few + many


def test_behind_is_said_and_two_corpora_may_differ():
    bbc = table(smollm2={10: HIGH, 99: LOW}, tfidf={10: LOW, 99: HIGH})
    agnews = table(smollm2={8: HIGH, 50: HIGH}, tfidf={8: LOW, 50: LOW})
    _, many = labels.conclusion({"bbc": bbc, "agnews": agnews})
    assert many.startswith("**With all labels it depends on the corpus**")
    assert "on BBC News with 99 labels in all it is behind by 40.4 points" in many
    assert "on AG News with 50 labels in all it is ahead by 40.4 points" in many


def test_fine_tuning_is_held_against_the_same_model_frozen():
    rows = {"minilm": {10: LOW}, "minilm fine-tuned": {10: HIGH}}
    (pays,) = labels.conclusion({"bbc": table(**rows)})
    assert pays.startswith("**Fine-tuning paid wherever it was measured**")
    rows = {"minilm": {10: HIGH}, "minilm fine-tuned": {10: LOW}}
    (nowhere,) = labels.conclusion({"bbc": table(**rows)})
    assert nowhere.startswith("**Fine-tuning was shown to pay nowhere**; behind it: MiniLM")
    rows = {"minilm": {10: LOW}, "minilm fine-tuned": {10: NOISE}}
    (level,) = labels.conclusion({"bbc": table(**rows)})
    assert "no difference that the draws can prove: MiniLM fine-tuned with 10 labels" in level


def test_the_conclusion_speaks_of_the_model_that_is_on_every_record():
    both = table(smollm2={10: HIGH}, minilm={10: HIGH}, tfidf={10: LOW})
    one = table(minilm={10: HIGH}, tfidf={10: LOW})
    assert labels.spoken_of({"bbc": both, "agnews": both}) == "smollm2"
    assert labels.spoken_of({"bbc": both, "agnews": one}) == "minilm"
    assert "MiniLM frozen" in labels.conclusion({"bbc": both, "agnews": one})[0]


def test_nothing_on_record_and_one_draw_say_nothing(tmp_path):
    empty = labels.units("bbc", tmp_path)
    assert empty.empty
    assert labels.conclusion({"bbc": empty}) == []
    one = table(smollm2={10: [0.9]}, tfidf={10: [0.5]}, minilm={10: [0.9]})
    assert labels.conclusion({"bbc": one}) == []


def test_the_figure_tells_its_ends():
    some = table(smollm2={10: HIGH, 99: HIGH}, tfidf={10: LOW, 99: HIGH})
    figure, alt = labels.figure({"bbc": some, "agnews": table()})
    assert "SmolLM2 frozen + logistic regression: 0.904 with 10 labels, 0.904 with 99" in alt
    assert len(figure.axes) == 2


# --- which texts next ----------------------------------------------------------------------------


def record_next(folder, random, unsure):
    units = [
        {"model": "smollm2", "way": way, "draw": draw, "accuracy": {"10": 0.5, "20": value}}
        for way, values in (("random", random), ("unsure", unsure))
        for draw, value in enumerate(values)
    ]
    (folder / "next-bbc.json").write_text(json.dumps({"units": units}))


def test_the_least_sure_texts_are_praised_only_where_shown(tmp_path):
    assert labels.next_texts(folder=tmp_path) == ""
    record_next(tmp_path, LOW, HIGH)
    assert "on BBC News better with 20 (+40.4) labels" in labels.next_texts(folder=tmp_path)
    record_next(tmp_path, HIGH, LOW)
    assert "on BBC News worse with 20 (-40.4) labels" in labels.next_texts(folder=tmp_path)
    record_next(tmp_path, LOW, NOISE)
    assert "no difference that 5 draws can prove" in labels.next_texts(folder=tmp_path)
    record_next(tmp_path, LOW, LOW)
    assert "no difference that 5 draws can prove" in labels.next_texts(folder=tmp_path)


# --- the ladder of a run -------------------------------------------------------------------------

FREE = {"trained": 0, "seconds": 0.0, "megabytes": 0.0, "milliseconds": 0.0}
TRUTH = ["a", "b"] * 20


def climbed(says, rival=None):
    rival = rival or TRUTH
    return [
        labels.rung(BASELINE, rival, TRUTH, rival, FREE),
        labels.rung("a <b>model</b>", says, TRUTH, rival, FREE),
    ]


def test_a_rung_counts_what_one_alone_has_right():
    one = labels.rung("x", ["a"] * 40, TRUTH, TRUTH, {**FREE, "accuracy": 0.1})
    assert (one["only_here"], one["only_linear"]) == (0, 20)
    assert one["mcnemar_p"] == pytest.approx(2 / 2**20)
    assert one["accuracy"]["value"] == 0.5
    assert one["macro_f1"] == pytest.approx(1 / 3)
    assert labels.rung(BASELINE, TRUTH, TRUTH, TRUTH, FREE)["mcnemar_p"] is None


def test_rungs_are_called_above_or_below_only_by_mcnemar():
    below = labels.rungs_told(climbed(["a"] * 40), 40)
    assert "below TF-IDF + linear SVM: a &#60;b&#62;model" in below
    assert "**No step above the linear model pays here.**" in below
    above = labels.rungs_told(climbed(TRUTH, ["a"] * 40), 40)
    assert "above TF-IDF + linear SVM: a &#60;b&#62;model" in above
    assert "pays" not in above
    same = labels.rungs_told(climbed(TRUTH), 40)
    assert "no difference that n = 40 can show: a &#60;b&#62;model" in same


def test_the_table_the_figure_and_the_fold_of_a_run():
    ladder = climbed(["a"] * 40)
    shown = labels.rungs_table(ladder)
    assert shown["accuracy"].tolist() == [1.0, 0.5]
    figure, alt = labels.rungs_figure(ladder)
    assert "a <b>model</b> 0.500 at 0.01 ms" in alt
    (axis,) = figure.axes
    figure.canvas.draw()
    assert not any("$" in label.get_text() for label in axis.get_xticklabels())
    folded = labels.rungs_folded(ladder)
    assert folded.startswith("<details><summary>McNemar")
    assert "| 0 | 20 | 0.000 |" in folded
    assert "<b>" not in folded


def test_unknown_costs_are_shown_as_unknown():
    costs = {**FREE, "trained": None, "seconds": None}
    rows = labels.rungs_table([labels.rung("x", TRUTH, TRUTH, TRUTH, costs)])
    assert rows["seconds"].tolist() == ["?"]
    assert rows["trained"].tolist() == ["?"]


def test_a_model_that_is_not_here_is_named_with_its_command(tmp_path):
    folders = {"MiniLM": "models/minilm", "gpt2-mini": "models/gpt2-mini"}
    assert labels.missing({"gpt2-mini": "models/gpt2-mini"}) == ""
    (tmp_path / "models" / "gpt2-mini").mkdir(parents=True)
    told = labels.missing(folders, tmp_path)
    assert "MiniLM (`gpt2news backbone minilm` brings it)" in told


# --- what is published ---------------------------------------------------------------------------


@pytest.mark.parametrize("corpus", list(labels.CORPORA))
def test_the_published_records_have_every_frozen_rung_on_the_same_five_draws(corpus):
    known = labels.units(corpus)
    assert set(known["rung"]) <= set(labels.NAMES)
    cheap = known[known["rung"].isin(labels.LOOKS)]
    counts = cheap.groupby(["rung", "labels"])["draw"].nunique()
    assert counts.min() == counts.max() == 5
    assert {labels.LINEAR, labels.WORDS, "wordllama"} < set(cheap["rung"])


def test_no_record_holds_a_text():
    for file in (ROOT / "benchmarks" / "results").glob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        words = {str(v) for unit in content["units"] for v in unit.values() if isinstance(v, str)}
        assert max(map(len, words), default=0) < 60, file.name
