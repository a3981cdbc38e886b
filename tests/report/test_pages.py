"""The pages, from a metrics.json written by hand: every number on a page follows it."""

import copy
import json

import nbformat
import pytest
from huggingface_hub import ModelCard

from gpt2news.run import CHAPTERS, Run
from newsreport import gates, pages

INTERVAL = {"value": 0.9111, "low": 0.8222, "high": 0.9333}
SPREAD = {"mean": 0.9015, "sd": 0.0125, "low": 0.88, "high": 0.92, "runs": 15}
METRICS = {
    "profile": "made-up",
    "dataset": {
        "name": "mine/news.csv",
        "sha256": "0" * 64,
        "rows": 4321,
        "unique": 4210,
        "duplicates_removed": 111,
    },
    "split": {
        "train": 3368,
        "val": 421,
        "test": 421,
        "leaked_exact": 0,
        "leaked_near": 0,
        "seed": 0,
    },
    "model": {
        "name": "gpt2-mini",
        "parameters": 5_024_832,
        "max_length": 512,
        "pooling": "mean",
        "backbone": "models/gpt2-mini",
    },
    "test": {
        "n": 421,
        "accuracy": {"value": 0.9711, "low": 0.9512, "high": 0.9813},
        "macro_f1": {"value": 0.9614, "low": 0.9415, "high": 0.9716},
        "log_loss": 0.1117,
        "log_loss_interval": {"value": 0.1117, "low": 0.0818, "high": 0.1419},
        "ece": 0.0121,
        "ece_before": 0.0322,
        "temperature": 1.23,
        "threshold": 0.77,
        "answered": 0.934,
        "answered_accuracy": 0.985,
        "per_topic": {
            "cats": {"precision": 0.97, "recall": 0.96, "f1": 0.95, "n": 211},
            "dogs": {"precision": 0.94, "recall": 0.93, "f1": 0.92, "n": 210},
        },
    },
    "baseline": {
        "name": "TF-IDF + linear SVM",
        "accuracy": {"value": 0.9617, "low": 0.9418, "high": 0.9719},
    },
    "mcnemar_p": 0.345,
    "verdict": "The fine-tuned model and the rival show no difference that n = 421 can prove.",
    "leaks": {"exact": 0, "near": 0, "named": []},
    "slices": [
        {"slice": "length", "group": "1 to 99 words", "n": 105, **INTERVAL, "small": False},
        {
            "slice": "length",
            "group": "100 to 200 words",
            "n": 5,
            "value": 0.2,
            "low": 0.1,
            "high": 0.5,
            "small": True,
        },
    ],
    "errors": {
        "n": 12,
        "pairs": [
            {
                "pair": "cats / dogs",
                "n": 421,
                "mixed_up": 12,
                "value": 0.0285,
                "low": 0.0164,
                "high": 0.0491,
            }
        ],
        "label_candidates": {"n": 37, "by": "linear", "named": ["a17", "b4"]},
    },
    "behaviour": {"invariance": {"all": {"n": 226, **INTERVAL}, "case": {"n": 50, **INTERVAL}}},
    "off_topic": {
        "n": 48,
        "not_sure": {"value": 0.416, "low": 0.29, "high": 0.56},
        "by_kind": {"recipe": {"n": 8, **INTERVAL}},
    },
    "attribution": {
        "n": 20,
        "share": 0.2,
        "strongest": {"value": 0.79, "low": 0.66, "high": 0.91},
        "random": {"value": 0.013, "low": 0.0, "high": 0.02},
        "strongest_falls_more": INTERVAL,
        "gap": 0.01,
    },
    "studies": {
        "folds": {
            "runs": 14,
            "wanted": 15,
            "max_length": 128,
            "epochs": 2,
            "folds": 5,
            "seeds": 3,
            "accuracy": SPREAD,
            "ece": SPREAD,
            "baseline": {**SPREAD, "mean": 0.9516, "sd": 0.0117},
            "macro_f1": SPREAD,
            "ece_before": SPREAD,
            "difference": {"value": -0.05, "low": -0.06, "high": -0.04, "p": 0.001},
            "verdict": "Over 14 folds: behind, -5.0 points.",
        },
        "ablation": [
            {
                "row": "last@128",
                "reads": "last real token",
                "tokens": 128,
                "runs": 1,
                "accuracy": 0.9,
                "sd": None,
                "low": 0.9,
                "high": 0.9,
                "log_loss": 0.3,
                "seconds": 30.0,
                "again": "gpt2news evaluate --ablation last@128",
            }
        ],
        "curve": None,
    },
    "deploy": {
        "size_mb": 5.46,
        "p50_ms": 43.1,
        "p95_ms": 87.9,
        "parity_max_abs_diff": 1e-5,
        "accuracy_drop": 0.0048,
        "same_answer": 0.9952,
    },
    "seconds": {"01_explore": 5.0},
}
RECORD = {
    "name": "made-up",
    "profile": "bbc",
    "command": "gpt2news report",
    "revision": "abc",
    "started": "2026",
    "machine": "one",
    "versions": {},
    "gates": ["test.accuracy.low >= 0.96", "test.ece <= 0.05"],
    "chapters": {chapter: {"status": "done", "seconds": 1.0} for chapter in CHAPTERS},
}


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
    ("test.accuracy.value", 0.12345, "0.123"),
    ("test.accuracy.low", 0.12345, "0.123 to"),
    ("test.accuracy.high", 0.12345, "to 0.123"),
    ("test.n", 777, "n&nbsp;=&nbsp;777"),
    ("baseline.accuracy.value", 0.12345, "0.123"),
    ("baseline.accuracy.low", 0.12345, "0.123 to"),
    ("mcnemar_p", 0.0123, "McNemar p&nbsp;=&nbsp;0.01"),
    ("mcnemar_p", 0.0000123, "McNemar p&nbsp;=&nbsp;1e-05"),
    ("split.leaked_near", 13, "13 near copies"),
    ("leaks.near", 17, "17 when looked for again"),
    ("test.ece_before", 0.0987, "0.099 → 0.012"),
    ("test.ece", 0.0654, "higher on test"),
    ("test.ece", 0.0312, "no change that matters"),
    ("test.temperature", 2.34, "temperature 2.34"),
    ("test.answered", 0.1234, "12.3 %"),
    ("test.answered_accuracy", 0.1234, "12.3 % of the answers right"),
    ("test.threshold", 0.31, "threshold 0.31"),
    ("off_topic.not_sure.value", 0.13, "13 % get &#34;not sure&#34;"),
    ("errors.n", 71, "71 wrong"),
    ("errors.pairs.0.mixed_up", 14, "cats / dogs: 14 of 421"),
    ("slices.0.value", 0.43, "0.43 (0.82 to 0.93), n = 105"),
    ("studies.folds.accuracy.mean", 0.4321, "0.432 ± 0.013"),
    ("studies.folds.runs", 3, "3 of 15 trainings"),
    ("studies.folds.verdict", "Over 14 folds: ahead.", "Over 14 folds: ahead."),
    ("errors.label_candidates.n", 59, "59, first a17, b4"),
    ("behaviour.invariance.all.value", 0.13, "invariance 13 % of 226"),
    ("attribution.random.value", 0.67, "random ones by 0.67"),
    ("test.log_loss", 0.7654, "0.765 nats"),
    ("deploy.size_mb", 77.7, "77.7 MB"),
]


