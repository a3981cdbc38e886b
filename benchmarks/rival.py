"""The simple rival that chapter 04 types, for the comparisons here."""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from gpt2news.explore import WORDS


def baseline(texts: list[str], topics: list[str], min_df: int = 2) -> Pipeline:
    """The simple rival of chapter 04, fitted: TF-IDF of words and word pairs, linear SVM.

    `min_df`: texts that must hold a word; 1 keeps them all, which helps where texts are few.
    """
    how = {"ngram_range": (1, 2), "sublinear_tf": True, "strip_accents": "unicode"}
    words = TfidfVectorizer(**how, min_df=min_df, token_pattern=WORDS)
    return make_pipeline(words, LinearSVC(random_state=0)).fit(texts, topics)
