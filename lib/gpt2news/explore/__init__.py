"""Chapter 01: load a corpus, say what is wrong with it, and describe it.

`explore.figures` is imported by the notebook alone: a training container has no seaborn.
"""

from gpt2news.explore.corpus import (
    BBC_TOPICS,
    SAMPLE,
    SOURCES,
    CorpusError,
    describe,
    find_source,
    load_corpus,
    locate,
)
from gpt2news.explore.words import (
    NORMALISER,
    comparable,
    excerpt,
    marking_words,
    normalise,
    unread,
    word_counts,
)

__all__ = [
    "BBC_TOPICS",
    "NORMALISER",
    "SAMPLE",
    "SOURCES",
    "CorpusError",
    "comparable",
    "describe",
    "excerpt",
    "find_source",
    "load_corpus",
    "locate",
    "marking_words",
    "normalise",
    "unread",
    "word_counts",
]
