"""Report pages and the app in headless Chromium, with the network shut."""

import shutil
import socket
import subprocess
import sys
import time

import pytest

from gpt2news.cli import SHIPPED

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on PATH")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_report_pages(quick, browser, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    for file in sorted(quick.glob("*.html")):
        page.goto(file.as_uri())
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 1, f"{file.name} is {overflow} px wider than a window of {width} px"
        broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.alt)")
        assert not broken, f"{file.name}: {broken}"
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    assert not errors
    context.close()


@pytest.fixture(scope="module")
def app():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "gpt2news.cli", "app", "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
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


@pytest.mark.skipif(not (SHIPPED / "serving.json").exists(), reason="no shipped model in models/gpt2-mini-bbc")
def test_app_sorts_an_example(app, browser):
    page = browser.new_page()
    outside = []
    page.on(
        "request",
        lambda request: (
            outside.append(request.url) if not request.url.startswith((app, app.replace("http", "ws"), "data:", "blob:")) else None
        ),
    )
    page.goto(app)
    page.get_by_text("a cup tie", exact=True).click()
    page.get_by_role("button", name="Sort it").click()
    page.get_by_text("tokens in").wait_for(timeout=20_000)
    assert page.get_by_text("sport:").is_visible()
    assert not outside
    page.close()
