"""What this machine trains on."""

from __future__ import annotations

import os
import platform

import torch


def use_all_cores() -> int:
    """Let torch use every core that this process may run on; returns how many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cores)
    return cores


def device_line() -> str:
    """The device that will be used, in one line; says how to get a GPU on Colab when there is none."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} ({torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB)"
    hint = "; on Colab: Runtime > Change runtime type > T4 GPU" if "COLAB_RELEASE_TAG" in os.environ else ""
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads){hint}"
