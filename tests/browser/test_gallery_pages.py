"""The gallery, a comparison and sortable tables in headless Chromium."""

import json

import pytest

from gpt2news.evaluate import wilson
from newsreport import gallery


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Three runs, scores 0.9, 0.7, 0.8 from new to old, and a comparison of two."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    for place, (name, k) in enumerate((("a-run-with-a-rather-long-name", 9), ("b", 7), ("c", 8))):
        folder = tmp_path / name
        folder.mkdir()
        score = wilson(k, 10)
        test = {"accuracy": score, "macro_f1": score, "log_loss": 0.3, "ece": 0.04}
        metrics = {
            "dataset": {"name": "x.csv", "sha256": "ab"},
            "split": {"test": 10},
            "test": test,
            "baseline": {"name": "linear", "accuracy": score},
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "run.json").write_text(
            json.dumps({"started": f"2026-01-0{9 - place}", "chapters": {"01": {"status": "done"}}})
        )
        rows = "".join(f"s{i},sport,{'sport' if i < k else 'tech'},0.9\n" for i in range(10))
        (folder / "predictions.csv").write_text(f"source_id,topic,predicted,confidence\n{rows}")
    gallery.compare("b", "c")
    gallery.write_gallery()
    return tmp_path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_ask_for_nothing_and_can_be_used_by_all(root, browser, axe, scheme, width):
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("index.html", "compare-b-c.html"):
        page.goto((root / name).as_uri())
        assert (
            page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            <= 1
        )
        assert axe(page) == [], name
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()


def first_column(page) -> list[str]:
    return page.locator("tbody tr > :first-child").all_inner_texts()


def test_a_table_is_sorted_by_a_click_and_by_keyboard(root, browser):
    page = browser.new_page()
    page.goto((root / "index.html").as_uri())
    long = "a-run-with-a-rather-long-name"
    assert first_column(page) == [long, "b", "c"]
    page.get_by_role("button", name="test accuracy").click()
    assert first_column(page) == ["b", "c", long]
    assert (
        page.get_by_role("columnheader", name="test accuracy").get_attribute("aria-sort")
        == "ascending"
    )
    page.keyboard.press("Enter")
    assert first_column(page) == [long, "c", "b"]
    page.get_by_role("button", name="run", exact=True).click()
    assert first_column(page) == [long, "b", "c"]
    page.close()


def test_without_javascript_all_is_there(root, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((root / "index.html").as_uri())
    assert first_column(page)[1:] == ["b", "c"]
    assert page.get_by_role("button").count() == 0
    context.close()
