"""Many clients against one server on this machine, for a bounded time: python benchmarks/load.py
[--clients 64] [--seconds 60]

One client alone, then all at once, then all at once while the server is told to stop (SIGTERM).
Loopback only. Prints throughput, p50, p95, p99, statuses; exits 1 when there is an error besides
429 or a request that was taken and not answered.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from newsserve.__main__ import SHIPPED

ROOT = Path(__file__).resolve().parents[1]


def client(
    address: str, texts: list[str], first: int, until: float, spent: list, statuses: Counter
) -> None:
    """Ask one text after the other until the time is over; note seconds and statuses."""
    with httpx.Client(timeout=60) as session:
        number = first
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                status = session.post(
                    f"{address}/invocations", json={"text": texts[number % len(texts)]}
                ).status_code
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
                return
            spent.append(time.perf_counter() - began)
            statuses[status] += 1
            if status == 429:
                time.sleep(0.2)
            number += 37


def together(
    address: str, texts: list[str], clients: int, seconds: float, stop=None
) -> tuple[Counter, list[float], float]:
    """(statuses, seconds of each answer, answers a second) of so many clients at once; `stop` is
    called in the middle."""
    spent, statuses, began = [], Counter(), time.monotonic()
    threads = [
        threading.Thread(
            target=client,
            args=(address, texts, i * 7, began + seconds, spent, statuses),
            daemon=True,
        )
        for i in range(clients)
    ]
    for thread in threads:
        thread.start()
    if stop:
        time.sleep(seconds / 2)
        stop()
    for thread in threads:
        thread.join(seconds + 90)
    return statuses, spent, statuses[200] / (time.monotonic() - began)


def line(name: str, statuses: Counter, spent: list[float], rate: float) -> str:
    p50, p95, p99 = np.percentile(spent, [50, 95, 99]) * 1000
    times = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"
    return f"{name}: {rate:.1f} answers a second, {times}, {dict(statuses)}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    args = parser.parse_args()
    if not (1 <= args.clients <= 256 and 1 <= args.seconds <= 600):
        parser.error("at most 256 clients and 600 seconds")
    with open(ROOT / "data" / "sample" / "articles.csv", encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:
        command = [
            sys.executable,
            "-m",
            "newsserve",
            "serve",
            "--model",
            str(args.model),
            "--port",
            str(port),
        ]
        server = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            for _ in range(300):
                try:
                    httpx.get(f"{address}/ping")
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            one = together(address, texts, 1, max(5, args.seconds / 6))
            print(line("1 client", *one), flush=True)
            many = together(address, texts, args.clients, args.seconds)
            print(
                line(f"{args.clients} clients", *many),
                f"({many[2] / one[2]:.1f} times one client)",
                flush=True,
            )
            last = together(
                address, texts, args.clients, 6, stop=lambda: server.send_signal(signal.SIGTERM)
            )
            code = server.wait(60)
        finally:
            server.kill()
        log.seek(0)
        answered = Counter(int(status) for status in re.findall(r"request \w+: (\d+),", log.read()))
    got = one[0] + many[0] + last[0]
    lost = answered[200] - got[200]
    print(
        f"SIGTERM in the middle: exit code {code}, clients saw {dict(last[0])}; "
        f"the server answered {answered[200]}, {lost} did not arrive"
    )
    errors = [
        status for counts in (one[0], many[0]) for status in counts if status not in (200, 429)
    ]
    return 1 if errors or lost or answered[500] else 0


if __name__ == "__main__":
    sys.exit(main())
