"""Labelled texts as the training loop wants them: tokenised once, in batches of like length, each text once an epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedTokenizerFast

from gpt2news.finetune.backbone import encode, pad
from gpt2news.run import atomic

COLUMNS = ("text", "topic")
IGNORED = -100  # the label that torch's cross_entropy leaves out


def read_part(path: Path, part: str) -> pd.DataFrame:
    """The texts of a CSV file, or of `<part>.csv` in a folder: columns text, topic, and whatever else is there.

    Raises:
        FileNotFoundError: there is no such file; the message says which chapter makes it.
        ValueError: a column is missing, or a row has no text or no topic; the message names the file and the row.
    """
    file = path if path.is_file() else path / f"{part}.csv"
    if not file.is_file():
        raise FileNotFoundError(f"{path}: no {part}.csv; chapter 02_split makes them")
    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise ValueError(f"{file}: not a CSV file ({error})") from error
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise ValueError(
            f"{file}: no column {missing[0]!r}; it has {', '.join(frame)}; needed are {', '.join(COLUMNS)}"
        )
    if frame.empty:
        raise ValueError(f"{file}: no rows")
    for column in COLUMNS:
        empty = frame.index[frame[column].str.strip() == ""]
        if len(empty):
            raise ValueError(f"{file}: row {empty[0] + 1} has no {column}")
    return frame


def encode_cached(
    tokenizer: PreTrainedTokenizerFast, texts: list[str], folder: Path
) -> list[list[int]]:
    """`backbone.encode`, kept in `folder` under the hash of texts and tokenizer: a resumed run and other processes only read it."""
    key = hashlib.sha256("\0".join([tokenizer.backend_tokenizer.to_str(), *texts]).encode())
    file = folder / f"tokens-{key.hexdigest()[:16]}.npz"
    if not file.exists():
        rows = encode(tokenizer, texts)
        with atomic(file) as part:
            np.savez(
                part,
                ids=np.concatenate(rows).astype(np.int32),
                ends=np.cumsum([len(row) for row in rows]),
            )
    with np.load(file) as kept:
        return [row.tolist() for row in np.split(kept["ids"], kept["ends"][:-1])]


class Texts(torch.utils.data.Dataset):
    """Token ids and labels of one part; item -1 is a filler that no loss counts.

    Attributes:
        states: the frozen blocks' outputs, one (tokens, width) tensor a text, when they are kept.
    """

    def __init__(self, ids: list[list[int]], labels: list[int], pad_token_id: int):
        self.ids, self.labels, self.pad_token_id, self.states = ids, labels, pad_token_id, None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> dict:
        item = {"input_ids": [self.pad_token_id], "labels": IGNORED, "rows": -1}
        if i >= 0:
            item = {"input_ids": self.ids[i], "labels": self.labels[i], "rows": i}
        if self.states is not None:
            item["states"] = self.states[i] if i >= 0 else self.states[0][:1]
        return item

    def collate(self, items: list[dict]) -> dict[str, torch.Tensor]:
        """Items padded to their own longest: `input_ids` (n, tokens), `labels` (n,), `rows` (n,), `states` (n, tokens, width) if kept."""
        batch = {"input_ids": pad([item["input_ids"] for item in items], self.pad_token_id)}
        batch |= {name: torch.tensor([item[name] for item in items]) for name in ("labels", "rows")}
        if self.states is not None:
            batch["states"] = torch.nn.utils.rnn.pad_sequence(
                [item["states"] for item in items], batch_first=True
            )
        return batch


def read_both(train: Path, val: Path) -> tuple[dict[str, pd.DataFrame], list[Path]]:
    """`read_part` of `train` and `val`, and the two files.

    Raises:
        FileNotFoundError, ValueError: see `read_part`; or topics that nothing can be learned of.
    """
    parts = {"train": read_part(train, "train"), "val": read_part(val, "val")}
    topics = set(parts["train"]["topic"])
    if len(topics) < 2:
        raise ValueError(
            f"{train}: all texts have the topic {topics.pop()!r}; two topics or more are needed"
        )
    strangers = sorted(set(parts["val"]["topic"]) - topics)
    if strangers:
        raise ValueError(
            f"{val}: validation has the topic {strangers[0]!r}, which no training text has"
        )
    return parts, [
        path if path.is_file() else path / f"{part}.csv"
        for path, part in ((train, "train"), (val, "val"))
    ]


def texts_of(
    frame: pd.DataFrame,
    topics: list[str],
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    part: str,
) -> Texts:
    """The `Texts` of one part; token ids are kept in `folder`."""
    ids, labels = (
        encode_cached(tokenizer, frame["text"].tolist(), folder),
        [topics.index(topic) for topic in frame["topic"]],
    )
    # Validation goes from short to long: little padding, and its order changes nothing.
    rows = (
        range(len(ids)) if part == "train" else np.argsort([len(row) for row in ids], kind="stable")
    )
    return Texts([ids[i] for i in rows], [labels[i] for i in rows], tokenizer.pad_token_id)


class Order(torch.utils.data.Sampler):
    """The order of an epoch: a function of seed and epoch alone, so that a run that was cut goes on in it.

    Shuffled, then sorted by length within stretches of up to 50 batches, then the batches shuffled. Several processes deal
    the batches out among them; fillers (-1) make the number come out even, and each text is still seen once.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int, multiple_of: int = 1):
        self.lengths, self.batch_size, self.seed, self.multiple_of, self.epoch = (
            lengths,
            batch_size,
            seed,
            multiple_of,
            0,
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (0 is the first)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.multiple_of) * self.multiple_of

    def __iter__(self) -> Iterator[int]:
        n, size = len(self.lengths), self.batch_size
        random = np.random.default_rng([self.seed, self.epoch])
        shuffled = random.permutation(n)
        stretch = size * max(1, min(n // (4 * size), 50))
        ordered = [
            i
            for s in range(0, n, stretch)
            for i in sorted(shuffled[s : s + stretch].tolist(), key=lambda i: -self.lengths[i])
        ]
        batches = [ordered[s : s + size] for s in range(0, n, size)]
        whole = [batch for batch in batches if len(batch) == size]
        random.shuffle(whole)
        mixed = [i for batch in [*whole, *(b for b in batches if len(b) < size)] for i in batch]
        return iter(mixed + [-1] * (len(self) - n))
