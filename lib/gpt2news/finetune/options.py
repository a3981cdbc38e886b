"""Whether the settings of a run make sense, said before anything is loaded."""

from __future__ import annotations

import math
import os
from pathlib import Path

from transformers import AutoConfig

from gpt2news.finetune import device
from gpt2news.finetune.backbone import BackboneError, load
from gpt2news.finetune.heads import POOLINGS

OVER_ZERO = ("epochs", "batch_size", "max_length")
ZERO_OR_MORE = ("freeze", "lora", "early_stopping", "micro_batch", "checkpoint_steps", "seed")


def check(settings: dict, out: Path) -> int:
    """Look at the arguments of `training.finetune`; returns the texts a process reads for one step.

    Raises:
        BackboneError: the backbone cannot be had, or has too few blocks.
        ValueError: a setting, or two together, that make no sense; the message names them.
    """
    for name in (*OVER_ZERO, *ZERO_OR_MORE):
        lowest, value = int(name in OVER_ZERO), settings[name]
        if type(value) is not int or value < lowest:
            kind = "a number over 0" if lowest else "0 or more"
            raise ValueError(
                f"{name} = {value}: {kind} is needed{'' if type(value) is int else ', without a fraction'}"
            )
    if not (math.isfinite(settings["learning_rate"]) and settings["learning_rate"] > 0):
        raise ValueError(f"learning_rate = {settings['learning_rate']}: a number over 0 is needed")
    if not (math.isfinite(settings["price_per_hour"]) and settings["price_per_hour"] >= 0):
        raise ValueError(f"price_per_hour = {settings['price_per_hour']}: 0 or more is needed")
    if settings["pooling"] not in POOLINGS:
        raise BackboneError(f"pooling {settings['pooling']!r}: there are {', '.join(POOLINGS)}")
    device.choose_dtype(settings["dtype"])
    _check_together(settings)
    folder = Path(settings["checkpoints"] or out.with_name(f"{out.name}-checkpoints"))
    for name, path in (("out", out), ("checkpoints", folder)):
        if path.exists() and not path.is_dir():
            raise ValueError(f"{name}: {path} is a file; a folder is needed")
    if folder.resolve() == out.resolve() or out.resolve() in folder.resolve().parents:
        raise ValueError(
            f"checkpoints: {folder} is in the model folder, which is replaced at the end; choose one beside it"
        )
    layers = load(AutoConfig.from_pretrained, settings["backbone"]).num_hidden_layers
    if settings["freeze"] > layers:
        raise BackboneError(
            f"freeze = {settings['freeze']}: {settings['backbone']} has {layers} blocks"
        )
    return _share(settings)


def _check_together(settings: dict) -> None:
    if settings["freeze"] and settings["lora"]:
        raise ValueError("freeze and lora: lora keeps all weights frozen already; choose one")
    if settings["from_scratch"] and (settings["freeze"] or settings["lora"]):
        raise ValueError(
            f"from_scratch and {'freeze' if settings['freeze'] else 'lora'}: random weights that never learn; choose one"
        )
    if settings["lora"] and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1"):
        raise ValueError(
            "lora and FSDP: the adapters of a sharded model cannot be folded in; use one of them"
        )
    if settings["compile"] and not device.can_compile():
        raise ValueError(
            "compile: torch.compile finds no compiler here; install g++ (on a GPU: Triton), or leave it out"
        )


def _share(settings: dict) -> int:
    together = device.processes()
    share, left = divmod(settings["batch_size"], together)
    if left:
        raise ValueError(
            f"batch_size = {settings['batch_size']}: {together} processes cannot share it evenly; use a multiple of {together}"
        )
    micro = settings["micro_batch"] or share
    if share % micro:
        raise ValueError(
            f"micro_batch = {micro}: a process reads {share} texts a step; use a number that divides {share}"
        )
    return micro
