"""The pages, from a metrics.json written by hand: every number on a page follows it."""

import copy
import json
import re
from base64 import b64encode
from hashlib import sha256

import nbformat
import pytest
from huggingface_hub import ModelCard
from made_up_run import METRICS, RECORD

from gpt2news.run import Run
from newsreport import gates, pages


def changed(path: str, value: object) -> dict:
    metrics = copy.deepcopy(METRICS)
    *inner, last = path.split(".")
    node = metrics
    for key in inner:
        node = node[int(key)] if isinstance(node, list) else node[key]
    node[last] = value
    return metrics


@pytest.fixture
def index(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("made-up")

    def page(metrics: dict, **record) -> str:
        run.write_json("metrics.json", metrics)
        pages.render_run(run, {**copy.deepcopy(RECORD), **record})
        return run.path("index.html").read_text(encoding="utf-8")

    return page


NUMBERS = [
    ("test.accuracy.value", 0.12345, "52 of 421 right"),
    ("test.accuracy.value", 0.12345, "12.3 %"),
    ("test.accuracy.low", 0.12345, "(12.3 % to"),
    ("test.accuracy.high", 0.12345, "to 12.3 %)"),
    ("test.n", 777, "of 777 right"),
    ("test.majority", 0.5, "the largest topic would have 210"),
    ("baseline.accuracy.value", 0.12345, "has 52 of the same 421"),
    ("baseline.accuracy.low", 0.12345, "0.123 to"),
    ("mcnemar_p", 0.0123, "McNemar p = 0.01"),
    ("mcnemar_p", 0.0000123, "McNemar p = 1e-05"),
    ("mcnemar_p", 0.0123, "The fine-tuned model is ahead by more than luck explains"),
    ("split.leaked_near", 13, "13 near copies"),
    ("split.val", 44, "taught on 3,368 texts, tuned on 44 more, and then asked about 421 others"),
    ("leaks.near", 17, "17 when looked for again"),
    ("test.ece_before", 0.0987, "0.099 → 0.012"),
    ("test.ece", 0.0654, "higher on test"),
    ("test.ece", 0.0312, "no change that matters"),
    ("test.temperature", 2.34, "temperature 2.34"),
    ("test.answered", 0.1234, "answers 12.3 % of the test texts"),
    ("test.answered_accuracy", 0.1234, "of those 12.3 % are right"),
    ("test.threshold", 0.31, "threshold 0.31"),
    ("off_topic.not_answered.value", 0.125, "none of its topics (noise, off-topic) 42 got"),
    ("errors.n", 71, "71; cats / dogs"),
    ("errors.pairs.0.mixed_up", 14, "cats / dogs: 14 of 421"),
    ("slices.0.value", 0.43, "1 to 99 words, 43 % right of 105"),
    ("studies.folds.accuracy.mean", 0.4321, "0.432 ± 0.013"),
    ("studies.folds.runs", 3, "3 of 15 trainings"),
    ("studies.folds.verdict", "Over 14 folds: ahead.", "Over 14 folds: ahead."),
    ("errors.label_candidates.n", 59, "59, first a17, b4"),
    ("behaviour.invariance.all.value", 0.5, "turned 113 of 226 answers"),
    ("attribution.random.value", 0.67, "random ones by 0.67"),
    ("test.log_loss", 0.7654, "0.765 nats"),
    ("examples.right.probability", 0.77, "77 % sure, and rightly so"),
    ("examples.wrong.0.text", "She meowed.", "She meowed."),
    ("deploy.size_mb", 77.7, "77.7 MB"),
    ("test.per_topic.dogs.recall", 0.5, "of 210 texts on dogs it finds 105"),
    ("test.per_topic.dogs.recall", 0.0, "</b> finds dogs: 0 of 210 texts"),
]


@pytest.mark.parametrize(("path", "value", "shown"), NUMBERS)
def test_the_index_follows_metrics(index, path, value, shown):
    before, after = index(METRICS), index(changed(path, value))
    assert shown not in before
    assert shown in after


def test_rows_that_were_left_out_are_listed_and_are_no_markup(index):
    assert "could not be used" not in index(METRICS)
    metrics = changed("dataset.left_out", 7)
    metrics["dataset"]["left_out_rows"] = [f"line {n}: <b>no text" for n in range(7)]
    page = index(metrics)
    assert "<p>7 of its rows could not be used: line 0: &lt;b&gt;no text; line 1: " in page
    assert "line 4: &lt;b&gt;no text; ….</p>" in page
    card = pages.card(metrics, "model")
    assert "and 7 rows that could not be used" in card


def test_a_slice_is_called_weak_only_where_it_is_shown_to_be(index):
    assert "Weakest kind of text (length): 1 to 99 words, 91 % right" in index(METRICS)
    assert "Weakest kind" not in index(changed("slices.0.high", 0.98))
    assert "Weakest kind" not in index(changed("slices", []))


def test_what_one_test_cannot_tell_is_said(index):
    assert "421 texts cannot tell them apart" in index(METRICS)
    behind = changed("mcnemar_p", 0.01)
    behind["test"]["accuracy"]["value"] = 0.5
    assert "The model of word counts is ahead by more than luck" in index(behind)


@pytest.mark.parametrize(("ours", "theirs"), [(405, 405), (421, 421), (0, 0), (404, 405)])
def test_no_difference_is_spoken_of_where_there_is_none(index, ours, theirs):
    metrics = changed("mcnemar_p", 1.0)
    metrics["test"]["accuracy"]["value"] = ours / 421
    metrics["baseline"]["accuracy"]["value"] = theirs / 421
    page = index(metrics)
    assert ("The two are level: 421 texts cannot tell them apart." in page) == (ours == theirs)
    assert ("One text more can be luck" in page) == (ours != theirs)
    assert "So small a difference" not in page


def test_a_sentence_is_told_only_where_its_condition_holds(index):
    page = index(METRICS)
    assert "after duplicates were taken out" in page
    assert "after duplicates" not in index(changed("dataset.unique", METRICS["dataset"]["rows"]))
    assert "It takes 1 of 206 test texts for another kind of text, and refuses it." in page
    none = index(changed("off_topic.refused.test.value", 0.0))
    assert "It takes none of 206 test texts for another kind of text.</li>" in none
    assert "none got a topic" in index(changed("off_topic.not_answered.value", 1.0))
    assert "may say “not sure”" in page
    sure = index(changed("test.answered", 1.0))
    assert "may say “not sure”" not in sure
    assert "was sure enough to answer all the test texts; of those 98.5 % are right" in sure
    assert "The marked words moved it" in page
    still = index(changed("examples.right.words", [["is", 0.0], ["x", -0.1]]))
    assert "No single word moved it" in still
    assert "marked words moved" not in still


def test_the_ladder_stands_on_the_index_and_names_are_no_markup(index):
    page = index(METRICS)
    assert "Would less have done?" in page
    assert "a &lt;b&gt;frozen&lt;/b&gt; model, 12 ms a text" in page
    assert "the largest topic, " not in page  # what costs nothing has no price
    assert "Would less have done?" not in index({**METRICS, "ladder": None})


def test_methods_and_p_values_wait_in_a_fold(index):
    page = index(METRICS)
    assert page.index("<details>") < page.index("McNemar")
    assert page.index("<details>") < page.index("macro F1")


def test_the_words_that_moved_an_answer_are_marked_and_escaped(index):
    page = index(changed("examples.right.words", [["<b>Purring", 0.4], ["is", 0.1], ["x", -0.2]]))
    assert '<mark class="much">&lt;b&gt;Purring</mark>' in page
    assert '<mark class="some">is</mark>' in page
    assert '<mark class="less">x</mark>' in page
    nothing = index(changed("examples.right.words", [["is", 0.0]]))
    assert "<mark class" not in nothing[: nothing.index("Key:")]
    assert "One text, and why" not in index(changed("examples.right", None))


def test_a_mistake_that_would_be_no_answer_is_told_so(index):
    assert "too little for it to answer" in index(METRICS)
    assert "too little for it to answer" not in index(changed("examples.wrong.0.answered", True))
    assert "What it gets wrong" not in index(changed("examples.wrong", []))


def test_the_index_links_to_the_model_in_the_page_where_it_is(index, tmp_path):
    assert 'href="try.html"' not in index(METRICS)
    (tmp_path / "made-up" / "try.html").touch()
    assert 'href="try.html"' in index(METRICS)


def test_a_page_may_run_its_own_script_and_nothing_else(index):
    page = index(METRICS)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_invented_articles_and_a_miniature_are_called_so(index):
    page = index(METRICS)
    assert "invented" not in page
    assert "a miniature of GPT-2 with 5 M parameters" in page
    assert "<b>invented</b>" in index(changed("dataset.name", "sample"))
    assert "miniature" not in index(changed("model.name", "gpt2"))
    assert "invented" in str(pages.card(changed("dataset.name", "sample"), "model"))
    assert "miniature" not in str(pages.card(changed("model.name", "gpt2"), "model"))


def test_a_leak_that_chapter_04_found_is_named_on_the_index(index):
    metrics = changed(
        "leaks",
        {
            "exact": 0,
            "near": 1,
            "named": [{"part": "test", "source_id": "x7", "train_id": "y9", "jaccard": 0.93}],
        },
    )
    page = index(metrics)
    assert "stand on both sides of the split" in page
    assert "test <code>x7</code> is 0.93 like train <code>y9</code>" in page
    assert "stand on both sides" not in index(METRICS)


def test_gates_on_the_index_follow_metrics(index):
    page = index(METRICS)
    assert (
        "A gate is not met:</b> <code>test.accuracy.low &gt;= 0.96</code>, but the value is 0.9512."
        in page
    )
    assert "A gate is not met" not in index(changed("test.accuracy.low", 0.965))
    assert "A gate is not met" not in index(METRICS, gates=[])


@pytest.mark.parametrize(
    "lacking",
    [
        ("studies",),
        ("deploy",),
        ("attribution", "behaviour", "off_topic"),
        ("test", "baseline"),
        ("leaks", "slices"),
        ("examples", "errors"),
    ],
)
def test_the_index_does_without_a_section(index, lacking):
    assert "made-up" in index({key: value for key, value in METRICS.items() if key not in lacking})


def test_the_example_has_the_keys_that_the_chapters_record():
    sections = {name: keys for chapter in gates.SECTIONS.values() for name, keys in chapter.items()}
    for name, keys in sections.items():
        if isinstance(keys, dict):
            assert set(METRICS[name]) <= set(keys), name


@pytest.mark.parametrize("kind", ["model", "onnx"])
def test_the_card_has_valid_metadata_and_the_numbers(kind):
    text = str(pages.card(METRICS, kind))
    data = ModelCard(text).data
    assert data.pipeline_tag == "text-classification"
    assert {r.metric_type: r.metric_value for r in data.eval_results} == {
        "accuracy": 0.9711,
        "f1": 0.9614,
    }
    assert data.language is None
    for shown in (
        "0.971 (95 % interval 0.951 to 0.981, n = 421)",
        "0.962 (0.942 to 0.972)",
        "temperature 1.23",
        "cats, dogs",
        "92 % of 48 get no topic",
        "0.5 % of the 206 texts of the test",
        "cats / dogs (12 of 421)",
        "3,368 to learn",
        "-0.5 points against torch",
    ):
        assert shown in text, shown
    assert "BBC" not in text
    assert "0.432" in str(pages.card(changed("test.accuracy.value", 0.4321), kind))
    assert "\n\n\n" not in text
    assert "|\n\n|" not in text


def test_cards_of_bbc_say_whose_the_articles_are():
    text = str(pages.card(changed("dataset.name", "bbc"), "onnx"))
    assert "non-commercial research" in text
    assert (ModelCard(text).data.language, ModelCard(text).data.license) == ("en", "other")


def test_cards_are_written_into_the_folders_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("made-up")
    run.path("model").mkdir()
    run.write_json("metrics.json", {"profile": "x"})
    pages.write_cards(run)
    assert not run.path("model", "README.md").exists()
    run.write_json("metrics.json", json.loads(json.dumps(METRICS)))
    pages.write_cards(run)
    assert "0.971" in run.path("model", "README.md").read_text(encoding="utf-8")
    assert not run.path("onnx").exists()


# --- the list of runs -------------------------------------------------------------------------


def a_run(root, name: str, *, started: str = "2026-01-01T10:00:00+00:00", status: str = "done"):
    folder = root / name
    folder.mkdir(parents=True)
    chapters = {"01_explore": {"status": "done"}, "03_finetune": {"status": status}}
    record = {"started": started, "chapters": chapters}
    (folder / "run.json").write_text(json.dumps(record))
    metrics = changed("dataset.name", "<b>x</b>.csv") if status == "done" else {}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "index.html").touch()
    return folder


