"""Tokenizer and model, held against each other; also run before a report begins."""

from __future__ import annotations

import sys

import torch
from transformers import PreTrainedTokenizerFast

from gpt2news.finetune.model import BackboneError, load_model, load_tokenizer
from gpt2news.finetune.recipe import Recipe


def prepare(recipe: Recipe, topics: list[str]) -> tuple[PreTrainedTokenizerFast, torch.nn.Module]:
    """What a run starts from; else a BackboneError."""
    tokenizer = load_tokenizer(recipe.backbone, recipe.max_length, recipe.normalise)
    shape = (tokenizer.pad_token_id, recipe.max_length, recipe.from_scratch, recipe.pooling)
    model = load_model(recipe.backbone, topics, *shape)
    highest, rows = max(tokenizer.get_vocab().values()), model.get_input_embeddings().num_embeddings
    if highest >= rows:
        given = f"backbone {recipe.backbone!r}: token ids up to {highest}, embeddings of {rows}"
        raise BackboneError(f"{given}; model.resize_token_embeddings(len(tokenizer)), save both")
    return tokenizer, model


if __name__ == "__main__":
    prepare(Recipe(sys.argv[1], max_length=int(sys.argv[2]) or None), ["one", "other"])
