"""What chapter 01 says of its results: null and degenerate cases of every sentence."""

import numpy as np
import pandas as pd
import pytest

from gpt2news.run import companion

say = companion("sentences", "01_explore")


def words(z: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        (topic, f"w{i}", value) for topic, values in z.items() for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["topic", "word", "z"])


@pytest.mark.parametrize(
    ("name", "topics", "n", "told"),
    [
        ("sample", ["a", "b"], 500, "**sample**: 500 texts, 2 topics (a, b). Its articles are"),
        ("mine.csv", ["a"], 1, "**mine.csv**: 1 text, 1 topics (a)."),
        ("x", [f"t{i}" for i in range(12)], 9, "t9, …)"),
        ("x", ["$a$ <b>"], 9, "<span>$</span>a<span>$</span> &#60;b&#62;"),
    ],
)
def test_corpus(name, topics, n, told):
    said = say.corpus(name, topics, n)
    assert told in said
    assert ("invented" in said) == (name == "sample")


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"a": 5, "b": 3, "c": 2}, "the largest topic, **a**, is 50% of the corpus"),
        ({"a": 4, "b": 4, "c": 2}, "a and b are the largest, with 40% of the corpus each"),
        ({"a": 5, "b": 5}, "every topic has 50% of the corpus"),
        ({"a": 5}, "every topic has 100% of the corpus"),
    ],
    ids=["one", "a tie", "all alike", "one topic"],
)
def test_balance(counts, told):
    assert told in say.balance(pd.Series(counts))


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ([" the", " ke", "eper", "."], "1 of 2 words are one token"),
        ([" the", " ke", "eper"], "One word here takes 2 tokens: ke + eper"),
        ([" the", " bank", "."], "every word here is one token"),
        ([], "no word in it"),
        ([" .", "!"], "no word in it"),
    ],
    ids=["cut", "the longest", "nothing is cut", "nothing", "marks only"],
)
def test_pieces(tokens, told):
    said = say.pieces(tokens)
    assert told in said
    assert ("orange" in said) == any(token == "eper" for token in tokens)


def dropped(*rows) -> str:
    return say.dropped(pd.DataFrame(rows, columns=["text", "kept", "ids"]))


def test_dropped_names_what_is_lost_whole_and_in_part():
    said = dropped(("日本語", "", []), ("Łódź", "odz", [1, 2]), ("Café", "cafe", [3]))
    assert "nothing at all is left of 日本語." in said
    assert "Łódź becomes “odz”" in said
    assert "Café" not in said


def test_dropped_says_nothing_of_loss_where_there_is_none():
    assert "nothing is dropped" in dropped(("日本語", "日本語", [1, 2, 3]), ("a", "a", [4]))
    said = dropped(("Café!", "cafe", [3]))
    assert "every letter is kept" in said
    assert "lost" not in said


def test_dropped_without_a_text_that_is_lost_whole():
    said = dropped(("Łódź", "odz", [1]))
    assert said.startswith("*What to notice:* letters are lost without a word: Łódź becomes")
    assert "nothing" not in said


@pytest.mark.parametrize(
    ("tokens", "told", "untold"),
    [
        ([100, 200, 600, 700], "75.0% are longer than 128 tokens and 50.0% are", "None"),
        ([100, 200], "50.0% are longer than 128 tokens. None is longer than 512. What", " 0.0%"),
        ([100, 128], "No text is longer than 128 tokens", "cut off"),
        ([200] * 2500 + [100], "over 99.9% are longer than 128 tokens", "100.0%"),
        ([100] * 2500 + [200], "under 0.1% are longer than 128 tokens", " 0.0%"),
        ([200], "100% are longer than 128 tokens", "100.0%"),
        ([7], "No text is longer than 128 tokens", "%"),
    ],
    ids=["both", "one limit", "none", "nearly all", "nearly none", "all", "one text"],
)
def test_lengths(tokens, told, untold):
    said = say.lengths(np.array(tokens) // 2, np.array(tokens))
    assert told in said
    assert untold not in said


def test_lengths_of_texts_without_a_word():
    assert "0 words, which are 0 tokens" in say.lengths(np.array([0]), np.array([0]))


@pytest.mark.parametrize(
    ("both", "likeness", "told"),
    [
        (3, 3 / 13, "3 / 13 = **0.23**, not over 0.5: no twins"),
        (8, 1.0, "8 / 8 = **1.00**, over 0.5: twins"),
        (0, 0.0, "0 / 16 = **0.00**, not over 0.5: no twins"),
        (4, 0.5, "= **0.50**, not over 0.5: no twins"),
    ],
)
def test_runs(both, likeness, told):
    assert told in say.runs(8, 8, both, likeness, 0.5)


@pytest.mark.parametrize(
    ("n", "unique", "exact", "near", "told"),
    [
        (500, 500, 0, 0, "500 texts, and no two of them are the same or nearly so."),
        (2225, 2060, 100, 80, "**2,060** different ones: 165 are copies of another"),
        (
            10,
            9,
            1,
            0,
            "1 is a copy of another or nearly so (1 pair word for word, no pairs nearly)",
        ),
    ],
)
def test_twins(n, unique, exact, near, told):
    assert told in say.twins(n, unique, exact, near)


@pytest.mark.parametrize(
    ("z", "told"),
    [
        ({"a": [5.0, 1.0], "b": [3.0, 2.0]}, "in every topic at least one word"),
        ({"a": [5.0, 1.0], "b": [2.9, 2.0]}, "in 1 of 2 topics at least one word"),
        ({"a": [1.0], "b": [0.0]}, "in no topic does a word stand out"),
    ],
    ids=["all", "one", "none"],
)
def test_marks(z, told):
    said = say.marks(words(z))
    assert told in said
    assert ("say a good deal" in said) == ("no topic" not in said)


def test_care_names_what_was_left_out_and_what_is_odd():
    said = say.care(["line 8: no text"], [])
    assert said == "- **1 row was left out:** line 8: no text."
    said = say.care(["line 8: <b>", "row 9: no topic"], ["'a' and 'A' are one?"])
    assert said.startswith("- **2 rows were left out:** line 8: &#60;b&#62;")
    assert said.endswith("- 'a' and 'A' are one?")


def test_care_of_a_corpus_without_a_fault_says_so():
    assert say.care([], []).endswith("every row has a text and a label, and nothing is odd.")
