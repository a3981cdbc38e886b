"""The device of a run: a GPU that is there must also work."""

from __future__ import annotations

import os
from pathlib import Path

import torch

ON_PURPOSE = os.environ.get("GPT2NEWS_DEVICE") == "cpu"
if ON_PURPOSE:  # hidden from the notebooks' own cells, too
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
LISTED = Path("/proc/driver/nvidia/gpus")  # by the driver
WAYS_OUT = (
    "Take Kaggle's T4 x2, a newer driver, or an older torch; or the CPU on purpose, by "
    "GPT2NEWS_DEVICE=cpu in the environment. README.md has the versions"
)


def device_type() -> str:
    """cuda, mps (the GPU of an Apple chip) or cpu; ValueError for a GPU that does not work."""
    hidden = ON_PURPOSE or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    for kind, library in {"cuda": torch.cuda, "mps": torch.backends.mps}.items():
        if library.is_available() and not ON_PURPOSE:
            why = kernel_error(kind)
            break
    else:
        # A torch without CUDA is the CPU on purpose: for Windows, PyPI has no other.
        if hidden or not torch.version.cuda or not LISTED.is_dir():
            return "cpu"
        kind, why = "cuda", "it sees none"
    if why:
        raise ValueError(f"GPU ({kind}): torch {torch.__version__} fails ({why}). {WAYS_OUT}")
    return kind


def kernel_error(kind: str) -> str:
    """What one small kernel says: `is_available` is true of a card too old for this torch."""
    try:
        torch.ones(2, 2, device=kind).sum().item()
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]
    return ""
