"""The runner, the published results and the site under faults: each ends in the same files, or in
one clear sentence."""

import json
import shutil

import nbformat
import pytest
from made_up_run import METRICS, RECORD

import crash_lab
import publish
import website
from gpt2news.run import CHAPTERS, damage
from newsreport import __main__ as cli
from newsreport import pages
from newsreport import run as runner

TWO = CHAPTERS[:2]
# A file, a table and a folder; the second chapter records what the cards and the index need.
FIRST = """from gpt2news.run import Run, atomic, seal
report = Run(run)
with atomic(report.path("splits", "train.csv")) as file:
    file.write_text("text,topic\\na,b\\nc,d\\n")
with atomic(report.path("model")) as folder:
    folder.mkdir()
    (folder / "weights.bin").write_text("weights")
    seal(folder)
"""
SECOND = """from gpt2news.run import Run
from made_up_run import METRICS
report = Run(run)
report.save_metrics(**{k: METRICS[k] for k in METRICS if k not in ("profile", "seconds")})
"""


def execute(source, target, values, **_):
    """papermill's part, in this process: the cells in order, the values after the defaults."""
    notebook = nbformat.read(source, as_version=4)
    names = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
        if "parameters" in cell.metadata.get("tags", []):
            names.update(values)
    nbformat.write(notebook, target)


class Exporter:
    """nbconvert's part: the sources of the cells."""

    def __init__(self, **_):
        pass

    def from_notebook_node(self, notebook, resources):
        return "\n".join(cell.source for cell in notebook.cells), {}


@pytest.fixture
def job(tiny, monkeypatch):
    """`job()`: a report of two chapters into reports/p, all of it in this process."""
    monkeypatch.setattr(runner, "CHAPTERS", TWO)
    monkeypatch.setattr(runner.papermill, "execute_notebook", execute)
    monkeypatch.setattr(pages, "HTMLExporter", Exporter)
    # As it is, but without a look at all modules of the library.
    monkeypatch.setattr(runner, "fingerprint", lambda run, chapter, values, *_: f"{values}")
    for chapter, code in zip(TWO, (FIRST, SECOND), strict=True):
        tiny.write(chapter, code)
    profile = tiny.load()

    def report() -> None:
        lines = []
        if runner.run_report(profile, say=lines.append):
            raise ValueError("\n".join(lines))

    return report


def result(folder) -> dict:
    """What the run left, whole, without the times in it."""
    assert damage(folder) == []
    assert damage(folder / "model") == []
    left = crash_lab.content(folder)
    every = crash_lab.content(folder.parent)
    assert not [name for name in every if ".part" in name or name.endswith(".old")]
    record, metrics = json.loads(left.pop("run.json")), json.loads(left.pop("metrics.json"))
    assert [state["status"] for state in record["chapters"].values()] == ["done", "done"]
    del metrics["seconds"], left["files.json"], left["index.html"]
    return {**left, "metrics": metrics}


def test_a_fault_at_every_write_of_a_report(job, tiny):
    job()
    folder, struck = tiny.reports / "p", 0
    wanted = result(folder)
    assert json.loads((folder / "files.json").read_text())["splits/train.csv"]["rows"] == 2

    def reset():
        shutil.rmtree(tiny.reports, ignore_errors=True)

    for place in crash_lab.strikes(job, tiny.reports, reset):
        job()
        assert result(folder) == wanted, place
        struck += 1
    print(f"report: {struck} strikes")
    assert struck > 60


def test_every_file_of_a_finished_report_cut_short(job, tiny):
    job()
    folder, cut = tiny.reports / "p", 0
    wanted = result(folder)
    kept = tiny.reports.with_name("kept")
    shutil.copytree(folder, kept)
    for path, how in crash_lab.truncations(kept):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        assert damage(folder), (path, how)
        job()
        assert result(folder) == wanted, (path, how)
        cut += 1
    print(f"report: {cut} files cut")
    assert cut >= 30


def test_one_byte_of_any_file_of_a_report_is_found(job, tiny, capsys):
    """By `gpt2news verify`; its list of files is one of them."""
    job()
    folder = tiny.reports / "p"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= 11
    for path in files:
        content = path.read_bytes()
        for place in {0, len(content) // 2, len(content) - 1}:
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert cli.main(["verify", str(folder)]) == 1, (path, place)
        path.write_bytes(content)
    capsys.readouterr()
    assert cli.main(["verify", str(folder)]) == 0
    assert capsys.readouterr().out == "whole\n"


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """`reports/mine`, a finished run that can be published."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    run = tmp_path / "reports" / "mine"
    for name in ("notebooks", "figures"):
        (run / name).mkdir(parents=True)
    for chapter in CHAPTERS:
        nbformat.write(nbformat.v4.new_notebook(), run / "notebooks" / f"{chapter}.ipynb")
        (run / f"{chapter}.html").write_text("page")
    for figure in publish.FIGURES:
        (run / "figures" / f"{figure}.png").write_bytes(b"png")
    dataset = {**METRICS["dataset"], "name": "sample"}
    (run / "metrics.json").write_text(json.dumps({**METRICS, "dataset": dataset}))
    (run / "run.json").write_text(json.dumps(RECORD))
    return tmp_path


def test_a_fault_at_every_write_of_published_results(finished):
    out = finished / "published"

    def job():
        publish.publish("mine", out)

    job()
    wanted, struck = crash_lab.content(out), 0
    for place in crash_lab.strikes(job, out, lambda: None):
        # What was there before is still whole, or not there.
        left = {k: v for k, v in crash_lab.content(out).items() if not k.startswith(".")}
        assert left.items() <= wanted.items(), place
        job()
        left = crash_lab.content(out).items()
        assert {k: v for k, v in left if not k.startswith(".")} == wanted, place
        struck += 1
    print(f"published: {struck} strikes")
    assert struck > 10


def test_a_fault_at_every_write_of_the_site(finished):
    out = finished / "site" / "out"

    def job():
        website.build(out, ["mine"])

    job()
    wanted, struck = crash_lab.content(out), 0
    for place in crash_lab.strikes(job, out.parent, lambda: None):
        assert not out.exists() or crash_lab.content(out) == wanted, place
        job()
        assert crash_lab.content(out) == wanted, place
        struck += 1
    print(f"site: {struck} strikes")
    assert struck > 10
