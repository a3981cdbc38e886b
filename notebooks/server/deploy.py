"""Start `gpt2news serve`, as chapter 05 and some tests do, and time its answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np


@contextmanager
def running_server(folder: Path, timeout: float = 60) -> Iterator[str]:
    """The address of `gpt2news serve`, a process of its own here while the block runs.

    Raises:
        RuntimeError: it did not answer `/ping` in `timeout` seconds; the message has its output.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "newsserve", "serve", "--model", folder, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + timeout
    try:
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                said = process.communicate()[0][-2000:]
                raise RuntimeError(f"the server did not start: {said}")
            time.sleep(0.1)
        yield address
    finally:
        process.kill()  # it would go on for a while after SIGTERM
        process.communicate(timeout=60)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ping", timeout=2).is_success
    except httpx.HTTPError:
        return False


def time_requests(address: str, texts: list[str]) -> dict[str, float]:
    """`p50_ms` and `p95_ms` of one text a request over one connection, after five to warm up."""
    spent = []
    with httpx.Client(timeout=30) as client:
        for text in [*texts[:5], *texts]:
            began = time.perf_counter()
            client.post(f"{address}/invocations", json={"text": text}).raise_for_status()
            spent.append((time.perf_counter() - began) * 1000)
    p50, p95 = np.percentile(spent[-len(texts) :], [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95)}
