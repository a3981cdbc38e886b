"""The app in headless Chromium, with the model that is shipped."""

import csv
import io
import json
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from newsserve import app as app_package
from newsserve.__main__ import SHIPPED
from newsserve.predictor import Predictor

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "serving.json").exists(), reason="no shipped model in models/gpt2-mini-bbc"
)
EXAMPLES = json.loads((Path(app_package.__file__).parent / "examples.json").read_text("utf-8"))
NEWS = list(EXAMPLES)[:5]
SLOW = 30_000  # ms, for a machine that is busy


@pytest.fixture(scope="module")
def app(serving):
    with serving("app", GPT2NEWS_ENDPOINT="") as url:
        yield url


@pytest.fixture
def visit(browser):
    """`visit(url, **context)`: a page there, which at the end may not have asked anybody else for
    anything, nor have logged an error."""
    opened = []

    def go(url, **context):
        page = browser.new_page(**context)
        page.set_default_timeout(SLOW)
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        page.goto(url)
        page.get_by_role("tab", name="Classify").wait_for()
        opened.append((page, url, asked, errors))
        return page

    yield go
    for page, url, asked, errors in opened:
        page.close()
        assert [each for each in asked if each.startswith("ws")], "no websocket was seen"
        assert not [
            each
            for each in asked
            if not each.startswith((url, url.replace("http", "ws"), "data:", "blob:"))
        ]
        assert not errors


@pytest.fixture(scope="module")
def fifty() -> bytes:
    """50 rows between semicolons: 48 of the examples in turn, one without a text, one with a
    column too many."""
    file = io.StringIO(newline="")
    sheet = csv.writer(file, delimiter=";")
    sheet.writerow(["number", "text"])
    sheet.writerows(
        [i, EXAMPLES[NEWS[i % 5]] if i < 40 else EXAMPLES["nonsense"]] for i in range(48)
    )
    sheet.writerows([[48, " "], [49, "one", "<b>two</b>"]])
    return file.getvalue().encode()


def choose(page, example: str) -> None:
    page.get_by_test_id("stButtonGroup").get_by_text(example, exact=True).click()


def verdict_on(page) -> str:
    return page.get_by_test_id("stAlert").inner_text()


def bars_on(page) -> list[str]:
    return page.locator("[data-testid=stProgress]:visible").all_inner_texts()


def test_an_example_is_classified(app, visit):
    page = visit(app)
    choose(page, "a cup tie")
    page.get_by_text("Key:").wait_for()
    (answer,) = Predictor(SHIPPED)([EXAMPLES["a cup tie"]])
    assert verdict_on(page) == f"sport, {answer.probability:.1%} likely"
    assert [bar.split(":")[0] for bar in bars_on(page)] == list(answer.probabilities)
    assert bars_on(page)[0] == f"sport: {answer.probability:.1%}"
    assert page.locator(".g-words .much").count() > 0
    assert page.locator(".g-words").inner_text() == " ".join(EXAMPLES["a cup tie"].split())
    assert page.get_by_text(
        f"{answer.tokens} tokens (words and pieces of words) read in "
    ).is_visible()
    choose(page, "nonsense")
    page.get_by_text("Not sure.").wait_for()
    assert "this model answers from 87%" in verdict_on(page)


def test_a_text_of_ones_own(app, visit):
    page = visit(app)
    button, article = page.get_by_role("button", name="Classify"), page.get_by_label("Article")
    button.click()
    page.get_by_text("There is nothing to read yet").wait_for()
    article.fill("Goal!")
    button.click()
    page.get_by_text("it is too short").wait_for()
    article.fill("The <script>alert(1)</script> striker scored twice in the final minutes.")
    button.click()
    page.get_by_text("So short a text").wait_for()
    # The words of the answer before stand there until these are drawn.
    page.locator(".g-words", has_text="<script>alert(1)</script>").wait_for()
    article.fill(" ".join([EXAMPLES["a vote"]] * 15))
    button.click()
    page.get_by_text("longer than the model reads").wait_for()
    page.get_by_test_id("stAlert").filter(has_text="politics, ").wait_for()
    assert verdict_on(page).startswith("politics, ")


