"""The web app asks an endpoint through boto3: here our own server, with no model of its own to fall back on."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest

from gpt2news.cli import SHIPPED
from gpt2news.deployment import running_server

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on PATH"),
    pytest.mark.skipif(not (SHIPPED / "serving.json").exists(), reason="no shipped model in models/gpt2-mini-bbc"),
]
TEXT = "The striker scored twice as the home side won the cup final in front of a full stadium on Saturday night."


@pytest.fixture
def app(outside, monkeypatch, tmp_path):
    """The app's address; it knows the endpoint `news`, which is `gpt2news serve` on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running_server(SHIPPED) as address:
        environment = {**os.environ, "GPT2NEWS_ENDPOINT": "news", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address}
        command = [sys.executable, "-m", "gpt2news.cli", "app", "--port", str(port), "--model", str(tmp_path / "no-model")]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()[0].decode()
                assert time.monotonic() < deadline, "the app did not start in a minute"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(30)


def test_the_app_asks_the_endpoint(app):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.goto(app)
        page.get_by_label("Article").fill(TEXT)
        page.get_by_role("button", name="Classify", exact=True).click()
        page.get_by_text(re.compile("read in .* ms")).wait_for(timeout=60_000)
        said = page.locator("body").inner_text()
        assert re.search(r"\bsport\b", said, re.IGNORECASE)
        assert "endpoint news" in said
        assert "testing" not in said, "the keys are not shown"
        browser.close()
