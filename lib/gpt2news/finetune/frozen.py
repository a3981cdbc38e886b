"""Training only the upper part of a model: the embeddings and the first blocks stay as they are."""

from __future__ import annotations

import torch


def blocks_of(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The transformer blocks of a classification model, first to last."""
    layers = model.config.num_hidden_layers
    return next(m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == layers)


def freeze(model: torch.nn.Module, n: int) -> None:
    """Keep the embeddings and the first `n` blocks as they are: no gradient, and no dropout, so that all passes see the same."""
    embeddings = [m for m in model.base_model.modules() if isinstance(m, torch.nn.Embedding)]
    blocks = list(blocks_of(model)[:n])
    for module in [*embeddings, *blocks]:
        module.requires_grad_(False)
    silenced = [m for block in blocks for m in block.modules()] + [m for m in model.base_model.children()]
    for module in silenced:
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
