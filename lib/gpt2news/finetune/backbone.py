"""The language model that everything starts from: where it is, its tokenizer, and texts as token ids."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from gpt2news.explore import NORMALISER
from gpt2news.run import ROOT

END, PAD = "<|endoftext|>", "<|pad|>"
# The hub's revision that was current when this was written; a moved branch must not change a result.
PINNED = {"openai-community/gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e"}

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


class BackboneError(ValueError):
    """A backbone that cannot be had or used; the message says the way out."""


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (GPT-2's kind) of at most `vocab_size` tokens, with `explore.NORMALISER` inside."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = NORMALISER
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=PAD
    )


def locate_backbone(name: str) -> tuple[str, str | None]:
    """`(folder or hub name, revision)` of a backbone: a folder (also relative to the repository root), or `owner/name[@revision]`.

    Raises:
        BackboneError: neither a folder with a config.json nor the form of a hub name.
    """
    for folder in (Path(name), ROOT / name):
        if (folder / "config.json").exists():
            return str(folder), None
    hub, _, revision = name.partition("@")
    if name.startswith(("models/", ".", "/")) or hub.count("/") != 1:
        raise BackboneError(
            f"backbone {name!r}: no folder with a config.json there, and not a hub name (owner/name)"
        )
    return hub, revision or PINNED.get(hub)


def load(loader, backbone: str, **options):
    """`loader(folder or hub name, **options)`: what a backbone's files hold.

    Raises:
        BackboneError: it cannot be had.
    """
    where, revision = locate_backbone(backbone)
    try:
        return loader(where, revision=revision, **options)
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"backbone {backbone!r} could not be loaded ({type(error).__name__}: {str(error).splitlines()[0]}). Without a hub, "
            "download the model elsewhere (config.json, model.safetensors, tokenizer.json) and give the folder's path."
        ) from error


def load_tokenizer(
    backbone: str, max_length: int, normalise: bool = False
) -> PreTrainedTokenizerFast:
    """The backbone's tokenizer with a padding token, and with truncation (and the normaliser, when asked) inside its file.

    Raises:
        BackboneError: it cannot be had.
    """
    tokenizer = load(AutoTokenizer.from_pretrained, backbone)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    if normalise:
        tokenizer.backend_tokenizer.normalizer = NORMALISER
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.enable_truncation(max_length)
    tokenizer.model_max_length = max_length
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, truncated as the tokenizer's file says, not padded."""
    tokenizer.backend_tokenizer.encode_special_tokens = True  # "<|pad|>" in a text is text
    return [
        encoding.ids or [tokenizer.pad_token_id]
        for encoding in tokenizer.backend_tokenizer.encode_batch(texts)
    ]


def pad(rows: list[list[int]], pad_token_id: int) -> torch.Tensor:
    """(n, longest) ids, padded on the right.

    With causal attention no real token sees what is on its right, so padding there needs no mask.
    """
    longest = max(map(len, rows))
    return torch.tensor([row + [pad_token_id] * (longest - len(row)) for row in rows])
