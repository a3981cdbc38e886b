"""The limits of "this model's kind of text", taken from the training texts.

What they are is in `newsserve.kind`; here they are fitted. No text of validation
or test is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer

from gpt2news import explore
from gpt2news.evaluate import wilson
from newsserve.predictor import Kind, measure

# Kinds of texts in checks/evaluate.yaml that are not English prose about something else.
GROUPS = {
    "another language": "other languages",
    "keyboard noise": "noise",
    "hardly a text": "noise",
}
OPENING = 20  # words; a text as short as that may be asked as well
COMMON = 50  # tokens that most texts hold
PRIOR = 5  # texts of each topic, made up, in which a token is as frequent as in all
LEAST_MARK = 0.4  # a token that marks its topic less is left out of the table
READ = 0.9  # share of the letters; fewer is another script, whatever the training texts hold
# Shares of the training texts that a limit may refuse by mistake: of whole ones, and of their
# first words, by too many pieces and by too few marks.
WHOLE, PIECES, MARKS = 0.005, 0.01, 0.06
# Of the first words, so many fall into more pieces, and have fewer common tokens.
SUSPECT, SHARED = 0.1, 0.05


def holdings(rows: Sequence[Sequence[int]], tokens: int) -> csr_matrix:
    """(n, tokens) whether text n holds a token."""
    held = [np.unique(np.asarray(row, dtype=int)) for row in rows]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in held])])
    places = np.concatenate(held) if held else []
    return csr_matrix((np.ones(len(places)), places, ends), shape=(len(rows), tokens))


def strengths(held, texts, tokens_in_all, n) -> np.ndarray:
    """How many times more of a topic's texts hold a token than of all texts, as a logarithm.

    `held` of the topic's `texts`, `tokens_in_all` of the `n`; shrunk to 0 by `PRIOR` texts.
    """
    return np.log((held + PRIOR) / (texts * tokens_in_all / n + PRIOR))


def marking_tokens(matrix: csr_matrix, topics: np.ndarray) -> dict[str, dict[int, float]]:
    """Topic -> token -> its strength, where that is `LEAST_MARK` or more."""
    in_all = np.asarray(matrix.sum(axis=0)).ravel()
    marks = {}
    for topic in np.unique(topics):
        mine = topics == topic
        held = np.asarray(matrix[mine].sum(axis=0)).ravel()
        marks[str(topic)] = _strong(strengths(held, mine.sum(), in_all, len(topics)))
    return marks


def _strong(best: np.ndarray, ids: np.ndarray | None = None) -> dict[int, float]:
    """Of strengths those that mark; `ids` are their tokens, else all in order."""
    places = np.flatnonzero(best >= LEAST_MARK)
    tokens = places if ids is None else ids[places]
    return dict(zip(tokens.tolist(), best[places].round(2).tolist(), strict=True))


def without_itself(matrix: csr_matrix, topics: np.ndarray, rows: list[list[int]]) -> list[dict]:
    """For each text, the marks of the tokens in its row, had that text not been there.

    Else a rare name in a training text would mark that text's topic by that text alone.
    """
    in_all = np.asarray(matrix.sum(axis=0)).ravel()
    names = np.unique(topics)
    texts = np.array([(topics == name).sum() for name in names])[:, None]
    held = np.array([np.asarray(matrix[topics == name].sum(axis=0)).ravel() for name in names])
    marks = []
    for topic, row in zip(topics, rows, strict=True):
        ids = np.unique(np.asarray(row, dtype=int))
        own = (names == topic)[:, None]
        found = strengths(held[:, ids] - own, texts - own, in_all[ids] - 1, len(topics) - 1)
        marks.append({str(n): _strong(one, ids) for n, one in zip(names, found, strict=True)})
    return marks


def fit(tokenizer: Tokenizer, texts: Sequence[str], topics: Sequence[str], source: str) -> Kind:
    """The limits that nearly all of these texts keep, whole or cut to their first words.

    Args:
        tokenizer: the model's own, without truncation.
        source: what these texts are, for the record.
    """
    topics = np.asarray(topics)
    whole = [measure(tokenizer, text) for text in texts]
    short = [measure(tokenizer, " ".join(text.split()[:OPENING])) for text in texts]
    matrix = holdings([found.ids for found in whole], tokenizer.get_vocab_size())
    in_all = np.asarray(matrix.sum(axis=0)).ravel()
    kind = Kind(
        letters=min(READ, float(np.quantile([found.letters for found in whole], WHOLE))),
        pieces=max(
            float(np.quantile([found.pieces for found in whole], 1 - WHOLE)),
            float(np.quantile([found.pieces for found in short], 1 - PIECES)),
        ),
        suspect=float(np.quantile([found.pieces for found in short], 1 - SUSPECT)),
        common=np.argsort(-in_all, kind="stable")[:COMMON].tolist(),
        shared=0.0,
        words=min(2, *(found.words for found in whole)),
        marks=marking_tokens(matrix, topics),
        marked=0.0,
        source=source,
    )
    marked = []
    for found, share in ((whole, WHOLE), (short, MARKS)):
        rows = [one.ids for one in found]
        others = without_itself(matrix, topics, rows)
        seen = [
            kind.model_copy(update={"marks": mine}).marking(row, topic)
            for mine, row, topic in zip(others, rows, topics, strict=True)
        ]
        marked.append(np.quantile(seen, share))
    shared = np.quantile([kind.sharing(one.ids) for one in short], SHARED)
    return kind.model_copy(update={"marked": float(min(marked)), "shared": float(shared)})


def tokenizer_of(model_folder: Path) -> Tokenizer:
    """The tokenizer of a model folder, as the server uses it: nothing is cut off."""
    tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def fit_folder(model_folder: Path, train: pd.DataFrame) -> Kind:
    """`fit` for a model folder of chapter 03 and its training texts."""
    texts, topics = train["text"].tolist(), train["topic"].tolist()
    return fit(tokenizer_of(model_folder), texts, topics, f"{len(train):,} training texts")


def rates(strays: pd.DataFrame, refused: dict[str, np.ndarray]) -> dict:
    """The section `off_topic` of metrics.json, every share with its interval.

    Args:
        strays: a row an off-topic text: its `kind`, `not_sure` (by the threshold), `other_kind` (by
            the limits).
        refused: name of some texts that should be answered -> whether the limits refuse them.
    """

    def share(some: pd.Series | np.ndarray) -> dict:
        return {"n": len(some), **wilson(np.sum(some), len(some))}

    not_answered = strays["not_sure"] | strays["other_kind"]
    groups = strays["kind"].map(GROUPS).fillna("off-topic")
    return {
        "n": len(strays),
        "not_sure": share(strays["not_sure"]),
        "not_answered": share(not_answered),
        "groups": {name: share(some) for name, some in not_answered.groupby(groups)},
        "by_kind": {name: share(some) for name, some in not_answered.groupby(strays["kind"])},
        "refused": {name: share(some) for name, some in refused.items()},
    }


def letters_read(tokenizer: Tokenizer, tfidf: TfidfVectorizer, texts: Sequence[str]) -> dict:
    """Who -> the share of all letters of these texts that it reads.

    Of the model, of its rival (which reads the words that its pattern finds) and of the search for
    leaks.
    """
    letters = sum(_letters(text) for text in texts) or 1
    split_up = tfidf.build_tokenizer()
    found = {
        "the model": sum(measure(tokenizer, text).letters * _letters(text) for text in texts),
        "the linear model": sum(_letters("".join(split_up(text))) for text in texts),
        "the search for leaks": sum(
            min(_letters(text), _letters(explore.comparable(text))) for text in texts
        ),
    }
    return {who: read / letters for who, read in found.items()}


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
