"""The pages of a report in headless Chromium, with the network shut."""

import json
import re
from io import BytesIO

import nbformat
import pytest
from PIL import Image

import website
from gpt2news.run import CHAPTERS, Run
from newsreport import pages

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BROKEN = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.alt)"


@pytest.fixture
def visit(browser):
    """`visit(file, **context)`: the page of a file, which may ask for nothing and log no error."""
    opened, asked, errors = [], [], []

    def go(file, errors_expected=False, **context):
        page = browser.new_page(**context)
        page.on("request", lambda request: asked.append(request.url))
        told = [] if errors_expected else errors
        page.on("console", lambda line: told.append(line.text) if line.type == "error" else None)
        page.goto(file.as_uri())
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.close()
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    assert not errors


@pytest.fixture
def runs(tmp_path):
    """A page that lists three runs, scores 0.9, 0.7, 0.8 from new to old."""
    names = ("a-run-with-a-rather-long-name", "b", "c")
    for place, (name, value) in enumerate(zip(names, (0.9, 0.7, 0.8), strict=True)):
        folder = tmp_path / name
        folder.mkdir()
        accuracy = {"value": value, "low": value - 0.1, "high": value + 0.1}
        metrics = {
            "dataset": {"name": "x.csv"},
            "split": {"test": 10},
            "test": {"accuracy": accuracy},
            "baseline": {"accuracy": accuracy},
        }
        record = {"started": f"2026-01-0{9 - place}", "chapters": {"01": {"status": "done"}}}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "run.json").write_text(json.dumps(record))
    return pages.write_list(tmp_path)


