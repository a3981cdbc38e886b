"""What this machine trains on: its device, the numbers' format, the threads, and how many texts fit at once."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

DTYPES = ("auto", "fp32", "bf16", "fp16")
TORCH_DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class MemoryTooSmallError(ValueError):
    """Not even one text fits; the message says what makes a step smaller."""


def processes() -> int:
    """How many processes train together (torchrun sets it)."""
    return int(os.environ.get("WORLD_SIZE", 1))


def use_all_cores() -> int:
    """Let torch use every core that this process may run on, shared fairly under torchrun; returns how many."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    cores = max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    torch.set_num_threads(cores)
    return cores


def choose_dtype(asked: str = "auto") -> str:
    """The numbers' format for the matrix products; weights and sums stay fp32.

    `auto`: bf16 on a GPU that has it (compute capability 8.0 and up: A100, L4, H100), else fp16 with loss scaling (T4); fp32 on a CPU.

    Raises:
        ValueError: a format that does not exist, or that this machine does not have.
    """
    if asked not in DTYPES:
        raise ValueError(f"dtype {asked!r}: there are {', '.join(DTYPES)}")
    gpu = torch.cuda.is_available()
    has_bf16 = not gpu or torch.cuda.get_device_capability()[0] >= 8
    if asked == "auto":
        return ("bf16" if has_bf16 else "fp16") if gpu else "fp32"
    if asked == "fp16" and not gpu:
        raise ValueError("dtype fp16: this machine has no GPU; on a CPU use fp32 or bf16")
    if asked == "bf16" and not has_bf16:
        raise ValueError(
            f"dtype bf16: {torch.cuda.get_device_name()} does not have it; use fp16 or auto"
        )
    return asked


def device_line(dtype: str = "auto") -> str:
    """The device that will be used and the numbers' format, in one line; says how to get a GPU on Colab when there is none."""
    how = f"{choose_dtype(dtype)}{' with loss scaling' if choose_dtype(dtype) == 'fp16' else ''}, SDPA attention"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} ({torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB), {how}"
    hint = (
        "; for a GPU on Colab: Runtime > Change runtime type > T4 GPU"
        if "COLAB_RELEASE_TAG" in os.environ
        else ""
    )
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads), {how}{hint}"


def can_compile() -> bool:
    """Whether `torch.compile` finds what it needs: Triton on a GPU, a C++ compiler on a CPU."""
    if torch.cuda.is_available():
        return torch.utils._triton.has_triton()
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))


def fit_batch(share: int, attempt: Callable[[int], None]) -> int:
    """The largest number of texts that divides `share` and for which `attempt(texts)` does not run out of memory.

    A divisor, so that gradients summed over `share / texts` turns make the same step as all texts at once.

    Raises:
        MemoryTooSmallError: not even one.
    """
    for size in (share // turns for turns in range(1, share + 1) if share % turns == 0):
        try:
            attempt(size)
            return size
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
        clear_device_cache(garbage_collection=True)
    raise MemoryTooSmallError(
        "out of memory with one text a turn: a shorter max_length, gradient_checkpointing, lora or freeze take less; or a smaller backbone"
    )


def try_step(model: torch.nn.Module, max_length: int, dtype: str) -> Callable[[int], None]:
    """An `attempt` for `fit_batch`: one step with full-length texts, with room for what the optimiser will keep."""
    device = next(model.parameters()).device

    def attempt(texts: int) -> None:
        ids = torch.ones(texts, max_length, dtype=torch.long, device=device)
        labels = torch.zeros(texts, dtype=torch.long, device=device)
        # AdamW keeps two moments a trained weight
        moments = [
            torch.empty_like(p) for p in model.parameters() if p.requires_grad for _ in range(2)
        ]
        try:
            with torch.autocast(device.type, TORCH_DTYPE[dtype], enabled=dtype != "fp32"):
                model.train()(input_ids=ids, labels=labels).loss.backward()
        finally:
            model.zero_grad(set_to_none=True)
            moments.clear()

    return attempt
