"""Which words mark a topic?"""

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

from gpt2news.explore import UNSPACED, comparable
from words import excerpt as excerpt


def marking_words(texts: list[str], topics: list[str], n: int = 10) -> pd.DataFrame:
    """The `n` words that mark each topic most: columns `topic`, `word`, `z`.

    z-scored log-odds with an informative Dirichlet prior: Monroe, Colaresi and Quinn, "Fightin'
    Words", Political Analysis 16(4), 2008. Words of three letters and more.
    """
    pattern = rf"[{UNSPACED}]|[^\W\d_]{{3,}}"
    vectorizer = CountVectorizer(preprocessor=comparable, token_pattern=pattern, min_df=3)
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