@pytest.fixture
def front(quick, tmp_path):
    """The page in front of a published site, with a ladder and a demo."""
    metrics = {**pages.NO_RESULTS, **json.loads((quick / "metrics.json").read_text())}
    score = {"value": 0.972, "low": 0.961, "high": 0.983}
    rung = {
        "rung": "a rung with a rather long name, fine-tuned",
        "accuracy": "0.972",
        "score": score,
    }
    ladder = {"corpora": {"bbc": [rung, {**rung, "score": None}]}, "conclusion": ["A sentence."]}
    run = {"name": "quick", "m": metrics, "demo": 10_000_000}
    file = tmp_path / "front.html"
    file.write_text(website.front([run], ladder), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits_and_can_be_used_by_all(
    visit, axe, small, quick, runs, front, scheme, width
):
    for file in [*sorted(quick.glob("*.html")), runs, front]:
        page = visit(file, color_scheme=scheme, viewport={"width": width, "height": 900})
        over = page.evaluate(OVERFLOW)
        assert over <= 1, f"{file.name} is {over} px wider than a window of {width} px"
        broken = page.evaluate(BROKEN)
        assert not broken, f"{file.name}: {broken}"
        tiny = small(page)
        assert not tiny, f"{file.name}, under 12 px: {tiny}"
        page.close()
        if width == 1280 or file in (runs, front):
            # axe-core comes as a string, which the page's own policy would refuse.
            size = {"width": width, "height": 900}
            page = visit(file, color_scheme=scheme, viewport=size, bypass_csp=True)
            assert axe(page) == [], file.name
            page.close()


def test_nothing_is_cut_on_paper(visit, quick):
    shown = "getComputedStyle(e).display !== 'none'"
    cut = f"e => {shown} && e.getBoundingClientRect().right > innerWidth + 1"
    found = "[...document.querySelectorAll('table, img, pre')]"
    for file in sorted(quick.glob("*.html")):
        # A4 at 96 dots an inch, less the margins
        page = visit(file, viewport={"width": 717, "height": 1000})
        page.emulate_media(media="print")
        wide = page.evaluate(f"{found}.filter({cut}).map(e => e.outerHTML.slice(0, 200))")
        assert wide == [], file.name


def test_a_reader_meets_no_stub_and_no_empty_fold(quick, runs, front):
    built = [*quick.glob("*.html"), runs, front]
    assert {"index", *CHAPTERS} <= {file.stem for file in built}
    for file in built:
        text = file.read_text(encoding="utf-8")
        for stub in ("No answer yet", "Not measured", "answer = None", "Code: unnamed", "Code: <"):
            assert stub not in text, f"{file.name}: {stub}"
        assert file.stem not in CHAPTERS or "What we learned" in text, file.name
        assert not re.search(r'<div class="output(?:_area|_wrapper)?">\s*</div>', text), file.name


def test_no_letter_of_a_figure_is_under_12_pixels_on_a_phone(visit, quick):
    """`least` is the width at which the smallest letters have 12 pixels: show.show measures it."""
    images = "[...document.querySelectorAll('figure.picture img')].map(i => [i.alt, i.clientWidth])"
    figures = "[...document.querySelectorAll('figure.picture')]"
    for file in sorted(quick.glob("0*.html")):
        notebook = nbformat.read(quick / "notebooks" / f"{file.stem}.ipynb", as_version=4)
        outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
        drawn = [o.metadata["image/png"] for o in outputs if "image/png" in o.get("data", {})]
        least = {about["alt"]: about["least"] for about in drawn}
        page = visit(file, viewport={"width": 390, "height": 900})
        for alt, width in page.evaluate(images):
            assert width >= least[alt] - 1, (file.name, alt)
        page.set_viewport_size({"width": 1200, "height": 900})
        wider = page.evaluate(f"{figures}.filter(f => f.scrollWidth > f.clientWidth + 1).length")
        assert wider == 0, f"{file.name}: {wider} figures scroll at 1200 px"


def test_figures_are_no_white_slabs_in_the_dark(visit, quick):
    page = visit(quick / "01_explore.html", color_scheme="dark")
    image = page.locator("figure.picture img").first
    assert image.evaluate("i => getComputedStyle(i).filter").startswith("invert(1)")
    png = Image.open(BytesIO(image.screenshot())).convert("RGB")
    paper = Image.open(BytesIO(page.screenshot())).convert("RGB").getpixel((2, 2))
    corner = png.getpixel((3, 3))
    assert max(abs(a - b) for a, b in zip(corner, paper, strict=True)) <= 8, (corner, paper)


MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def test_markup_on_a_page_runs_nothing_and_loads_nothing(visit, tmp_path, monkeypatch):
    """Labels are made safe where they are shown; should one be forgotten, the policy holds."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("hostile")
    cells = [nbformat.v4.new_markdown_cell(f"# {MARKUP}"), nbformat.v4.new_code_cell("x = 1")]
    shown = {"text/html": MARKUP, "text/markdown": MARKUP}
    cells[1].outputs = [nbformat.v4.new_output("display_data", data=shown)]
    pages.render_chapter(run, "02_split", nbformat.v4.new_notebook(cells=cells))
    page = visit(run.path("02_split.html"), errors_expected=True)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.reload()
    page.wait_for_timeout(300)


def first_column(page) -> list[str]:
    return page.locator("tbody tr > :first-child").all_inner_texts()


def test_a_table_is_sorted_by_a_click_and_by_keyboard(runs, visit):
    page = visit(runs)
    long = "a-run-with-a-rather-long-name"
    assert first_column(page) == [long, "b", "c"]
    page.get_by_role("button", name="test accuracy").click()
    assert first_column(page) == ["b", "c", long]
    head = page.get_by_role("columnheader", name="test accuracy")
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert first_column(page) == [long, "c", "b"]
    page.get_by_role("button", name="run", exact=True).click()
    assert first_column(page) == [long, "b", "c"]


def test_without_javascript_all_is_there(runs, visit):
    page = visit(runs, java_script_enabled=False)
    assert first_column(page)[1:] == ["b", "c"]
    assert page.get_by_role("button").count() == 0
