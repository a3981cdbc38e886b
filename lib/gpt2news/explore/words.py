"""Words of a text as the model and the counts see them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from tokenizers import Regex, normalizers

# Lower case, accents stripped, every run of other characters one space. It makes the two BBC
# sources, the cased archive and the lower-cased CSV, the same text. gpt2-mini keeps it inside its
# tokenizer.json, so that training and every way of use read a text alike.
NORMALISER = normalizers.Sequence(
    [
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(r"[^a-z0-9£$%.:\-]+"), " "),
        normalizers.Strip(),
    ]
)


def normalise(text: str) -> str:
    """`text` as gpt2-mini's tokenizer sees it (see `NORMALISER`)."""
    return NORMALISER.normalize_str(text)


def unread(text: str) -> bool:
    """Would `normalise` lose most letters of `text`? It keeps a to z: another script is lost."""
    if text.isascii():
        return False
    kept, letters = (sum(map(str.isalpha, version)) for version in (normalise(text), text))
    return 2 * kept < letters


def comparable(text: str) -> str:
    """`text` for counting words: `normalise`d, or in another script lower case and words only."""
    return " ".join(re.findall(r"\w+", text.lower())) if unread(text) else normalise(text)


def excerpt(text: str, words: int = 20) -> str:
    """The first words, at most 20 in any report: the articles belong to their publishers."""
    parts, shown = text.split(), min(words, 20)
    return " ".join(parts[:shown]) + (" …" if len(parts) > shown else "")


def word_counts(texts: list[str]) -> np.ndarray:
    """(n,) number of words of each text, split at white space."""
    return np.array([len(text.split()) for text in texts])


def marking_words(texts: list[str], topics: list[str], n: int = 10) -> pd.DataFrame:
    """The `n` words that mark each topic most: columns `topic`, `word`, `z`.

    z-scored log-odds with an informative Dirichlet prior: Monroe, Colaresi and Quinn, "Fightin'
    Words", Political Analysis 16(4), 2008. Words of three letters and more.
    """
    vectorizer = CountVectorizer(preprocessor=comparable, token_pattern=r"[^\W\d_]{3,}", min_df=3)
    counts = vectorizer.fit_transform(texts)
    words, labels = vectorizer.get_feature_names_out(), np.asarray(topics)
    # The prior is the whole corpus: a word needs many counts to move away from it.
    prior = np.asarray(counts.sum(axis=0)).ravel()
    rows = []
    for topic in sorted(set(topics)):
        inside = np.asarray(counts[labels == topic].sum(axis=0)).ravel() + prior
        outside = 3 * prior - inside
        log_odds = [np.log(part / (part.sum() - part)) for part in (inside, outside)]
        z = (log_odds[0] - log_odds[1]) / np.sqrt(1 / inside + 1 / outside)
        rows += [(topic, words[i], z[i]) for i in np.argsort(-z)[:n]]
    return pd.DataFrame(rows, columns=["topic", "word", "z"])
