"""A corpus of markup: whatever its topics, texts and columns hold is shown, and nothing of it runs.

One run of all five chapters, its pages and the app with its model, in Chromium.
"""

import csv
import random

import pytest

from running import run_report

ELSEWHERE = "http://elsewhere.invalid/seen"
TOPICS = [
    f"<img src=x onerror=\"fetch('{ELSEWHERE}')\">",
    f"![picture]({ELSEWHERE}.png)",
    "$x^{2}$ | **bold** <script>alert('topic')</script>",
]
TEXT, TOPIC = "<b onclick=alert(1)>text</b>", f"![topic]({ELSEWHERE}-column.png)"
WORDS = ["goal keeper cup striker", "shares profit bank market", "minister vote law election"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("markup")
    draw = random.Random(0)
    corpus = folder / "corpus.csv"
    with open(corpus, "w", newline="", encoding="utf-8") as file:
        sheet = csv.writer(file)
        sheet.writerow([TEXT, TOPIC, "source_id"])
        for i in range(120):
            words = WORDS[i % 3].split()
            said = " ".join(draw.choices([*words, "the", "of", "a", "number", str(i)], k=25))
            evil = f"<script>alert({i})</script> <img src={ELSEWHERE}> ![t]({ELSEWHERE})"
            sheet.writerow([f"{evil} {said}", TOPICS[i % 3], f"<i id=m{i}>{i}</i>"])
    sets = [f"{chapter}.dataset={corpus}" for chapter in ("01_explore", "02_split")]
    for chapter in ("01_explore", "02_split"):
        sets += [f"{chapter}.text_column='{TEXT}'", f"{chapter}.label_column='{TOPIC}'"]
    sets += ["03_finetune.epochs=1", "03_finetune.max_length=48"]
    sets += ["03_finetune.compare_from_scratch=false", "04_evaluate.explained=3"]
    options = [word for item in sets for word in ("--set", item)]
    wanted = ["--profile", "quick", "--name", "markup", *options]
    return run_report(folder / "reports", *wanted, codes=(0, 3))  # 3: the score is no matter here


@pytest.fixture
def watched(browser):
    """`watched(url)`: a page; at the end none may have opened a dialog or asked anybody else."""
    opened, dialogs, asked = [], [], []

    def go(url: str, own: tuple[str, ...]):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append((request.url, own)))
        page.goto(url)
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.close()
    assert dialogs == []
    assert [url for url, own in asked if not url.startswith((*own, "data:", "blob:"))] == []


def test_nothing_of_it_runs_in_the_pages(run, watched):
    pages = sorted(run.glob("*.html"))
    assert len(pages) == 6
    for file in pages:
        page = watched(file.as_uri(), ("file:",))
        page.wait_for_timeout(500)
        for handler in ("onerror", "onclick"):
            assert page.locator(f"[{handler}]").count() == 0, file.name
        assert page.locator("img[src*='elsewhere'], img[src='x'], [id^=m1]").count() == 0


def test_its_topics_can_be_read_in_the_pages(run, watched):
    """Chapter 02 names none; 03 and 05 answer a text or two."""
    least = {"index": 3, "01_explore": 3, "03_finetune": 1, "04_evaluate": 3, "05_deploy": 1}
    for name, wanted in least.items():
        page = watched((run / f"{name}.html").as_uri(), ("file:",))
        said = page.locator("body").text_content()
        assert sum(topic[:16] in said for topic in TOPICS) >= wanted, name
    page = watched((run / "index.html").as_uri(), ("file:",))
    seen = page.locator("body").inner_text()
    assert all(topic[:16] in seen for topic in TOPICS)


def test_nothing_of_it_runs_in_the_app(run, watched, serving):
    with serving("app", "--model", str(run / "onnx"), GPT2NEWS_ENDPOINT="") as url:
        page = watched(url, (url, url.replace("http", "ws")))
        page.get_by_label("Article").fill(f"{TOPICS[0]} goal keeper cup striker minister vote")
        page.get_by_role("button", name="Classify", exact=True).click()
        page.get_by_text("The words that decided").wait_for()
        said = page.locator("body").inner_text()
        assert all(topic in said for topic in TOPICS)
        page.get_by_role("tab", name="About this model").click()
        page.wait_for_timeout(1000)
        assert page.locator("img[src*='elsewhere'], [onerror]").count() == 0
