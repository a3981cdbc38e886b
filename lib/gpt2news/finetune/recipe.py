"""The settings of a run, in one place: command line, documentation and record follow from here."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import torch
from transformers import AutoConfig

from gpt2news.finetune.model import POOLINGS, BackboneError, load

DTYPES = ("auto", "fp32", "bf16", "fp16")
# What suits a backbone, by the last part of its name: a larger model wants a lower rate.
SUITS = {
    "gpt2-mini": {"learning_rate": 5e-4, "max_length": 256},
    "gpt2": {"learning_rate": 5e-5, "max_length": 512},
    "SmolLM2-135M": {"learning_rate": 5e-5, "max_length": 512},
}
OVER_ZERO = ("epochs", "batch_size", "max_length", "learning_rate")
ZERO_OR_MORE = ("freeze", "lora", "early_stopping", "micro_batch", "checkpoint_steps", "seed")


def suits(backbone: str) -> dict[str, float]:
    """`learning_rate` and `max_length` that suit a backbone; GPT-2's where it is not known."""
    return SUITS.get(Path(backbone.partition("@")[0]).name, SUITS["gpt2"])


def _of(default, text: str):
    return field(default=default, metadata={"help": text})


@dataclass
class Recipe:
    """How to fine-tune.

    Attributes:
    """

    backbone: str = _of("models/gpt2-mini", "a folder, or a name such as openai-community/gpt2")
    from_scratch: bool = _of(False, "the backbone's shape with random weights")
    normalise: bool = _of(False, "lower-case and so on, in the tokenizer (for bbc-csv)")
    epochs: int = _of(4, "passes over the training texts")
    batch_size: int = _of(16, "texts a step, over all processes")
    learning_rate: float | None = _of(None, "at its peak; none: what suits the backbone")
    max_length: int | None = _of(None, "tokens read of a text; none: what suits the backbone")
    pooling: Literal[tuple(POOLINGS)] = _of("last", "what the new layer reads of a text")
    freeze: int = _of(0, "keep the embeddings and so many of the first blocks as they are")
    lora: int = _of(0, "rank of low-rank adapters that learn instead of the weights; 0: none")
    early_stopping: int = _of(0, "stop after so many epochs without a lower validation loss")
    gradient_checkpointing: bool = _of(False, "less memory for about a third more time")
    compile: bool = _of(False, "torch.compile: pays in runs of many minutes")
    dtype: Literal[DTYPES] = _of("auto", "numbers of the matrix products")
    micro_batch: int = _of(0, "texts at once a process, gradients summed; 0: all that fit")
    checkpoints: Path | None = _of(None, "folder of the checkpoints; none: beside the model")  # noqa: RUF009
    checkpoint_steps: int = _of(0, "save also every so many steps; 0: only after each epoch")
    seed: int = _of(0, "of weights, order and dropout")

    def __post_init__(self):
        for name, value in suits(self.backbone).items():
            if getattr(self, name) is None:
                setattr(self, name, value)

    def check(self, out: Path) -> None:
        """Say what makes no sense before anything is loaded.

        Raises:
            ValueError: a setting, or two together; a BackboneError where it is the backbone.
        """
        for name in OVER_ZERO + ZERO_OR_MORE:
            self._check_number(name)
        if self.pooling not in POOLINGS:
            raise BackboneError(f"pooling {self.pooling!r}: there are {', '.join(POOLINGS)}")
        choose_dtype(self.dtype)
        partly = "freeze" if self.freeze else "lora"
        if self.freeze and self.lora:
            raise ValueError("freeze and lora: lora keeps all weights frozen already; choose one")
        if self.from_scratch and (self.freeze or self.lora):
            raise ValueError(f"from_scratch and {partly}: random weights that never learn")
        if self.lora and os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("true", "1"):
            raise ValueError("lora and FSDP: adapters of a sharded model cannot be folded in")
        folder = self.checkpoint_folder(out)
        for name, path in (("out", out), ("checkpoints", folder)):
            if path.exists() and not path.is_dir():
                raise ValueError(f"{name}: {path} is a file; a folder is needed")
        if out.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ValueError(f"checkpoints: {folder} is in the model folder; choose one beside it")
        self.share()
        layers = load(AutoConfig.from_pretrained, self.backbone).num_hidden_layers
        if self.freeze > layers:
            raise BackboneError(f"freeze = {self.freeze}: {self.backbone} has {layers} blocks")

    def _check_number(self, name: str) -> None:
        value, kinds = getattr(self, name), (int,)
        if name == "learning_rate":
            kinds = (int, float)
        if type(value) not in kinds:
            raise ValueError(f"{name} = {value}: a number without a fraction is needed")
        if name in ZERO_OR_MORE and value < 0:
            raise ValueError(f"{name} = {value}: 0 or more is needed")
        if name in OVER_ZERO and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} = {value}: a number over 0 is needed")

    def checkpoint_folder(self, out: Path) -> Path:
        """Where the checkpoints of a run into `out` are."""
        return Path(self.checkpoints or out.with_name(f"{out.name}-checkpoints"))

    def share(self) -> int:
        """Texts that a process reads at once, if its memory is large enough."""
        processes = int(os.environ.get("WORLD_SIZE", 1))  # torchrun sets it
        share, left = divmod(self.batch_size, processes)
        if left:
            raise ValueError(
                f"batch_size = {self.batch_size}: {processes} processes cannot share it evenly"
            )
        if self.micro_batch and share % self.micro_batch:
            raise ValueError(
                f"micro_batch = {self.micro_batch}: a process reads {share} texts a step; "
                f"use a number that divides {share}"
            )
        return self.micro_batch or share


for _field in fields(Recipe):
    Recipe.__doc__ += f"        {_field.name}: {_field.metadata['help']}.\n"


def use_all_cores() -> int:
    """Let torch use every core of this process, shared out under torchrun; returns how many."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on a Mac
        cores = len(os.sched_getaffinity(0))
    cores = max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    torch.set_num_threads(cores)
    return cores


def choose_dtype(asked: str = "auto") -> str:
    """The format of the matrix products; weights and sums stay fp32.

    `auto`: fp32 on a CPU, bf16 on a GPU that has it (A100, L4, H100), else fp16 with loss scaling.
    """
    gpu = torch.cuda.is_available()
    if asked not in DTYPES:
        raise ValueError(f"dtype {asked!r}: there are {', '.join(DTYPES)}")
    if asked == "fp16" and not gpu:
        raise ValueError("dtype fp16: this machine has no GPU; on a CPU use fp32 or bf16")
    has_bf16 = not gpu or torch.cuda.get_device_capability()[0] >= 8
    if asked == "bf16" and not has_bf16:
        card = torch.cuda.get_device_name()
        raise ValueError(f"dtype bf16: {card} does not have it; use fp16 or auto")
    if asked != "auto":
        return asked
    if not gpu:
        return "fp32"
    return "bf16" if has_bf16 else "fp16"


def device_line(dtype: str = "auto") -> str:
    """The device and the numbers' format; on Colab without a GPU, how to get one."""
    how = f"{choose_dtype(dtype)}, SDPA attention"
    how = how.replace("fp16,", "fp16 with loss scaling,")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"{torch.cuda.get_device_name()} ({memory:.0f} GiB), {how}"
    line = f"CPU ({platform.machine()}, {torch.get_num_threads()} threads), {how}"
    if "COLAB_RELEASE_TAG" in os.environ:
        line += "; for a GPU on Colab: Runtime > Change runtime type > T4 GPU"
    return line
