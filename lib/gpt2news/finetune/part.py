"""Training a part of a model: the first blocks frozen, or low-rank adapters beside all weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from gpt2news.finetune.model import pad, quiet
from gpt2news.finetune.pooled import last_of, score
from gpt2news.finetune.recipe import Recipe


def blocks_of(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The transformer blocks of a classification model, first to last."""
    lists = [m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList)]
    return next(blocks for blocks in lists if len(blocks) == model.config.num_hidden_layers)


def choose(model: torch.nn.Module, recipe: Recipe) -> torch.nn.Module:
    """The model with the part that learns as `freeze` and `lora` say, and checkpointing."""
    if recipe.freeze:
        freeze(model, recipe.freeze)
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    with quiet():
        return add_lora(model, recipe.lora) if recipe.lora else model


def freeze(model: torch.nn.Module, n: int) -> None:
    """Keep the embeddings and the first `n` blocks as they are; with all blocks, the last norm too.

    Without their dropout, so that they say the same of a text in every epoch.
    """
    blocks = blocks_of(model)
    frozen = [m for m in model.base_model.modules() if isinstance(m, torch.nn.Embedding)]
    frozen += [model.base_model] if n == len(blocks) else blocks[:n]
    frozen += [m for name, m in model.base_model.named_children() if name == "embeddings"]  # BERT
    for module in frozen:
        module.requires_grad_(False)
    for module in [*model.base_model.children(), *(m for b in blocks[:n] for m in b.modules())]:
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):  # Llama and its kin
            module.attention_dropout = 0.0


def fits(model: torch.nn.Module, ids: list[list[int]]) -> bool:
    """Whether a state of every token takes less than half of the free memory.

    Not an encoder's: it does something to states that are given in, as to embeddings.
    """
    if getattr(model, "encoder", False):
        return False
    size = sum(len(row) for row in ids) * model.config.hidden_size * 4
    return size < psutil.virtual_memory().available / 2


@torch.no_grad()
def keep_states(model: torch.nn.Module, n: int, ids: list[list[int]]) -> list[torch.Tensor]:
    """What block `n` says of each text, (tokens, width), to be given in again as `inputs_embeds`.

    Less what the model adds to these by itself: GPT-2 its position embeddings, Llama nothing.
    Always in the same batches, so that a resumed run gets the same bits.
    """
    said = {}

    def remember(block, inputs, output) -> None:
        said["states"] = output

    kept, order = [None] * len(ids), sorted(range(len(ids)), key=lambda i: len(ids[i]))
    base, width = model.eval().base_model, model.config.hidden_size
    for start in range(0, len(order), 16):
        rows = order[start : start + 16]
        batch = pad([ids[i] for i in rows], model.config.pad_token_id).to(model.device)
        nothing = torch.zeros(1, batch.shape[1], width, device=model.device)
        added = base(inputs_embeds=nothing, output_hidden_states=True).hidden_states[0]
        hook = blocks_of(model)[n - 1].register_forward_hook(remember)
        base(input_ids=batch)
        hook.remove()
        for i, states in zip(rows, (said["states"] - added).float().cpu(), strict=True):
            kept[i] = states[: len(ids[i])].clone()
    return kept


class UpperBlocks(torch.nn.Module):
    """A model without its first blocks, which reads what these have said."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids, states, **_) -> SequenceClassifierOutput:
        """(n, tokens) ids and (n, tokens, width) kept states -> (n, topics) logits."""
        upper = self.model.base_model(inputs_embeds=states).last_hidden_state
        return score(self.model, upper, last_of(self.model, input_ids))


@contextmanager
def upper_blocks(model: torch.nn.Module, n: int) -> Iterator[UpperBlocks]:
    """`UpperBlocks` of a model; its first `n` blocks come back at the end."""
    blocks = blocks_of(model)
    lower = list(blocks[:n])
    del blocks[:n]
    try:
        yield UpperBlocks(model)
    finally:
        for place, block in enumerate(lower):
            blocks.insert(place, block)


def add_lora(model: torch.nn.Module, rank: int) -> torch.nn.Module:
    """Low-rank adapters beside every linear layer, and the new layer whole; the rest is frozen.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
    """
    from peft import LoraConfig, get_peft_model

    transposed = model.config.model_type == "gpt2"  # its linear layers are the other way round
    places = {"target_modules": "all-linear", "modules_to_save": ["score"]}
    size = {"r": rank, "lora_alpha": 2 * rank, "fan_in_fan_out": transposed}
    return get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **size, **places))
