"""The model in a page: it answers in Chromium, from a file, as Python does."""

import csv
import re
import shutil

import pytest

import demo
from gpt2news.run import Run
from newsserve.predictor import Predictor

ASK_ALL = """async (texts) => {
  const answers = [];
  for (const text of texts) {
    const began = performance.now();
    const answer = await model.answer(text);
    answers.push({ ...answer, milliseconds: performance.now() - began });
  }
  return answers;
}"""
ODD = [
    "",
    "   ",
    "<|pad|> is a text, and so is <|endoftext|>.",
    "Łódź, İstanbul, Ærø: straße",
    "日本語のテキスト",
    "Привет, мир: это новость.",
    "Der alte Mann saß am Fenster und sah dem Regen zu.",
    "hjkh asdf qwer zxcv " * 9,
    "word " * 20_000,
    "x" * 3_000,
]


@pytest.fixture(scope="module")
def built(quick, tmp_path_factory):
    """A copy of the quick run with its demo; skips where npm is missing or fetches nothing."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("no npm and node on PATH, which build the page")
    folder = tmp_path_factory.mktemp("demo") / "quick"
    shutil.copytree(quick, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPT2NEWS_REPORTS", str(folder.parent))
        try:
            demo.build("quick")
        except demo.DemoError as error:
            if "npm ci failed" in str(error):
                pytest.skip(f"npm cannot fetch what the page needs: {error}")
            raise
    return folder


def test_its_score_is_that_of_the_file_it_runs(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    (tmp_path / "quick").mkdir()
    shutil.copy(quick / "metrics.json", tmp_path / "quick" / "metrics.json")
    run = Run("quick")
    run.save_metrics(deploy={**run.metrics["deploy"], "accuracy_int8": 0.02})
    assert "gets 1 of 50 right" in demo.page(run, ["a", "b"])


@pytest.fixture
def page(built, browser):
    """`try.html` from its file, ready; it may ask for nothing and log no error."""
    asked, errors = [], []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto((built / "try.html").as_uri())
    page.locator("body[data-ready]").wait_for(timeout=60_000)
    yield page
    page.close()
    assert [url for url in asked if not url.startswith("file:")] == []
    assert errors == []


def spelled(reason: str | None) -> str | None:
    """Without its numbers: Python rounds 6.25 to 6.2, JavaScript to 6.3."""
    return reason and re.sub(r"[\d.]+", "", reason)


def test_it_answers_as_python_does(page, built):
    with open(built / "splits" / "test.csv", encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)] + ODD
    answers = page.evaluate(ASK_ALL, texts)
    expected = Predictor(built / "onnx")(texts)
    apart = []
    for text, given, wanted in zip(texts, answers, expected, strict=True):
        told = (given["topic"], given["answered"], given["tokens"], given["truncated"])
        assert told == (wanted.topic, wanted.answered, wanted.tokens, wanted.truncated), text[:80]
        assert spelled(given["reason"]) == spelled(wanted.reason), text[:80]
        given_p = dict(given["probabilities"])
        assert list(given_p) == list(wanted.probabilities), text[:80]
        apart.append(max(abs(given_p[t] - p) for t, p in wanted.probabilities.items()))
    # int8 rounds: where a float differs in its last bit, a rounding may fall the other way.
    assert max(apart) < 0.01


def test_a_text_is_typed_and_answered_with_its_words(page):
    page.get_by_label("A text in English").fill("The striker scored twice in the cup final.")
    page.get_by_text("Strongest for sport:").wait_for()
    assert page.locator("#verdict").inner_text().split(",")[0].endswith("sport")
    assert page.locator("#words mark").count() > 0
    assert page.locator("#topics li").count() == 5
    page.get_by_role("button", name="a vote").click()
    page.get_by_text("Strongest for politics:").wait_for()
    page.get_by_label("A text in English").fill("")
    page.locator("#answer").wait_for(state="hidden")


def test_a_text_that_is_markup_is_text(page):
    page.get_by_label("A text in English").fill("<img src=x onerror=alert(1)> shares and profits")
    page.locator("#strongest", has_text=" for ").wait_for()
    assert page.locator("#answer img").count() == 0


def test_it_is_small_and_the_index_links_to_it(built):
    page = (built / "try.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 12_000_000
    assert "No answer yet" not in page
    assert "Not measured" not in page
    assert 'href="try.html"' in (built / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_it_fits_and_can_be_used_by_all(built, browser, axe, small, scheme, width):
    # axe-core is put into the page as a string, which the page's policy would refuse.
    page = browser.new_page(
        color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    page.goto((built / "try.html").as_uri())
    page.get_by_role("button", name="a phone").click()
    page.locator("body[data-ready]").wait_for(timeout=60_000)
    page.get_by_role("button", name="a phone").click()
    page.get_by_text("Strongest for tech:").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 1
    assert small(page) == []
    assert axe(page) == []
    page.close()


def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    assert demo.main(["nowhere"]) == 2
    assert "gpt2news report --profile nowhere makes it" in capsys.readouterr().err
