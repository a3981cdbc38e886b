"""What the endpoint bears: attackers beside honest clients, and SIGTERM under keep-alive clients.

    python benchmarks/attack.py flood --seconds 60      needs haproxy (apt-get install haproxy)
    python benchmarks/attack.py drain --times 10

`flood` starts `gpt2news serve` with 1,024 file descriptors behind deploy/haproxy.cfg; `--bare`
without. It counts the honest requests that were lost, and prints the slowest `/ping`, the peak
memory of both processes and the size of their log. `drain` counts the requests that got no reply,
but for those on a connection whose last reply had said `Connection: close`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "gpt2-mini-bbc"
TEXT = "The striker scored twice in the final minutes of the match, and the bank paid for it. " * 20
HALF_SENT, HONEST, LARGE = 1200, 32, 1_900_000
HOST = "127.0.0.1"


def post(body: bytes, kind: str = "application/json") -> bytes:
    """A whole request."""
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
ONE = post(json.dumps({"text": TEXT}).encode())


class Client:
    """One connection at a time, opened again when it is closed."""

    def __init__(self, port: int):
        self.port, self.streams, self.told = port, None, False

    async def ask(self, request: bytes, patience: float = 60) -> int:
        """The status of the reply; raises OSError or TimeoutError when there is none."""
        return await asyncio.wait_for(self._ask(request), patience)

    async def _ask(self, request: bytes) -> int:
        if self.streams is None:
            self.streams, self.told = await asyncio.open_connection(HOST, self.port), False
        reader, writer = self.streams
        try:
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(str(error)) from error
        self.told = "connection: close" in head
        if self.told:
            self.close()
        return int(head.split()[1])

    def close(self) -> None:
        """Forget the connection."""
        if self.streams:
            self.streams[1].close()
        self.streams = None


async def again(until: float, pause: float, what) -> None:
    """An attacker: the same until the end, whatever comes of it."""
    while time.monotonic() < until:
        with suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError):
            await what()
        await asyncio.sleep(pause)


def attackers(port: int, until: float) -> list:
    """Half-sent requests, large texts, tiny rows, long lists, slow bodies, clients that hang up."""

    async def half_sent() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Le")
        try:
            await asyncio.wait_for(reader.read(), max(0.1, until - time.monotonic()))
        finally:
            writer.close()

    async def slow() -> None:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(post(b"x" * LARGE)[:100_000])
        for _ in range(60):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(1)
        writer.close()

    async def hang_up() -> None:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(ONE)
        await writer.drain()
        writer.transport.abort()

    digits = post(json.dumps({"text": "7" * LARGE}).encode())
    spaces = post(json.dumps({"text": " " * LARGE}).encode())
    blank = post(b'{"text": "x"}' + b"\n" * 60_000 + b"x")
    rows = post(json.dumps([""] * (LARGE // 4)).encode())
    lines = post(b'""\n' * (LARGE // 3), "application/jsonlines")
    many = post(json.dumps([TEXT] * 256).encode())
    work = [again(until, 1, half_sent) for _ in range(HALF_SENT)]
    work += [again(until, 0, slow) for _ in range(8)] + [again(until, 0.1, hang_up)]
    for request in (digits, spaces, blank, rows, lines, many):
        work += [again(until, 0.2, lambda r=request: Client(port).ask(r)) for _ in range(3)]
    return work


async def honest(port: int, until: float, seen: Counter, slowest: list[float]) -> None:
    """One client: a text, a pause, the next; each status counts, and so does each lost reply."""
    client = Client(port)
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            seen[await client.ask(ONE)] += 1
        except (OSError, asyncio.TimeoutError) as error:
            client.close()
            seen[type(error).__name__] += 1
        slowest.append(time.monotonic() - began)
        await asyncio.sleep(0.5)


async def pings(port: int, until: float, slowest: list[float]) -> None:
    """A health check five times a second, on a connection of its own each time."""
    while time.monotonic() < until:
        client, began = Client(port), time.monotonic()
        try:
            good = await client.ask(PING) == 200
        except (OSError, asyncio.TimeoutError):
            good = False
        client.close()
        slowest.append(time.monotonic() - began if good else 60.0)
        await asyncio.sleep(0.2)


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@contextmanager
def running(command: list, port: int, log: Path, files: int | None = None, **variables):
    """A process that listens on `port`, ended at the end."""

    def limit() -> None:
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with open(log, "wb") as sink:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=sink,
            stderr=sink,
            preexec_fn=limit,
            env=os.environ | variables,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((HOST, port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def server(port: int, log: Path, **options):
    """`gpt2news serve`."""
    command = [sys.executable, "-m", "newsserve", "serve", "--model", MODEL, "--port", port]
    path = f"{ROOT / 'lib'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return running(command, port, log, PYTHONPATH=path, **options)


def peak(process: subprocess.Popen) -> float:
    """The most memory that a process has had, in MB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no VmHWM")


