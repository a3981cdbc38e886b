"""What is published as a site: pages and numbers, never articles, with a page in front."""

import json

import pytest
from made_up_run import METRICS, RECORD

import website
from gpt2news.run import CHAPTERS


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """The folder of reports with one complete run, `mine`, and what must stay at home."""
    root = tmp_path / "reports"
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(root))
    for name in ("splits", "model", "onnx", "notebooks", "figures"):
        (root / "mine" / name).mkdir(parents=True)
        (root / "mine" / name / "file.csv").write_text("an article")
    (root / "mine" / "figures" / "topics.png").write_bytes(b"png")
    for page in ("index", *CHAPTERS):
        (root / "mine" / f"{page}.html").write_text(page)
    (root / "mine" / "metrics.json").write_text(json.dumps(METRICS))
    (root / "mine" / "run.json").write_text(json.dumps(RECORD))
    return root


def test_the_site_has_pages_and_no_articles(reports, tmp_path):
    page = website.build(tmp_path / "site", ["mine"])
    files = {str(path.relative_to(page.parent)) for path in page.parent.rglob("*.*")}
    pages = {f"mine/{name}.html" for name in ("index", *CHAPTERS)}
    numbers = {"mine/metrics.json", "mine/run.json", "mine/figures/topics.png"}
    assert files == {"index.html", *pages, *numbers}
    text = page.read_text(encoding="utf-8")
    assert "gets 409 of 421 test texts right, a model of word counts 405" in text
    for chapter in CHAPTERS:
        assert f'href="mine/{chapter}.html"' in text
        assert f'/notebooks/{chapter}.ipynb">notebook' in text
        assert "https://colab.research.google.com/github/" in text
    assert "Try this model" not in text


def test_the_demo_and_the_ladder_are_shown_where_they_are(reports, tmp_path):
    (reports / "mine" / "try.html").write_bytes(b"x" * 10_400_000)
    rung = {"name": "a <b>rung</b>", "accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}
    metrics = {**METRICS, "ladder": [rung]}
    (reports / "mine" / "metrics.json").write_text(json.dumps(metrics))
    text = website.build(tmp_path / "site", ["mine"]).read_text(encoding="utf-8")
    assert 'href="mine/try.html"' in text
    assert "a page of 10 MB" in text
    assert "a &lt;b&gt;rung&lt;/b&gt;" in text
    assert "50.0 %" in text


def test_a_run_that_is_not_complete_and_a_folder_that_is_none_of_ours(reports, tmp_path, capsys):
    out = tmp_path / "site"
    record = {**RECORD, "chapters": {"01_explore": {"status": "done"}}}
    (reports / "mine" / "run.json").write_text(json.dumps(record))
    assert website.main([str(out), "mine"]) == 2
    assert "reports/mine is not a complete run" in capsys.readouterr().err
    assert not out.exists()
    out.mkdir()
    (out / "thesis.txt").touch()
    assert website.main([str(out), "mine"]) == 2
    assert "is no site" in capsys.readouterr().err
    assert (out / "thesis.txt").exists()


LADDER = """Before.

<!-- conclusion -->
1. Few labels: <b>frozen</b>.
2. Many: either.
<!-- end of conclusion -->
<!-- ladder bbc -->
| rung | draws | accuracy | MB |
| --- | --- | --- | --- |
| largest topic | 5 | 0.230 | 0 |
| TF-IDF + linear SVM | 5 | 0.972 (0.961 to 0.983) | 2.1 |
| MiniLM, fine-tuned | 5 | 0.981 (0.970 to 0.992) \u00b9 | 90 |
<!-- end of ladder bbc -->
<!-- ladder agnews -->
Not yet run.
<!-- end of ladder agnews -->
"""


def test_the_ladder_is_on_the_front_page_where_it_has_been_climbed(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(LADDER, encoding="utf-8")
    found = website.ladders(readme)
    assert list(found["corpora"]) == ["bbc"]
    largest, linear, _ = found["corpora"]["bbc"]
    assert largest["score"] is None
    assert linear["score"] == {"value": 0.972, "low": 0.961, "high": 0.983}
    page = website.front([], found)
    assert "Few labels: &lt;b&gt;frozen&lt;/b&gt;." in page
    assert "98.1 %" in page
    assert "The ladder on BBC News" in page
    assert "agnews" not in page
    assert "<td>largest topic</td><td>5</td><td>0.230</td>" in page
    readme.write_text("<!-- ladder bbc -->\nNot yet run.\n<!-- end of ladder bbc -->\n")
    nothing = website.ladders(readme)
    assert nothing == {"corpora": {}, "conclusion": []}
    assert "ladder" not in website.front([], nothing)