def test_runs_are_listed_newest_first_with_state_and_score(tmp_path):
    a_run(tmp_path, "old")
    a_run(tmp_path, "new", started="2026-02-01T10:00:00+00:00")
    a_run(tmp_path, "broken", started="2026-01-15T10:00:00+00:00", status="failed")
    page = pages.write_list(tmp_path)
    assert page == tmp_path / "index.html"
    text = page.read_text(encoding="utf-8")
    assert text.index(">new<") < text.index(">broken<") < text.index(">old<")
    assert "failed at 03_finetune" in text
    assert "<b>0.971</b> (0.951 to 0.981)" in text
    assert 'href="old/index.html"' in text
    assert "<b>x" not in text


def test_no_runs_yet_and_a_run_that_left_nothing_to_read(tmp_path):
    assert "No run yet" in pages.write_list(tmp_path).read_text(encoding="utf-8")
    for name, content in (("a", ""), ("b", "[]"), ("c{d}", "{}")):
        folder = a_run(tmp_path, name)
        (folder / "run.json").write_text(content)
        (folder / "metrics.json").write_text(content)
    text = pages.write_list(tmp_path).read_text(encoding="utf-8")
    assert text.count("running, or interrupted") == 3
    assert 'href="c%7Bd%7D/index.html"' in text