def flood(seconds: float, bare: bool = False) -> dict:
    """What attackers and honest clients saw; see the module."""
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / "server", Path(folder) / "proxy"]
        inner, outer = free_port(), free_port()
        with server(inner, logs[0], files=1024) as process:
            if bare:
                found = asyncio.run(_flood(inner, seconds))
                found |= {"peak_mb": peak(process), "log_bytes": logs[0].stat().st_size}
                return found
            names = {"NEWS_BIND": f"{HOST}:{outer}", "NEWS_SERVER": f"{HOST}:{inner}"}
            command = ["haproxy", "-db", "-f", ROOT / "deploy" / "haproxy.cfg"]
            with running(command, outer, logs[1], **names) as proxy:
                found = asyncio.run(_flood(outer, seconds))
                found |= {"peak_mb": round(peak(process)), "proxy_peak_mb": round(peak(proxy))}
                found["log_bytes"] = [log.stat().st_size for log in logs]
                return found


def besiege(port: int, seconds: float) -> None:
    """All attackers, in a process of their own: what they cost is not the honest ones' time."""

    async def all_of_them() -> None:
        await asyncio.wait(map(asyncio.create_task, attackers(port, time.monotonic() + seconds)))

    asyncio.run(all_of_them())


async def _flood(port: int, seconds: float) -> dict:
    enemy = multiprocessing.Process(target=besiege, args=(port, seconds), daemon=True)
    enemy.start()
    try:
        return await _watched(port, seconds)
    finally:
        enemy.kill()
        enemy.join()


async def _watched(port: int, seconds: float) -> dict:
    until, seen = time.monotonic() + seconds, Counter()
    waits, checks = [], []
    work = [honest(port, until, seen, waits) for _ in range(HONEST)]
    await asyncio.gather(*work, pings(port, until, checks))
    return {
        "honest": dict(seen),
        "lost": sum(n for status, n in seen.items() if status != 200),
        "slowest_s": round(max(waits), 2),
        "pings": len(checks),
        "slowest_ping_s": round(max(checks), 2),
    }


def drain(clients: int = 64) -> dict:
    """SIGTERM while keep-alive clients ask without end; see the module."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with server(port, Path(folder) / "log") as process:
            found = asyncio.run(_drain(port, process, clients))
            found["exit"] = process.wait(30)
            return found


async def _drain(port: int, process: subprocess.Popen, clients: int) -> dict:
    seen, done = Counter(), asyncio.Event()

    async def ask() -> None:
        client = Client(port)
        while not client.told:  # the next one would be the client's own fault
            try:
                seen[await client.ask(ONE)] += 1
            except (OSError, asyncio.TimeoutError):
                seen["lost"] += 1
                return
            await asyncio.sleep(0.05)

    async def ready() -> None:
        """What a load balancer sees: readiness fails while requests are still answered."""
        while not done.is_set():
            client = Client(port)
            try:
                seen[f"ping {await client.ask(PING)}"] += 1
            except (OSError, asyncio.TimeoutError):
                return
            client.close()
            await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(ask()) for _ in range(clients)]
    watch = asyncio.create_task(ready())
    await asyncio.sleep(2)
    process.send_signal(signal.SIGTERM)
    await asyncio.gather(*tasks)
    done.set()
    await watch
    return dict(seen)


def main() -> int:
    """Print what was seen; 1 when an honest request was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["flood", "drain"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--bare", action="store_true", help="no proxy in front")
    args = parser.parse_args()
    if args.what == "flood":
        found = [flood(args.seconds, args.bare)]
    else:
        found = [drain() for _ in range(args.times)]
    for one in found:
        print(json.dumps(one), flush=True)
    return int(any(one.get("lost", 0) for one in found))


if __name__ == "__main__":
    sys.exit(main())
