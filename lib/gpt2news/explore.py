"""Chapter 01: load a corpus of labelled texts, or say what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pandas as pd
from tokenizers import Regex, normalizers

from gpt2news.run import ROOT, companion

SAMPLE = ROOT / "data" / "sample" / "articles.csv"
# How a corpus is read: parameters of chapters 01 and 02, and of `load_corpus`.
READING = ("text_column", "label_column", "column_names", "label_names", "encoding", "max_left_out")

# No letter of a to z with an accent.
LETTERS = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
LETTERS |= dict(zip("łøıđðħŧ", "loiddht", strict=True))
# Scripts without spaces (Thai to Khmer, Japanese, Chinese): a character stands for a word.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORDS = rf"[{UNSPACED}]|\b\w\w+\b"  # scikit-learn's own, and those
# Lower case, accents stripped, every run of other characters one space. It makes the two BBC
# sources, the cased archive and the lower-cased CSV, the same text. gpt2-mini keeps it inside its
# tokenizer.json, so that training and every way of use read a text alike.
NORMALISER = normalizers.Sequence(
    [
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        *(normalizers.Replace(letter, plain) for letter, plain in LETTERS.items()),
        normalizers.Replace(Regex(r"[^a-z0-9£$%.:\-]+"), " "),
        normalizers.Strip(),
    ]
)


class CorpusError(ValueError):
    """Something is wrong with a corpus; the message names the file, the row and the way out."""


def corpora() -> ModuleType:
    """The corpora that have a name: content of the tutorial."""
    return companion("corpora", "01_explore")


def locate(name_or_path: str | Path) -> Path:
    """The file of a corpus, by its name or its path."""
    return corpora().locate(name_or_path)


def load_corpus(name_or_path: str | Path, *reading, **named) -> pd.DataFrame:
    """A corpus as a frame with the columns `text`, `topic`, `source_id` (strings, a row a text).

    Rows that cannot be used are left out; `attrs["left_out"]` names each. The parameters `READING`
    are explained in `notebooks/corpora/explore.py`. Raises CorpusError.
    """
    return corpora().load(name_or_path, *reading, **named)


def normalise(text: str) -> str:
    """`text` as gpt2-mini's tokenizer sees it (see `NORMALISER`)."""
    return NORMALISER.normalize_str(text)


def unread(text: str) -> bool:
    """Would `normalise` lose most letters of `text`? It keeps a to z: another script is lost."""
    text = text[:5000]
    if text.isascii():
        return False
    letters, kept = sum(map(str.isalpha, text)), sum(map(str.isalpha, normalise(text)))
    return 2 * kept < letters


def comparable(text: str) -> str:
    """`text` for counting words: `normalise`d, or in another script lower case and words only."""
    if not unread(text):
        return normalise(text)
    return " ".join(re.findall(rf"[{UNSPACED}]|[^\W{UNSPACED}]+", text.lower()))
