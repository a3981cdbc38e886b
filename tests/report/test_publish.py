"""The tables of both READMEs say what is published, and that is what a run measured."""

import json
import subprocess

import nbformat
import pytest

import publish as results
from gpt2news.run import CHAPTERS, ROOT


def test_the_readmes_agree_with_what_is_published():
    for path, wanted in results.pages(results.published()).items():
        assert path.read_text(encoding="utf-8") == wanted, f"{path.name}: run `make results`"


def test_published_figures_are_there_and_nothing_else_is():
    names = set(results.published())
    for file in (ROOT / "reports" / "published").glob("*"):
        assert file.suffix in (".json", ".png") or file.name == "quick"
        assert file.stem.rpartition("-")[0] in names or file.stem in names


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_executed_notebooks_are_those_of_this_repository(chapter):
    """Those of `notebooks/`; older ones must be those of the revision that the record names."""
    file = ROOT / "reports" / "published" / "quick" / f"{chapter}.ipynb"
    assert file.stat().st_size <= results.LARGEST
    shown = nbformat.read(file, as_version=4).cells
    assert any(cell.get("outputs") for cell in shown)
    shown = [c.source for c in shown if "injected-parameters" not in c.metadata.get("tags", [])]
    ours = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4).cells
    if shown == [cell.source for cell in ours]:
        return
    revision = results.published()["quick"]["run"]["revision"].partition(",")[0]
    command = ["git", "show", f"{revision}:notebooks/{chapter}.ipynb"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    then = nbformat.reads(done.stdout, as_version=4).cells if done.returncode == 0 else []
    assert shown == [cell.source for cell in then], "make report, then make results RUNS=quick"
    pytest.skip(f"{chapter} has changed since: make report, then make results RUNS=quick")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with one run of its own, `reports/tiny`."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    run = tmp_path / "reports" / "tiny"
    (run / "figures").mkdir(parents=True)
    (run / "figures" / "accuracy.png").write_bytes(b"png")
    score = {"value": 0.9123, "low": 0.8, "high": 0.97}
    metrics = {
        "dataset": {"name": "mine", "unique": 1234},
        "split": {"test": 50},
        "model": {"name": "mini", "parameters": 2_600_000},
        "test": {"accuracy": score},
        "baseline": {"accuracy": score},
        "mcnemar_p": 1.0,
        "verdict": "They are equal.",
        "deploy": {"size_mb": 3.14, "p50_ms": 6.6},
        "seconds": {"01_explore": 60, "02_split": None, "03_finetune": 60},
        "secret": 1,
    }
    record = {
        "command": "gpt2news report",
        "revision": "0123456789abcdef, with local changes",
        "started": "2026-01-02T03:04",
        "machine": "a laptop",
    }
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "run.json").write_text(
        json.dumps({**record, "chapters": {"05_deploy": {"status": "done"}}})
    )
    for page in (tmp_path / "README.md", tmp_path / "reports" / "README.md"):
        page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    return tmp_path


def test_a_run_is_published_and_told_in_both_pages(root):
    folder = root / "reports" / "published"
    results.publish("tiny", folder)
    assert "secret" not in (folder / "tiny.json").read_text()
    assert (folder / "tiny-accuracy.png").read_bytes() == b"png"
    pages = results.pages(results.published(folder), root)
    short, long = pages[root / "README.md"], pages[root / "reports" / "README.md"]
    score = "0.912 (0.800 to 0.970)"
    what = "| `tiny` | mine, 1,234 different texts | mini, 2.6 M parameters |"
    row = f"{what} **{score}** | {score} | 50 | 3.1 MB | 7 ms |"
    assert row in short
    assert row in long
    assert short.startswith("before\n")
    assert short.endswith("\nafter\n")
    assert "old" not in short
    assert "They are equal." in long
    assert "fine-tuned model 0.912 (0.800 to 0.970)" in long
    assert "(published/tiny-accuracy.png)" in long
    assert "confusion" not in long
    assert "revision 0123456789ab, with local changes, 2026-01-02, 2 minutes on a laptop" in long


def test_of_the_sample_the_executed_notebooks_are_published(root):
    metrics = root / "reports" / "tiny" / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"mine"', '"sample"'))
    notebooks = root / "reports" / "tiny" / "notebooks"
    notebooks.mkdir()
    cell = nbformat.v4.new_code_cell("1", metadata={"papermill": {"x": str(root)}})
    cell.outputs = [nbformat.v4.new_output("stream", text=f"{ROOT}/notebooks/x")]
    for chapter in CHAPTERS:
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebooks / f"{chapter}.ipynb")
    folder = root / "reports" / "published"
    results.publish("tiny", folder)
    text = (folder / "tiny" / "03_finetune.ipynb").read_text(encoding="utf-8")
    assert str(root) not in text
    assert "./notebooks/x" in text
    long = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("x" * results.LARGEST)])
    nbformat.write(long, notebooks / "05_deploy.ipynb")
    with pytest.raises(results.ResultsError, match=r"05_deploy.ipynb has 1\.5 MB"):
        results.publish("tiny", folder)
    metrics.write_text(metrics.read_text().replace('"sample"', '"bbc"'))
    results.publish("tiny", root / "other")  # others' articles: no notebooks
    assert not (root / "other" / "tiny").exists()


