"""Report pages in headless Chromium, with the network shut."""

import pytest


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_report_pages(browser, axe, quick, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    for file in sorted(quick.glob("*.html")):
        page.goto(file.as_uri())
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 1, f"{file.name} is {overflow} px wider than a window of {width} px"
        broken = page.evaluate(
            "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.alt)"
        )
        assert not broken, f"{file.name}: {broken}"
        if width == 1280:
            assert axe(page) == [], file.name
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    assert not errors
    context.close()


def test_nothing_is_cut_on_paper(browser, quick):
    page = browser.new_page(
        viewport={"width": 717, "height": 1000}
    )  # A4 at 96 dots an inch, less the margins
    page.emulate_media(media="print")
    for file in sorted(quick.glob("*.html")):
        page.goto(file.as_uri())
        cut = "e => getComputedStyle(e).display !== 'none' && e.getBoundingClientRect().right > innerWidth + 1"
        wide = page.evaluate(
            f"[...document.querySelectorAll('table, img, pre')].filter({cut}).map(e => e.outerHTML.slice(0, 200))"
        )
        assert wide == [], file.name
    page.close()
