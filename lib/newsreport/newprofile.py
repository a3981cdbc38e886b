"""`gpt2news new-profile`: a profile for a corpus of one's own, with settings that fit its size."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from gpt2news.explore import SOURCES, CorpusError, load_corpus, locate, unread
from gpt2news.run import ROOT
from gpt2news.run import atomic

PROFILES = ROOT / "notebooks" / "profiles"
BACKBONE = "models/gpt2-mini"
LENGTHS = (64, 128, 256, 512)
MANY_TOPICS = 50

TEMPLATE = """\
# {file}: {rows:,} texts, {topics} topics; made by `gpt2news new-profile`. Change what you like, then
#   gpt2news report --profile {name}
# Each section sets the parameters of one notebook; what is not set keeps the value in the notebook's `parameters` cell.
01_explore:
  dataset: {data}
  text_column: {text}
  label_column: {label}
02_split:
  dataset: {data}
  text_column: {text}
  label_column: {label}
  val_share: {share}  # {share:.0%} of the texts tune and calibrate
  test_share: {share}  # {share:.0%} are the exam
03_finetune:
  backbone: {backbone}  # with a GPU: openai-community/gpt2, learning_rate 0.00005
  epochs: {epochs}
  max_length: {max_length}  # tokens read of a text; {whole:.0%} of the texts are no longer than that
  pooling: mean
  compare_from_scratch: {compare}  # train a model without pretraining beside it: doubles the time
"""


class ProfileError(ValueError):
    """A profile cannot be written; the message says why and the way out."""


@dataclass(frozen=True)
class NewProfile:
    """A profile that was written: the file, and what its settings were chosen from."""

    path: Path
    rows: int
    topics: int
    max_length: int
    epochs: int
    unread: float  # share of the texts that the shipped backbone cannot read: another script


def new_profile(
    name: str, data: str | Path, text: str = "text", label: str = "topic", folder: Path = PROFILES
) -> NewProfile:
    """Check a corpus and write `<folder>/<name>.yaml` for it; an existing file is left alone.

    Args:
        name: of the profile: letters, digits, - and _.
        data: a .csv, .jsonl or .parquet file with a text and a label column.
        text, label: those columns.

    Raises:
        ProfileError: a bad name, or a profile of that name is there.
        CorpusError: what is wrong with the data.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ProfileError(
            f"{name!r}: letters, digits, - and _ make the name of a profile, such as mynews"
        )
    target = folder / f"{name}.yaml"
    if target.exists():
        raise ProfileError(
            f"{target.name} is there already and was not changed; delete it, or choose another name"
        )
    if str(data) in ("sample", *SOURCES):
        raise ProfileError(
            f"{data} has a profile of its own already; --data takes a .csv, .jsonl or .parquet file"
        )
    texts = load_corpus(data, text, label)
    path = locate(data).resolve()
    lengths = token_counts(texts["text"].tolist())
    counts = texts["topic"].value_counts()
    max_length = next((n for n in LENGTHS if (lengths <= n).mean() >= 0.9), LENGTHS[-1])
    epochs = next(
        n
        for limit, n in ((300, 8), (1_000, 5), (5_000, 3), (float("inf"), 2))
        if len(texts) <= limit
    )
    values = {
        "data": str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path),
        "text": text,
        "label": label,
    }
    filled = TEMPLATE.format(
        **{
            key: json.dumps(value, ensure_ascii=False) for key, value in values.items()
        },  # a JSON string is a YAML string
        file=path.name,
        name=name,
        rows=len(texts),
        topics=len(counts),
        share=0.1
        if len(texts) > 1_000 and counts.min() >= 20
        else 0.2,  # a test worth reading, two texts of each topic in it
        backbone=BACKBONE,
        epochs=epochs,
        max_length=max_length,
        whole=(lengths <= max_length).mean(),
        compare=str(len(texts) <= 1_000).lower(),
    )
    with atomic(target) as part:
        part.write_text(filled, encoding="utf-8")
    return NewProfile(
        target, len(texts), len(counts), max_length, epochs, texts["text"].map(unread).mean()
    )


def token_counts(texts: list[str]) -> np.ndarray:
    """(n,) tokens of each text, as the shipped backbone cuts it."""
    tokenizer = Tokenizer.from_file(str(ROOT / BACKBONE / "tokenizer.json"))
    tokenizer.no_truncation()
    return np.array([len(encoding.ids) for encoding in tokenizer.encode_batch(texts)])


def main(args) -> int:
    """The command `gpt2news new-profile`; returns its exit code."""
    try:
        made = new_profile(args.name, args.data, args.text, args.label)
    except (ProfileError, CorpusError) as error:
        print(f"gpt2news new-profile: {error}", file=sys.stderr)
        return 2
    print(
        f"{made.rows:,} texts, {made.topics} topics: {made.max_length} tokens of a text, {made.epochs} epochs. Written: {made.path}"
    )
    if made.topics > MANY_TOPICS:
        print(
            f"More than {MANY_TOPICS} topics: the figures were made for fewer. Is {args.label!r} the label column?"
        )
    if made.unread > 0.1:
        print(
            f"{made.unread:.0%} of the texts are in a script that {BACKBONE} cannot read (it knows a to z): set `backbone` to one that can."
        )
    print(f"Next: gpt2news report --profile {args.name}")
    return 0
