"""The texts on the report's first page: chosen by rule, cut where they may not be passed on."""

import pandas as pd

from examples.deploy import chosen, stretch, weightiest
from newsserve.predictor import Answer


class Predictor:
    """Answers by a text's first word: its topic, and its second: how sure."""

    def __call__(self, texts):
        answers = []
        for text in texts:
            topic, p, *_ = text.split()
            answers.append(Answer(topic, float(p), float(p) > 0.5, {topic: float(p)}, 5, False))
        return answers

    def explain(self, text):
        return [(word, 0.1) for word in text.split()]


def rows(*pairs):
    return pd.DataFrame(pairs, columns=["text", "topic"])


def test_the_surest_mistakes_and_one_right_answer():
    test = rows(
        ("a 0.9 one two three", "a"),
        ("a 0.7 one", "a"),
        ("b 0.6 x", "a"),
        ("b 0.8 y", "a"),
        ("b 0.4 z", "a"),
        ("b 0.99 z", "a"),
    )
    found = chosen(Predictor(), test, 20)
    assert [row["probability"] for row in found["wrong"]] == [0.99, 0.8, 0.6]
    assert found["wrong"][0] == {
        "predicted": "b",
        "probability": 0.99,
        "answered": True,
        "text": "b 0.99 z",
        "topic": "a",
    }
    assert found["right"]["topic"] == "a"
    assert [word for word, _ in found["right"]["words"]] == ["a", "0.7", "one"]


def test_no_right_answer_and_no_mistake():
    assert chosen(Predictor(), rows(("b 0.9", "a")))["right"] is None
    assert chosen(Predictor(), rows(("a 0.4", "a")))["right"] is None  # "not sure"
    assert chosen(Predictor(), rows(("a 0.9", "a")))["wrong"] == []


def test_never_more_words_than_may_be_shown():
    text = "b 0.9 " + "w " * 50
    found = chosen(Predictor(), rows((text, "a"), (text.replace("b", "a", 1), "a")), 20)
    assert len(found["wrong"][0]["text"].split()) == 21  # with "…"
    words = [word for word, _ in found["right"]["words"]]
    assert len([word for word in words if word != "…"]) == 20


def test_the_stretch_that_counts_most():
    falls = [("a", 0.0), ("b", 0.0), ("c", 0.5), ("d", -0.4), ("e", 0.3), ("f", 0.0)]
    assert weightiest(falls, 3) == [["…", 0.0], ["c", 0.5], ["d", -0.4], ["e", 0.3], ["…", 0.0]]
    assert weightiest(falls[:2], 3) == [["a", 0.0], ["b", 0.0]]
    assert stretch(["a", "b"], 2) == "a b"
    assert stretch(["a", "b", "c"], 2) == "a b …"