# --- a chapter --------------------------------------------------------------------------------


def code(source: str, printed: str = "", tag: str | None = None, name: str | None = None):
    about = ({"tags": [tag]} if tag else {}) | ({"name": name} if name else {})
    cell = nbformat.v4.new_code_cell(source, metadata=about)
    if printed:
        cell.outputs = [nbformat.v4.new_output("stream", text=printed)]
    return cell


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """`chapter(*cells)`: the page of a chapter 02 with these cells."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("made-up")

    def page(*cells) -> str:
        notebook = nbformat.v4.new_notebook(cells=list(cells))
        pages.render_chapter(run, "02_split", notebook)
        return run.path("02_split.html").read_text(encoding="utf-8")

    return page


def markdown(source: str):
    return nbformat.v4.new_markdown_cell(source)


def test_a_chapter_has_its_sections_its_neighbours_and_no_set_up(chapter):
    page = chapter(
        markdown("# T\n[![Open](https://x.example/b.svg)](https://x.example/n)"),
        code("install()", tag="setup"),
        markdown("## 1. One & two\nas in [chapter 03](03_finetune.ipynb)"),
        code("print(1)", "1"),
        code("report.save_metrics()", tag="record"),
    )
    assert "install" not in page
    assert "save_metrics" not in page
    assert "<img" not in page
    assert '<a href="https://x.example/n"' in page
    assert 'href="03_finetune.html"' in page
    assert page.count('<li><a href="#1.-One-&amp;-two">1. One &amp; two</a></li>') == 2
    assert 'rel="prev">← 01_explore' in page
    assert 'rel="next">03_finetune →' in page


def test_the_exercises_are_one_note(chapter):
    stub = "No answer yet. Put a number in place of None and run the cell again."
    page = chapter(
        markdown("Before.\n\n## Exercises\nPut your answer in the place of `None`."),
        markdown("### How many?"),
        code("answer = None", stub, "exercise"),
        code("help()", "some help"),
        markdown("**And then?** More.\n\n## What we learned\nMuch."),
        code("print(1)", "kept"),
    )
    assert page.count("and checks each answer") == 1
    for gone in ("No answer yet", "place of", "How many?", "some help"):
        assert gone not in page
    assert "Before." in page
    assert "<strong>And then?</strong> More." in page
    assert "Much." in page
    assert "kept" in page


def test_code_is_folded_under_the_name_that_its_cell_has(chapter):
    page = chapter(code("n = 3", "3", name="count <b>all</b> texts"), code("a.b()", "x"))
    assert "<summary>Code: count &lt;b&gt;all&lt;/b&gt; texts</summary>" in page
    assert "<summary>Code: unnamed</summary>" in page


def test_code_that_shows_nothing_is_no_stack_of_folds(chapter):
    page = chapter(
        code("a = 1", tag="parameters"),
        code("a = 2", tag="injected-parameters"),
        code("import b", name="load b"),
        code("c = b.c()", name="ask b"),
        code("print(c)", "5", name="show it"),
        markdown("text"),
        code("d = 1", name="go on"),
        code("  "),
    )
    assert page.count('<details class="code">') == 4
    assert "<summary>Code: load b; ask b; show it</summary>" in page
    assert page.index("; show it") < page.index(">5") < page.index("Code: go on")
    assert "Code: parameters of this run" in page
