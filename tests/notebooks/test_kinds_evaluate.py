"""Limits that are taken from training texts: what they let through, and what they do not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import ByteLevelBPETokenizer, Tokenizer

from gpt2news import explore
from gpt2news.run import ROOT, companion

kinds = companion("kinds", "04_evaluate")
MINI = ROOT / "models" / "gpt2-mini"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return kinds.tokenizer_of(MINI)


@pytest.fixture(scope="module")
def halves() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The articles of the sample: two of three to learn from, and the others."""
    sample = explore.load_corpus("sample").sample(frac=1, random_state=0, ignore_index=True)
    return sample[: 2 * len(sample) // 3], sample[2 * len(sample) // 3 :]


def test_other_articles_are_let_through_and_other_texts_are_not(tokenizer, halves):
    known, others = halves
    kind = kinds.fit(tokenizer, known["text"].tolist(), known["topic"].tolist(), "the known half")
    refused = list(map(kind.reason, [tokenizer] * len(others), others["text"], others["topic"]))
    assert np.mean([why is not None for why in refused]) <= 0.01
    for text in (
        "Hükümet yeni vergi yasasını gelecek hafta mecliste görüşecek.",
        "Правительство внесло в парламент законопроект о налогах.",
        "sdkfjh wieuryt xcmvnb qpwoei slkdjf zmxncb",
        "ok",
    ):
        assert all(kind.reason(tokenizer, text, topic) for topic in set(known["topic"]))


def test_a_corpus_of_short_texts_keeps_its_own_texts(tokenizer):
    random = np.random.default_rng(0)
    words = {"ham": ["meeting", "lunch", "tomorrow", "home"], "spam": ["win", "prize", "cash"]}
    topics = ["ham", "spam"] * 200
    texts = [" ".join(random.choice(words[topic], 4)) for topic in topics]
    kind = kinds.fit(tokenizer, texts, topics, "these")
    refused = [kind.reason(tokenizer, *both) for both in zip(texts, topics, strict=True)]
    assert np.mean([why is not None for why in refused]) <= 0.02


def test_a_corpus_in_a_script_without_spaces_keeps_its_own_texts():
    random = np.random.default_rng(0)
    signs = {"体育": "球赛进冠军队员门", "财经": "银行股票利率税市场"}
    topics = list(signs) * 60
    texts = ["".join(random.choice(list(signs[topic]), 12)) for topic in topics]
    backend = ByteLevelBPETokenizer()
    backend.train_from_iterator(texts, vocab_size=400)
    kind = kinds.fit(backend, texts, topics, "these")
    assert kind.words == 1
    refused = [kind.reason(backend, *both) for both in zip(texts, topics, strict=True)]
    assert np.mean([why is not None for why in refused]) <= 0.02


def test_a_rare_name_does_not_mark_a_topic_by_its_own_text():
    rows = [[0, 1]] + [[0]] * 39
    topics = np.array(["a", "b"] * 20)
    matrix = kinds.holdings(rows, 2)
    others = kinds.without_itself(matrix, topics, rows)
    assert others[0] == {"a": {}, "b": {}}  # without itself, no text holds token 1
    many = [[0, 1], [0]] * 20
    others = kinds.without_itself(kinds.holdings(many, 2), topics, many)
    assert others[0]["a"] == {1: pytest.approx(np.log(24 / (5 + 19 * 19 / 39)), abs=0.006)}


def test_marks_are_of_tokens_that_one_topic_holds_more_often():
    rows = [[0, 1]] * 50 + [[0, 2]] * 50
    topics = np.array(["a"] * 50 + ["b"] * 50)
    marks = kinds.marking_tokens(kinds.holdings(rows, 4), topics)
    strength = pytest.approx(np.log(55 / 30), abs=0.006)
    assert marks == {"a": {1: strength}, "b": {2: strength}}


def test_words_that_mark_another_topic_than_the_one_answered_are_not_enough(tokenizer, halves):
    known, _ = halves
    kind = kinds.fit(tokenizer, known["text"].tolist(), known["topic"].tolist(), "the known half")
    text = "The striker scored twice as the team won the cup final on penalties."
    ids = kinds.measure(tokenizer, text).ids
    sums = {topic: kind.marking(ids, topic) for topic in kind.marks}
    assert max(sums, key=sums.get) == "sport"
    assert kind.reason(tokenizer, text, "sport") is None


def test_rates_hold_what_each_answer_does():
    strays = pd.DataFrame(
        {
            "kind": ["recipe", "recipe", "another language", "keyboard noise"],
            "not_sure": [True, False, False, False],
            "other_kind": [False, False, True, True],
        }
    )
    given = kinds.rates(strays, {"test": np.array([False] * 9 + [True])})
    assert (given["n"], given["not_sure"]["value"], given["not_answered"]["value"]) == (
        4,
        0.25,
        0.75,
    )
    assert {name: share["value"] for name, share in given["groups"].items()} == {
        "noise": 1,
        "off-topic": 0.5,
        "other languages": 1,
    }
    assert given["by_kind"]["recipe"]["n"] == 2
    assert given["refused"]["test"]["value"] == pytest.approx(0.1)


def test_who_reads_which_letters(tokenizer):
    tfidf = TfidfVectorizer(token_pattern=explore.WORDS)
    english = kinds.letters_read(tokenizer, tfidf, ["The bank cut its forecast for the year."])
    assert min(english.values()) == 1
    chinese = kinds.letters_read(tokenizer, tfidf, ["政府宣布明年起降低小企业的税率"])
    assert chinese == {"the model": 0, "the linear model": 1, "the search for leaks": 1}
    old = TfidfVectorizer(token_pattern=r"[a-z]+")
    assert kinds.letters_read(tokenizer, old, ["政府"])["the linear model"] == 0
