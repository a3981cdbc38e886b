"""Chapter 01: load a corpus (`corpus`), and count its words as the model sees them (`words`)."""

# ruff: noqa: F401
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
