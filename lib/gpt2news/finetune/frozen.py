"""Training only a part of a model: the first blocks frozen and their outputs kept, or low-rank adapters beside all weights."""

from __future__ import annotations

import psutil
import torch

from gpt2news.finetune.data import Texts
from gpt2news.finetune.device import TORCH_DTYPE


def blocks_of(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The transformer blocks of a classification model, first to last."""
    layers = model.config.num_hidden_layers
    return next(
        m
        for m in model.base_model.modules()
        if isinstance(m, torch.nn.ModuleList) and len(m) == layers
    )


def freeze(model: torch.nn.Module, n: int) -> None:
    """Keep the embeddings and the first `n` blocks as they are: no gradient, and no dropout, so that all passes see the same."""
    embeddings = [m for m in model.base_model.modules() if isinstance(m, torch.nn.Embedding)]
    blocks = list(blocks_of(model)[:n])
    for module in [*embeddings, *blocks]:
        module.requires_grad_(False)
    for module in [*(m for block in blocks for m in block.modules()), *model.base_model.children()]:
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0


class _Replay(torch.nn.Module):
    """In the place of a frozen block: gives the kept states of the batch, or passes on what it gets while there are none."""

    def __init__(self, keeper: Keeper):
        super().__init__()
        self.keeper = [keeper]  # in a list: a keeper is no part of the model

    def forward(self, hidden_states: torch.Tensor, *_, **__) -> torch.Tensor:
        return hidden_states if self.keeper[0].states is None else self.keeper[0].states


def _put(blocks: torch.nn.ModuleList, start: int, modules: list[torch.nn.Module]) -> None:
    for place, module in enumerate(modules, start):
        blocks[place] = module


class Keeper:
    """Computes the frozen blocks' outputs once and stands in for these blocks until `restore`.

    Attributes:
        states: (n, tokens, width) of the batch at hand; the training loop sets it.
    """

    def __init__(self, model: torch.nn.Module, n: int):
        self.model, self.n, self.states = model, n, None
        self.frozen = list(blocks_of(model)[:n])

    def fits(self, parts: list[Texts]) -> bool:
        """Whether the outputs take less than half of the free memory."""
        tokens = sum(len(row) for texts in parts for row in texts.ids)
        return tokens * self.model.config.hidden_size * 4 < psutil.virtual_memory().available / 2

    @torch.no_grad()
    def keep(self, parts: list[Texts], dtype: str, batch_size: int = 16) -> None:
        """Fill `Texts.states` of each part, always in the same batches so that a resumed run gets the same bits."""
        blocks, device = blocks_of(self.model), next(self.model.parameters()).device
        upper = list(blocks[self.n :])
        _put(blocks, self.n, [_Replay(self) for _ in upper])
        caught = []
        hook = self.frozen[-1].register_forward_hook(lambda *call: caught.append(call[-1]))
        self.model.eval()
        for texts in parts:
            texts.states = [None] * len(texts)
            order = sorted(range(len(texts)), key=lambda i: len(texts.ids[i]))
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                ids = texts.collate(
                    [
                        {
                            "input_ids": texts.ids[i],
                            "labels": 0,
                            "rows": i,
                            "states": torch.zeros(1),
                        }
                        for i in rows
                    ]
                )
                with torch.autocast(device.type, TORCH_DTYPE[dtype], enabled=dtype != "fp32"):
                    self.model.base_model(input_ids=ids["input_ids"].to(device), use_cache=False)
                for i, states in zip(rows, caught.pop().float().cpu(), strict=True):
                    texts.states[i] = states[: len(texts.ids[i])].clone()
        hook.remove()
        _put(blocks, self.n, upper)
        _put(blocks, 0, [_Replay(self) for _ in self.frozen])

    def restore(self) -> None:
        """Put the frozen blocks back."""
        _put(blocks_of(self.model), 0, self.frozen)


def keep_outputs(model: torch.nn.Module, n: int, parts: list[Texts], dtype: str) -> Keeper | None:
    """A `Keeper` that has filled the parts' states; None where they would not fit."""
    keeper = Keeper(model, n)
    if not keeper.fits(parts):
        return None
    keeper.keep(parts, dtype)
    return keeper


def add_lora(model: torch.nn.Module, rank: int) -> torch.nn.Module:
    """Low-rank adapters beside every linear layer, and the new layer whole; the rest is frozen.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021. `merge_and_unload()` folds them into the weights.
    """
    from peft import LoraConfig, get_peft_model

    transposed = (
        model.config.model_type == "gpt2"
    )  # its linear layers keep their weights the other way round
    settings = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        fan_in_fan_out=transposed,
        modules_to_save=["score"],
    )
    return get_peft_model(model, settings)