def test_studies_of_an_earlier_run_stay_under_its_name(root):
    folder = root / "reports" / "published"
    file, record = root / "reports/tiny/metrics.json", root / "reports/tiny/run.json"
    first = json.loads(file.read_text())
    curve = [{"texts": 50, "model": 0.7, "baseline": 0.8}]
    file.write_text(json.dumps({**first, "studies": {"curve": curve}}))
    results.publish("tiny", folder)
    file.write_text(json.dumps({**first, "studies": {"curve": None, "folds": None}}))
    later = json.loads(record.read_text()) | {"revision": "fedcba9876543210", "started": "2027"}
    record.write_text(json.dumps(later))
    for _ in range(2):
        results.publish("tiny", folder)
        kept = json.loads((folder / "tiny.json").read_text())
        assert kept["metrics"]["studies"]["curve"] == curve
        assert kept["run"]["revision"] == "fedcba9876543210"
        assert kept["run"]["studied"]["revision"].startswith("0123456789abcdef")
    page = results.pages(results.published(folder), root)[root / "reports" / "README.md"]
    assert "Its studies are of revision 0123456789ab, 2026-01-02." in page


def test_a_run_that_failed_is_not_published(root):
    file = root / "reports" / "tiny" / "run.json"
    file.write_text(file.read_text().replace('"done"', '"failed"'))
    with pytest.raises(results.ResultsError, match="05_deploy is not done"):
        results.publish("tiny", root / "reports" / "published")
    assert not (root / "reports" / "published").exists()


def test_figures_of_the_studies_are_told_in_their_numbers(root):
    folder = root / "reports" / "published"
    run = root / "reports" / "tiny"
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["studies"] = {
        "folds": {
            "runs": 15,
            "accuracy": {"mean": 0.95},
            "baseline": {"mean": 0.98},
            "verdict": "Over 15 folds: behind.",
        },
        "ablation": [{"row": "mean@128", "accuracy": 0.94}, {"row": "article", "accuracy": 0.5}],
        "curve": [{"texts": 50, "model": 0.7, "baseline": 0.8}],
    }
    (run / "metrics.json").write_text(json.dumps(metrics))
    for name in ("folds", "ablation", "learning_curve"):
        (run / "studies").mkdir(exist_ok=True)
        (run / "studies" / f"{name}.png").write_bytes(b"png")
    results.publish("tiny", folder)
    page = results.pages(results.published(folder), root)[root / "reports" / "README.md"]
    assert "They are equal. Over 15 folds: behind.\n" in page
    assert (
        "![Accuracy, mean of 15 folds: model 0.950, linear model 0.980.](published/tiny-folds.png)"
        in page
    )
    assert (
        "![Validation accuracy: mean@128 0.940; article 0.500.](published/tiny-ablation.png)"
        in page
    )
    alt = "Accuracy by training texts: 50 texts 0.700, linear model 0.800."
    assert f"![{alt}](published/tiny-learning_curve.png)" in page


def test_a_page_without_a_place_is_named(root):
    (root / "README.md").write_text("nothing")
    with pytest.raises(
        results.ResultsError, match=r"README\.md: one place for the results is needed"
    ):
        results.pages({}, root)


def test_the_command_says_what_is_wrong(root, capsys):
    assert results.main(["nowhere"]) == 2
    assert "reports/nowhere: no such run" in capsys.readouterr().err


def test_the_command_says_what_it_did(root, monkeypatch, capsys):
    folder = root / "reports" / "published"
    monkeypatch.setattr(results, "ROOT", root)
    monkeypatch.setattr(results.publish, "__defaults__", (folder,))
    monkeypatch.setattr(results.told, "__defaults__", (folder,))
    monkeypatch.setattr(results.published, "__defaults__", (folder,))
    monkeypatch.setattr(results.pages, "__defaults__", (root,))
    assert results.main(["tiny"]) == 0
    said = capsys.readouterr().out.splitlines()
    score = "0.912 (0.800 to 0.970)"
    assert said == [
        f"results: reports/tiny published: accuracy {score}, revision 0123456789ab",
        "results: README.md written",
        "results: reports/README.md written",
    ]
    assert score in (root / "README.md").read_text()