def test_a_file(app, visit, fifty, tmp_path):
    page = visit(app)
    page.get_by_role("tab", name="A file").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "news.csv", "mimeType": "text/csv", "buffer": fifty}
    )
    page.get_by_role("button", name="Classify 50 rows").click()
    page.get_by_text(
        "50 rows: 40 answered, 8 not sure, 0 another kind of text, 2 not read"
    ).wait_for()
    topics = ("business", "entertainment", "politics", "sport", "tech", "not sure")
    # The app draws them one after another, so the last one is waited for.
    page.locator("[data-testid=stProgress]:visible").nth(len(topics)).wait_for()
    assert sorted(bars_on(page)) == sorted([f"{topic}: 8" for topic in topics] + ["not read: 2"])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the results").click()
    assert download.value.suggested_filename == "news-topics.csv"
    download.value.save_as(tmp_path / "results.csv")
    rows = list(
        csv.DictReader(
            (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines(), delimiter=";"
        )
    )
    assert [row["number"] for row in rows] == [str(i) for i in range(50)]
    assert [row["predicted"] for row in rows[:5]] == [
        "business",
        "sport",
        "politics",
        "tech",
        "entertainment",
    ]
    assert {row["answered"] for row in rows[40:48]} == {"False"}
    assert [row["error"] for row in rows[47:]] == [
        "",
        "no text",
        "3 columns where there are 2 names; beyond them: ['<b>two</b>']",
    ]
    page.locator("input[type=file]").set_input_files(
        {"name": "no.csv", "mimeType": "text/csv", "buffer": b"PK\3\4"}
    )
    page.get_by_text("a zip file or a workbook, no table").wait_for()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_tab_fits_and_can_be_used_by_all(app, visit, axe, fifty, scheme, width):
    page = visit(app, color_scheme=scheme, viewport={"width": width, "height": 900})
    dark = page.evaluate(
        "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
        ".match(/\\d+/g).every(x => x < 60)"
    )
    assert dark == (scheme == "dark")

    def check(tab):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)  # the line under the tabs glides
        for element in ("html", "[data-testid=stMain]"):
            over = page.evaluate(
                f"(e => e.scrollWidth - e.clientWidth)(document.querySelector('{element}'))"
            )
            assert over <= 1, f"{tab} is {over} px wider than a window of {width} px"
        assert axe(page) == [], tab

    choose(page, "nonsense")
    page.get_by_text("Key:").wait_for()
    check("Classify")
    check("A file")
    page.locator("input[type=file]").set_input_files(
        {"name": "news.csv", "mimeType": "text/csv", "buffer": fifty}
    )
    page.get_by_role("button", name="Classify 50 rows").click()
    page.get_by_role("button", name="Download the results").wait_for()
    check("A file")
    check("About this model")
    assert page.get_by_text("test accuracy").is_visible()


def test_an_upload_from_another_site_is_refused(app):
    request = urllib.request.Request(
        f"{app}/_stcore/upload_file/session/file", data=b"x", method="PUT"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403


def test_an_endpoint_answers_in_the_models_place(serving, visit, fifty):
    """boto3 against our own server, which then goes away."""
    pytest.importorskip("boto3")
    aws = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key-to-hide",
        "AWS_SECRET_ACCESS_KEY": "secret-to-hide",
    }
    with ExitStack() as stack:
        server = stack.enter_context(serving("serve"))
        with serving(
            "app", GPT2NEWS_ENDPOINT="news", AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=server, **aws
        ) as app:
            page = visit(app)
            choose(page, "a vote")
            page.get_by_text("Shown only by a model on this machine").wait_for()
            assert verdict_on(page).startswith("politics, ")
            page.get_by_role("tab", name="About").click()
            page.get_by_text("An endpoint says nothing of its model.").wait_for()
            page.get_by_role("tab", name="A file").click()
            page.locator("input[type=file]").set_input_files(
                {"name": "news.csv", "mimeType": "text/csv", "buffer": fifty}
            )
            page.get_by_role("button", name="Classify 50 rows").click()
            page.get_by_text(
                "50 rows: 40 answered, 8 not sure, 0 another kind of text, 2 not read"
            ).wait_for()
            stack.close()
            page.get_by_role("tab", name="Classify").click()
            choose(page, "a phone")
            page.get_by_text("The endpoint news cannot be reached from here.").wait_for()
            assert "to-hide" not in page.content()
            page.close()
