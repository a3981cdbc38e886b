"""Behaviour tests, off-topic text, slices, attributions: each must be able to fail, and say the right thing when it does."""

import re

import numpy as np
import pandas as pd
import pytest

from gpt2news.explore import SAMPLE, excerpt, load_corpus
from gpt2news.evaluate import behaviour, slices

TOPICS = ["business", "entertainment", "politics", "sport", "tech"]
TEXT = "John Smith paid 250 pounds in 1999. Was Mary there? Yes, she was,\nwith Peter."


def by_word(word: str):
    """A model that says sport when it finds `word`, as it stands, and business otherwise."""

    def predict(texts):
        return np.array(
            [
                [0.1, 0.0, 0.0, 0.9, 0.0] if word in text else [0.9, 0.0, 0.0, 0.1, 0.0]
                for text in texts
            ]
        )

    return predict


@pytest.mark.parametrize("kind", behaviour.CHANGES)
def test_a_change_keeps_all_else(kind):
    new = [behaviour.changed(TEXT, kind, np.random.default_rng(seed)) for seed in range(5)]
    assert all(text != TEXT for text in new)
    words = lambda text: re.findall(r"[a-z0-9]+", text.lower())  # noqa: E731
    for text in new:
        differ = [(a, b) for a, b in zip(words(TEXT), words(text), strict=True) if a != b]
        if kind == "names":
            assert {a for a, _ in differ} == {"john", "mary", "peter"}
        elif kind == "numbers":
            assert {a for a, _ in differ} <= {"250", "1999"}
            assert all(len(a) == len(b) for a, b in differ)
        else:
            assert not differ


def test_a_text_without_names_or_numbers_is_not_counted_for_them():
    results = behaviour.invariance(by_word("goal"), ["a plain goal.", TEXT])
    assert results.groupby("test").size().to_dict() == {
        "case": 2,
        "punctuation": 2,
        "spacing": 2,
        "names": 1,
        "numbers": 1,
    }


def test_invariance_fails_a_model_that_looks_at_case_or_at_a_name():
    rates = behaviour.pass_rates(behaviour.invariance(by_word("John"), [TEXT] * 10))["invariance"]
    assert rates["names"]["value"] == rates["case"]["value"] == 0.0
    assert (
        rates["numbers"]["value"]
        == rates["spacing"]["value"]
        == rates["punctuation"]["value"]
        == 1.0
    )
    assert rates["all"]["n"] == 50
    assert rates["all"]["low"] < rates["all"]["value"] == 0.6 < rates["all"]["high"]


def test_direction_fails_a_model_that_does_not_read():
    deaf = lambda texts: np.full((len(texts), 5), 0.2)  # noqa: E731
    results = behaviour.direction(deaf, ["a text", "another"], ["sport", "tech"], TOPICS)
    assert len(results) == 2 * (
        3 * 2 + 2
    )  # two sentences a topic, in front of the texts of another
    assert not results["passed"].any()


def test_minimum_has_25_cases_and_names_what_fails():
    results = behaviour.minimum(by_word("cup"), TOPICS)
    assert len(results) == 25
    assert results["test"].value_counts().to_dict() == dict.fromkeys(TOPICS, 5)
    assert results[results["passed"]]["test"].tolist() == ["business"] * 5 + ["sport"]
    assert set(results.loc[results["test"] == "tech", "predicted"]) == {"business"}


def test_other_topics_are_skipped_and_some_known_ones_tried():
    assert behaviour.known(["cats", "dogs"]) == []
    assert behaviour.minimum(by_word("x"), ["cats", "dogs"]).empty
    assert behaviour.pass_rates(behaviour.minimum(by_word("x"), ["cats", "dogs"])) == {}
    assert set(behaviour.minimum(by_word("x"), ["cats", "sport"])["test"]) == {"sport"}


def test_off_topic_counts_what_stays_under_the_threshold():
    strays = behaviour.off_topic(by_word("the"), TOPICS, threshold=0.95)
    assert strays["not_sure"].all()
    strays = behaviour.off_topic(by_word("the"), TOPICS, threshold=0.5)
    assert not strays["not_sure"].any()
    assert strays["kind"].value_counts().min() >= 5
    assert strays["text"].map(lambda text: len(text.split())).max() <= 21


def test_written_cases_are_not_texts_of_the_sample():
    """A case that stands in the training texts would test memory."""
    texts = " ".join(load_corpus("sample")["text"].str.lower())
    cases = [
        case
        for group in ("minimum", "direction")
        for some in behaviour.CASES[group].values()
        for case in some
    ]
    assert not [case for case in cases if excerpt(case, 8).lower().rstrip(" …") in texts]


# --- slices -----------------------------------------------------------------------------------------------------------


def test_slice_table_counts_and_marks_small_groups():
    right = np.array([True] * 30 + [False] * 10 + [True] * 5)
    table = slices.slice_table(
        right, {"read": ["whole"] * 40 + ["cut"] * 5, "rare": ["x"] * 3 + [None] * 42}
    )
    assert table[["slice", "group", "n", "value"]].to_numpy().tolist() == [
        ["read", "cut", 5, 1.0],
        ["read", "whole", 40, 0.75],
        ["rare", "x", 3, 1.0],
    ]
    assert table["small"].tolist() == [True, False, True]
    assert table.loc[1, "low"] < 0.75 < table.loc[1, "high"]


@pytest.mark.parametrize(
    "words",
    [np.arange(1, 101), np.array([5] * 90 + [7] * 10), np.array([5] * 20), np.array([1, 2, 3])],
)
def test_lengths_fall_into_the_group_that_names_them(words):
    labels = slices.by_length(words)
    assert len(labels) == len(words)
    for count, label in zip(words, labels, strict=True):
        bounds = [int(n) for n in re.findall(r"\d+", label)]
        assert bounds[0] <= count <= bounds[-1]
    assert labels.nunique() <= 4


def test_pairs_are_counted_both_ways():
    truth, guess = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 2, 0])
    table = slices.topic_pairs(truth, guess, ["a", "b", "c"])
    assert table[["pair", "n", "mixed_up"]].to_numpy().tolist() == [
        ["a / b", 4, 2],
        ["a / c", 4, 1],
    ]
    assert slices.topic_pairs(truth, truth, ["a", "b", "c"]).empty


def test_border_cases_of_the_sample():
    table = pd.read_csv(SAMPLE, keep_default_na=False)
    labels = slices.border_cases(table["source_id"])
    assert (labels == "near a border").sum() == 85
