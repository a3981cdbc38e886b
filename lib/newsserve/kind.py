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
        marks: topic -> token -> how much more often its texts hold it (logarithm).
        marked: least `marking` of a text.
    """

    letters: float
    pieces: float
    suspect: float
    common: list[int]
    shared: float
    words: int
    marks: dict[str, dict[int, float]]
    marked: float
    source: str

    def marking(self, ids: list[int], topic: str) -> float:
        """Mean of the `STRONGEST` marks of the topic answered, and of any topic, added."""
        any_topic = [max(self._marks(i), default=0.0) for i in set(ids)]
        answered = [self.marks.get(topic, {}).get(i, 0.0) for i in set(ids)]
        strongest = sorted(any_topic)[-STRONGEST:] + sorted(answered)[-STRONGEST:]
        return sum(strongest) / STRONGEST

    def _marks(self, token: int) -> list[float]:
        return [marks.get(token, 0.0) for marks in self.marks.values()]

    def sharing(self, ids: list[int]) -> float:
        """The share of the common tokens."""
        return sum(i in self.common for i in ids) / max(len(ids), 1)

    def reason(self, tokenizer: Tokenizer, text: str, topic: str) -> str | None:
        """Why a text answered with `topic` is not of this kind: a sentence's end, or None."""
        found = measure(tokenizer, text)
        if found.letters < self.letters:
            return f"{1 - found.letters:.0%} of its letters are unknown to the model"
        strange = found.pieces > self.suspect and self.sharing(found.ids) < self.shared
        if strange or found.pieces > self.pieces:
            return f"its words fall into {found.pieces:.1f} pieces each: another language, or noise"
        if found.words < self.words:
            return f"it is too short: fewer than {self.words} words"
        if self.marking(found.ids, topic) < self.marked:
            return "too few of its words mark its topic"
        return None
