"""Behaviour tests and off-topic text: each must be able to fail, and say the right thing then."""

import re

import numpy as np
import pytest

from gpt2news.explore import load_corpus
from gpt2news.run import companion

behaviour = companion("checks", "04_evaluate")

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

    def words(text):
        return re.findall(r"[a-z0-9]+", text.lower())

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

    def deaf(texts):
        return np.full((len(texts), 5), 0.2)

    results = behaviour.direction(deaf, ["a text", "another"], ["sport", "tech"], TOPICS)
    assert len(results) == 2 * (
        3 * 2 + 2
    )  # two sentences a topic, in front of the texts of another
    assert not results["passed"].any()


def test_direction_needs_a_text_of_another_topic():
    assert behaviour.direction(by_word("x"), ["one"], ["sport"], ["sport"]).empty


def test_a_number_too_long_to_be_one_stays():
    assert behaviour.changed("7" * 30, "numbers", np.random.default_rng(0)) == "7" * 30


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


def test_written_cases_are_not_texts_of_the_sample():
    """A case that stands in the training texts would test memory."""
    texts = " ".join(load_corpus("sample")["text"].str.lower())
    cases = [
        case
        for group in ("minimum", "direction")
        for some in behaviour.CASES[group].values()
        for case in some
    ]
    openings = [" ".join(case.split()[:8]).lower() for case in cases]
    assert not [opening for opening in openings if opening in texts]