@pytest.mark.parametrize(("path", "value", "shown"), NUMBERS)
def test_the_index_follows_metrics(index, path, value, shown):
    before = index(METRICS).replace('"', "&#34;")
    after = index(changed(path, value)).replace('"', "&#34;")
    assert shown not in before
    assert shown in after


def test_a_slice_is_called_weak_only_where_it_is_shown_to_be(index):
    assert "weakest slice: length 1 to 99 words, 0.91" in index(METRICS)
    assert "weakest slice" not in index(changed("slices.0.high", 0.98))
    assert "weakest slice" not in index(changed("slices", []))


def test_the_index_has_the_one_figure_that_answers(index, tmp_path):
    assert "<img" not in index(METRICS)
    (tmp_path / "made-up" / "figures").mkdir()
    (tmp_path / "made-up" / "figures" / "accuracy.png").touch()
    page = index(METRICS)
    assert page.count("<img") == 1
    assert "n = 421: fine-tuned model 0.971 (0.951 to 0.981); TF-IDF + linear SVM 0.962" in page


def test_invented_articles_and_a_miniature_are_called_so(index):
    page = index(METRICS)
    assert "invented" not in page
    assert "a miniature of GPT-2 with 5 M parameters" in page
    assert "articles of this run are invented" in index(changed("dataset.name", "sample"))
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
        "42 % of 48 texts",
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


def code(source: str, printed: str = "", tag: str | None = None):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": [tag]} if tag else {})
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


def test_unanswered_exercises_are_one_note(chapter):
    stub = "No answer yet. Put a number in place of None and run the cell again."
    page = chapter(
        markdown("## Exercises"),
        markdown("**1.** How many?"),
        code("answer = None", stub, "exercise"),
        markdown("**2.** And why?"),
        code("answer = None", stub, "exercise"),
    )
    assert "No answer yet" not in page
    assert page.count("checks your answer") == 1
    assert page.index("How many?") < page.index("checks your answer") < page.index("And why?")
    answered = chapter(markdown("## Exercises"), code("answer = 3", "Right.", "exercise"))
    assert "Right." in answered
    assert "checks your answer" not in answered


def test_code_that_shows_nothing_is_no_stack_of_folds(chapter):
    page = chapter(
        code("a = 1", tag="parameters"),
        code("a = 2", tag="injected-parameters"),
        code("import b"),
        code("c = b.c()"),
        code("print(c)", "5"),
        markdown("text"),
        code("d = 1"),
        code("  "),
    )
    assert page.count('<details class="code">') == 4
    assert "<summary>Code: import b</summary>" in page
    assert page.index("import") < page.index(">5") < page.index("<summary>Code: d = 1</summary>")
    assert "Code: parameters of this run" in page
