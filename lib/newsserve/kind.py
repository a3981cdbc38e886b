"""Is a text of the kind that a model learned from? No softmax can say that, but counts can."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel
from tokenizers import Encoding, Tokenizer

LOOKED_AT = 1000  # characters of a text
STRONGEST = 4  # marking tokens


class Measured(NamedTuple):
    """Of a text's first characters."""

    letters: float  # share that is read
    pieces: float  # tokens a word
    words: int
    ids: list[int]


def measure(tokenizer: Tokenizer, text: str) -> Measured:
    """What `Kind` holds against its limits."""
    head = text[:LOOKED_AT].encode("utf-8", "replace").decode("utf-8")
    encoding = tokenizer.encode(head, add_special_tokens=False)
    words = len(head.split())
    share = 1.0 if head.isascii() else _letters_kept(tokenizer, head, encoding)
    return Measured(share, len(encoding.ids) / max(words, 1), words, encoding.ids)


def _letters_kept(tokenizer: Tokenizer, text: str, encoding: Encoding) -> float:
    read = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
    unknown = getattr(tokenizer.model, "unk_token", None)
    pieces = zip(encoding.tokens, encoding.offsets, strict=True)
    lost = "".join(text[start:end] for token, (start, end) in pieces if token == unknown)
    letters, kept, unread = (sum(map(str.isalpha, part)) for part in (text, read, lost))
    return max(0, kept - unread) / letters if letters else 1.0


class Kind(BaseModel, strict=True, frozen=True, allow_inf_nan=False):
    """The limits of a model's kind of text; chapter 04 takes them from the training texts.

    Attributes:
        letters: least share of its letters that the tokenizer keeps.
        pieces: most tokens a word; other languages and noise fall into more.
        suspect: from so many on, the share of `common` tokens has to be `shared` at least.
        marks: token -> how much more often texts of its topic hold it (logarithm).
        marked: least mean of the `STRONGEST` of them in a text.
    """

    letters: float
    pieces: float
    suspect: float
    common: list[int]
    shared: float
    words: int
    marks: dict[int, float]
    marked: float
    source: str

    def marking(self, ids: list[int]) -> float:
        """The mean of the strongest marks of a text."""
        found = sorted((self.marks.get(i, 0.0) for i in set(ids)), reverse=True)
        return sum(found[:STRONGEST]) / STRONGEST

    def sharing(self, ids: list[int]) -> float:
        """The share of the common tokens."""
        return sum(i in self.common for i in ids) / max(len(ids), 1)

    def reason(self, tokenizer: Tokenizer, text: str) -> str | None:
        """Why a text is not of this kind, as the end of a sentence; None when it is."""
        found = measure(tokenizer, text)
        if found.letters < self.letters:
            return f"{1 - found.letters:.0%} of its letters are unknown to the model"
        strange = found.pieces > self.suspect and self.sharing(found.ids) < self.shared
        if strange or found.pieces > self.pieces:
            return f"its words fall into {found.pieces:.1f} pieces each: another language, or noise"
        if found.words < self.words:
            return f"it is too short: fewer than {self.words} words"
        if self.marking(found.ids) < self.marked:
            return "too few of its words mark any of the topics"
        return None
