"""The simple rival that chapter 04 types, for the comparisons here."""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from gpt2news.explore import WORDS


def baseline(texts: list[str], topics: list[str]) -> Pipeline:
    """The simple rival of chapter 04, fitted: TF-IDF of words and word pairs, linear SVM."""
    how = {"ngram_range": (1, 2), "sublinear_tf": True, "min_df": 2, "strip_accents": "unicode"}
    words = TfidfVectorizer(**how, token_pattern=WORDS)
    return make_pipeline(words, LinearSVC(random_state=0)).fit(texts, topics)
