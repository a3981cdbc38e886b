"""Chromium, axe-core and a running app, shared by all browser tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from running import from_npm

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = "axe-core@4.14.1"
SMALL = """[...document.querySelectorAll("body *")].filter(e =>
  !e.matches("script, style, option") && parseFloat(getComputedStyle(e).fontSize) < 11.95 &&
  [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim())
).map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome on PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe(request):
    """`axe(page)`: what axe-core has against a page, one line a finding. Fetched from npm once,
    into pytest's cache."""
    source = (from_npm(request, AXE) / "axe.min.js").read_text(encoding="utf-8")

    def findings(page) -> list[str]:
        page.evaluate(source)
        found = page.evaluate("axe.run()")
        assert found["passes"], "axe-core looked at nothing"
        return [
            f"{each['id']} ({each['impact']}): {node['html'][:200]}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return findings


@pytest.fixture(scope="session")
def small():
    """`small(page)`: elements whose own letters are under 12 pixels."""
    return lambda page: page.evaluate(SMALL)


@contextmanager
def _serving(*arguments: str, **environment: str):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "newsserve", *arguments, "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (
                    f"gpt2news {arguments[0]} ended with {process.returncode}"
                )
                assert time.monotonic() < deadline, (
                    f"gpt2news {arguments[0]} did not start in a minute"
                )
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def serving():
    """`with serving("app", NAME="value") as url`: that command of ours on a free port of this
    machine, with these variables."""
    return _serving
