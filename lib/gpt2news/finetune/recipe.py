"""The settings of a run, in one place: command line, documentation and record follow from here."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import psutil
import torch

from gpt2news.finetune.device import device_type
from gpt2news.finetune.model import POOLINGS, BackboneError, load, read_config

DTYPES = ("auto", "fp32", "bf16", "fp16")
# What suits a backbone, by the last part of its name: a larger model wants a lower rate.
SUITS = {
    "gpt2-mini": {"learning_rate": 5e-4, "max_length": 256},
    "gpt2": {"learning_rate": 5e-5, "max_length": 512},
}
LOWEST = {"epochs": 1, "batch_size": 1, "max_length": 1, "freeze": 0, "lora": 0}
LOWEST |= {"early_stopping": 0, "micro_batch": 0, "checkpoint_steps": 0, "seed": 0}


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

    backbone: str = _of("models/gpt2-mini", "folder, or hub name such as openai-community/gpt2")
    from_scratch: bool = _of(False, "the backbone's shape with random weights")
    normalise: bool = _of(False, "lower-case and so on, in the tokenizer (for bbc-csv)")
    epochs: int = _of(4, "passes over the training texts")
    batch_size: int = _of(16, "texts a step, over all processes")
    learning_rate: float | None = _of(None, "at its peak; none: what suits the backbone")
    max_length: int | None = _of(None, "tokens read of a text; none: what suits the backbone")
    pooling: Literal[tuple(POOLINGS)] = _of("last", "what the new layer reads of a text")
    freeze: int = _of(0, "embeddings and first blocks that stay as they are; 0: none")
    lora: int = _of(0, "rank of the adapters that learn instead of the weights; 0: none")
    early_stopping: int = _of(0, "epochs without a lower validation loss, then stop; 0: never")
    gradient_checkpointing: bool = _of(False, "less memory for about a third more time")
    dtype: Literal[DTYPES] = _of("auto", "numbers of the matrix products")
    micro_batch: int = _of(0, "texts at once, their gradients summed; 0: all of a step")
    checkpoints: Path | None = _of(None, "their folder; none: beside the model")  # noqa: RUF009
    checkpoint_steps: int = _of(0, "save also every so many steps; 0: after each epoch only")
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
        for name, lowest in LOWEST.items():
            value = getattr(self, name)
            if type(value) is not int or value < lowest:
                raise ValueError(f"{name} = {value}: a whole number from {lowest} on is needed")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate = {self.learning_rate}: a number over 0 is needed")
        choose_dtype(self.dtype)
        if self.freeze and self.lora:
            raise ValueError("freeze and lora: lora keeps all weights frozen already; choose one")
        if self.from_scratch and (self.freeze or self.lora):
            partly = "freeze" if self.freeze else "lora"
            raise ValueError(f"from_scratch and {partly}: random weights that never learn")
        folder = self.checkpoint_folder(out)
        if out.is_file():
            raise ValueError(f"out: {out} is a file; a folder is needed")
        if out.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ValueError(f"checkpoints: {folder} is in the model folder; choose one beside it")
        self.texts_at_once()
        layers = load(read_config, self.backbone).num_hidden_layers
        if self.freeze > layers:
            raise BackboneError(f"freeze = {self.freeze}: {self.backbone} has {layers} blocks")

    def checkpoint_folder(self, out: Path) -> Path:
        """Where the checkpoints of a run into `out` are."""
        return Path(self.checkpoints or out.with_name(f"{out.name}-checkpoints"))

    def texts_at_once(self) -> int:
        """Texts that a process reads at once: its share of a step, or `micro_batch` of it."""
        processes = int(os.environ.get("WORLD_SIZE", 1))  # torchrun sets it
        share, left = divmod(self.batch_size, processes)
        micro = self.micro_batch or share
        if left:
            what = f"{processes} processes cannot share it evenly"
            raise ValueError(f"batch_size = {self.batch_size}: {what}")
        if share % micro:
            what = f"a process reads {share} texts a step; use a number that divides {share}"
            raise ValueError(f"micro_batch = {micro}: {what}")
        return micro


for _field in fields(Recipe):
    Recipe.__doc__ += f"        {_field.name}: {_field.metadata['help']}.\n"


def use_all_cores() -> int:
    """Let torch use every core of this process, shared out under torchrun; returns how many."""
    cores = len(psutil.Process().cpu_affinity()) if psutil.LINUX else os.cpu_count()
    cores = max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    torch.set_num_threads(cores)
    return cores


def choose_dtype(asked: str = "auto") -> str:
    """The format of the matrix products; weights and sums stay fp32.

    `auto`: bf16 on a CPU or a GPU that has it (A100, L4, H100); else fp32 on a CPU, and fp16 with
    loss scaling on a GPU.
    """
    gpu = device_type() == "cuda"
    old = gpu and torch.cuda.get_device_capability() < (8, 0)
    if asked not in DTYPES:
        raise ValueError(f"dtype {asked!r}: there are {', '.join(DTYPES)}")
    if asked == "fp16" and not gpu:
        raise ValueError("dtype fp16: this machine has no GPU; on a CPU use fp32 or bf16")
    if asked == "bf16" and old:
        card = torch.cuda.get_device_name()
        raise ValueError(f"dtype bf16: {card} does not have it; use fp16 or auto")
    if asked != "auto":
        return asked
    if not gpu:
        return "bf16" if cpu_has_bf16() else "fp32"
    return "fp16" if old else "bf16"


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bf16, where it trains about twice as fast as in fp32."""
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return device_type() == "cpu" and bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def device_line(dtype: str = "auto") -> str:
    """The device and the numbers' format; on Colab without a GPU, how to get one."""
    dtype = choose_dtype(dtype)
    scaling = " with loss scaling" if dtype == "fp16" else ""
    how = f"{dtype}{scaling}, SDPA attention"
    device = device_type()
    if device == "cuda":
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"{torch.cuda.get_device_name()} ({memory:.0f} GiB), {how}"
    name = "CPU" if device == "cpu" else device
    line = f"{name} ({platform.machine()}, {torch.get_num_threads()} threads), {how}"
    if "COLAB_RELEASE_TAG" in os.environ:
        line += "; for a GPU on Colab: Runtime > Change runtime type > T4 GPU"
    return line
