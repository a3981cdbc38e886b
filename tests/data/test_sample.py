"""The shipped sample: counts, lengths, originality, and that it is neither trivial nor noise."""

import re
from collections import Counter

import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from gpt2news import explore, split
from gpt2news.run import companion

TOPICS = companion("corpora", "01_explore").BBC_TOPICS


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    return pd.read_csv(explore.SAMPLE, keep_default_na=False)


def test_counts(sample):
    assert sample["topic"].value_counts().to_dict() == dict.fromkeys(TOPICS, 100)
    assert (pd.crosstab(sample["region"], sample["topic"]) == 20).all().all()
    assert sample["source_id"].is_unique
    assert set(sample["border"]) == {"", *TOPICS}
    assert not (sample["border"] == sample["topic"]).any()
    assert 0.14 <= (sample["border"] != "").mean() <= 0.2


def test_lengths_and_form(sample):
    assert sample["text"].str.split().str.len().between(80, 160).all()
    assert not sample["text"].str.contains("\n").any()
    assert sample["text"].str.match(r"[A-Z“‘£$0-9]").all()


def test_no_eight_words_in_a_row_are_shared(sample):
    where: dict[tuple, str] = {}
    shared = []
    for row in sample.itertuples():
        words = re.findall(r"[a-z0-9']+", row.text.lower())
        for gram in {tuple(words[i : i + 8]) for i in range(len(words) - 7)}:
            if where.setdefault(gram, row.source_id) != row.source_id:
                shared.append((row.source_id, where[gram], " ".join(gram)))
    assert not shared


def test_openings_vary(sample):
    openings = Counter(" ".join(text.split()[:3]).lower() for text in sample["text"])
    assert max(openings.values()) <= 3


def test_no_twins(sample):
    assert split.similar_pairs(sample["text"].tolist(), threshold=0.1).empty


def test_neither_trivial_nor_noise(sample):
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC())
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    assert 0.88 <= cross_val_score(model, sample["text"], sample["topic"], cv=folds).mean() <= 0.98
