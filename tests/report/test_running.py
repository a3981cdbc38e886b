"""The runner, on five tiny notebooks: order, caching, failures, limits, locks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

from gpt2news import links
import newsreport as reports

PARAMETERS = (
    'run = "x"  # folder\nvalue = 1  # a number\nshare = 0.5  # a share\nsource = ""  # a file'
)


def tiny(body: str) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# A chapter"),
        parameters,
        nbformat.v4.new_code_cell(body),
    ]
    return notebook


BODY = """from gpt2news import runs
record = run.Run(run)
log = record.path("log.txt")
with run.atomic(record.path("{chapter}.txt")) as file:
    file.write_text(str(value))
with open(log, "a") as file:
    file.write("{chapter}\\n")
"""


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    folder = tmp_path / "notebooks"
    (folder / "profiles").mkdir(parents=True)
    (folder / "profiles" / "p.yaml").write_text("01_explore:\n  value: 7\n")
    for chapter in reports.CHAPTERS:
        body = BODY.replace("{chapter}", chapter)
        if chapter == "04_evaluate":
            body = "from gpt2news import links\n" + body
        nbformat.write(tiny(body), folder / f"{chapter}.ipynb")
    return folder


def go(notebooks, **options):
    said = []
    code = reports.run_report("p", notebooks=notebooks, say=said.append, **options)
    folder = reports.reports_root() / (options.get("name") or "p")
    return code, folder, json.loads((folder / "run.json").read_text()), "\n".join(said)


def ran(folder: Path) -> list[str]:
    return (folder / "log.txt").read_text().split()


def replace_body(notebooks, chapter, body):
    nbformat.write(tiny(body), notebooks / f"{chapter}.ipynb")


def test_runs_in_order_with_the_profiles_values_then_keeps_all(notebooks):
    code, folder, record, _ = go(notebooks)
    assert code == 0
    assert ran(folder) == list(reports.CHAPTERS)
    assert (folder / "01_explore.txt").read_text() == "7"
    assert (folder / "02_split.txt").read_text() == "1"
    assert all(
        (folder / f"{c}.html").exists() and (folder / "notebooks" / f"{c}.ipynb").exists()
        for c in reports.CHAPTERS
    )
    assert all(e["status"] == "done" and e["seconds"] > 0 for e in record["chapters"].values())
    assert record["versions"]["torch"]
    code, folder, _, said = go(notebooks)
    assert code == 0
    assert len(ran(folder)) == 5
    assert said.count("unchanged, kept") == 5
    code, folder, _, _ = go(notebooks, fresh=True)
    assert len(ran(folder)) == 10


def test_a_changed_value_or_a_missing_output_runs_from_there_on(notebooks):
    go(notebooks)
    _, folder, _, _ = go(notebooks, sets=("03_finetune.value=5",))
    assert ran(folder)[5:] == ["03_finetune", "04_evaluate", "05_deploy"]
    (folder / "02_split.txt").unlink()
    _, folder, _, _ = go(notebooks, sets=("03_finetune.value=5",))
    assert ran(folder)[8:] == ["02_split", "03_finetune", "04_evaluate", "05_deploy"]


def test_a_touched_module_runs_from_the_chapter_that_imports_it(notebooks):
    module = Path(links.__file__)
    before = module.stat()
    go(notebooks)
    try:
        os.utime(module)
        _, folder, _, _ = go(notebooks)
    finally:
        os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ran(folder)[5:] == ["04_evaluate", "05_deploy"]


def test_a_changed_input_file_counts(notebooks, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("a")
    sets = (f"02_split.source={data}",)
    go(notebooks, sets=sets)
    data.write_text("b")
    _, folder, _, _ = go(notebooks, sets=sets)
    assert ran(folder)[5:] == ["02_split", "03_finetune", "04_evaluate", "05_deploy"]


def test_real_chapters_depend_on_the_right_modules():
    behind = {
        c: {
            p.name
            for s in nbformat.read(reports.NOTEBOOKS / f"{c}.ipynb", 4).cells
            if s.cell_type == "code"
            for p in reports.code_behind(s.source)
        }
        for c in reports.CHAPTERS
    }
    assert "scoring.py" not in behind["01_explore"] | behind["02_split"] | behind["03_finetune"]
    assert {"scoring.py", "calibration.py", "studies.py", "behaviour.yaml"} <= behind["04_evaluate"]
    assert {"deploy.py", "predictor.py"} <= behind["05_deploy"]


def test_a_failing_chapter_is_named_shown_and_gone_on_from(notebooks):
    good = (notebooks / "03_finetune.ipynb").read_text()
    replace_body(notebooks, "03_finetune", "print('so far')\nraise ValueError('row 7 is <empty>')")
    code, folder, record, said = go(notebooks)
    assert code == 1
    assert "03_finetune: ValueError: row 7 is <empty>" in said
    assert [e["status"] for e in record["chapters"].values()] == [
        "done",
        "done",
        "failed",
        "not run",
        "not run",
    ]
    index = (folder / "index.html").read_text()
    assert "03_finetune" in index
    assert "row 7 is &lt;empty&gt;" in index
    assert "so far" in (folder / "03_finetune.html").read_text()
    assert (folder / "notebooks" / "03_finetune.ipynb").exists()
    assert not (folder / "04_evaluate.html").exists()
    assert not list(folder.rglob("*.part*"))
    (notebooks / "03_finetune.ipynb").write_text(good)
    code, folder, _, _ = go(notebooks)
    assert code == 0
    assert ran(folder) == ["01_explore", "02_split", "03_finetune", "04_evaluate", "05_deploy"]


def test_a_chapter_that_fails_again_leaves_no_stale_pages_behind(notebooks):
    go(notebooks)
    replace_body(notebooks, "02_split", "1 / 0")
    code, folder, _, _ = go(notebooks)
    assert code == 1
    assert not any(
        (folder / f"{c}.html").exists() for c in ("03_finetune", "04_evaluate", "05_deploy")
    )


def test_time_limit(notebooks):
    (notebooks / "profiles" / "p.yaml").write_text("time_limit: {02_split: 3}\n")
    replace_body(notebooks, "02_split", "import time\ntime.sleep(60)")
    code, _, record, _ = go(notebooks)
    assert code == 1
    assert "time limit of 3 s" in record["chapters"]["02_split"]["error"]


def test_a_kernel_that_dies_while_a_cell_runs_is_a_failure(notebooks):
    replace_body(notebooks, "02_split", "import os\nos._exit(9)")
    code, _, record, _ = go(notebooks)
    assert code == 1
    assert "kernel died" in record["chapters"]["02_split"]["error"]


@pytest.mark.parametrize(("deaths", "expected"), [(2, 0), (3, 1)])
def test_a_kernel_that_dies_before_it_answers_is_started_again(
    notebooks, tmp_path, monkeypatch, deaths, expected
):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    counter = tmp_path / "starts"
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import os, sys\n"
        f"n = len(open({str(counter)!r}).read()) if os.path.exists({str(counter)!r}) else 0\n"
        f"open({str(counter)!r}, 'a').write('x')\n"
        f"sys.exit(1) if n < {deaths} else os.execv(sys.executable, [sys.executable, '-m', 'ipykernel_launcher', *sys.argv[1:]])\n"
    )
    kernel = {
        "argv": [sys.executable, str(starter), "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (spec / "kernel.json").write_text(json.dumps(kernel))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager.ensure_native_kernel", False)
    code, _, record, _ = go(notebooks)
    assert code == expected
    assert record["chapters"]["01_explore"]["kernel_restarts"] == 2


RECORDS = (
    BODY
    + 'record.save_metrics(split={"train": value, "val": 1, "test": 1, "leaked_exact": 0, "leaked_near": 2})\n'
)


def with_gates(notebooks, *gates):
    lines = "".join(f"  - {gate}\n" for gate in gates)
    (notebooks / "profiles" / "p.yaml").write_text(f"gates:\n{lines}02_split:\n  value: 7\n")


def test_a_gate_that_is_not_met_ends_with_3_and_is_named_with_its_value(notebooks):
    replace_body(notebooks, "02_split", RECORDS.replace("{chapter}", "02_split"))
    with_gates(notebooks, "split.train >= 7", "split.leaked_near == 0", "test.accuracy.low >= 0.5")
    code, folder, record, said = go(notebooks)
    assert code == 3
    assert all(entry["status"] == "done" for entry in record["chapters"].values())
    assert "FAILED in" in said
    assert "gate split.leaked_near == 0: not met, the value is 2" in said
    assert "gate test.accuracy.low >= 0.5: not met, the value is None" in said
    assert "gate split.train" not in said
    index = (folder / "index.html").read_text()
    assert (
        "A gate is not met:</b> <code>split.leaked_near == 0</code>, but the value is 2." in index
    )
    assert "<code>test.accuracy.low &gt;= 0.5</code>, but the value is missing" in index
    with_gates(notebooks, "split.train >= 7", "split.leaked_near <= 2")
    code, folder, _, said = go(notebooks)
    assert code == 0
    assert said.count("unchanged, kept") == 5
    index = (folder / "index.html").read_text()
    assert "A gate is not met" not in index
    assert "<code>split.leaked_near &lt;= 2</code>" in index


def test_a_failed_chapter_comes_before_a_gate(notebooks):
    replace_body(notebooks, "02_split", "1 / 0")
    with_gates(notebooks, "split.train >= 7")
    code, folder, _, said = go(notebooks)
    assert code == 1
    assert "gate " not in said
    assert "A gate is not met" not in (folder / "index.html").read_text()


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("test.acuracy.low >= 0.9", "metrics.json has no 'acuracy' in test; it has n, accuracy"),
        ("tests.accuracy.low >= 0.9", "metrics.json has no 'tests'; it has profile, dataset"),
        ("test.accuracy >= 0.9", "test.accuracy is not a number; it has value, low, high"),
        ("verdict >= 1", "verdict is not a number"),
        ("test.accuracy.low > many", "write it as path operator number"),
        ("test.accuracy.low = 0.9", "write it as path operator number"),
        ("__import__('os').getcwd() == 1", "write it as path operator number"),
        ("0.9 <= test.accuracy.low", "write it as path operator number"),
    ],
)
def test_a_gate_that_cannot_be_read_is_refused_before_anything_runs(notebooks, gate, message):
    with_gates(notebooks, "split.train >= 7", json.dumps(gate))
    with pytest.raises(reports.ReportError, match=message.replace("(", r"\(")):
        go(notebooks)
    assert not (reports.reports_root() / "p").exists()


@pytest.mark.parametrize("gates", ["split.train >= 7", "{a: 1}"])
def test_gates_are_a_list(notebooks, gates):
    (notebooks / "profiles" / "p.yaml").write_text(f"gates: {gates}\n")
    with pytest.raises(reports.ReportError, match="gates is a list of lines"):
        go(notebooks)


def test_new_records_of_a_study_run_chapter_04_again(notebooks):
    _, folder, _, _ = go(notebooks)
    (folder / "studies").mkdir()
    (folder / "studies" / "folds.json").write_text("{}")
    go(notebooks)
    assert ran(folder)[5:] == ["04_evaluate", "05_deploy"]
    go(notebooks)
    assert len(ran(folder)) == 7


def test_the_same_run_twice_at_once_is_refused(notebooks):
    reports.reports_root().mkdir(parents=True)
    with (
        FileLock(reports.reports_root() / ".p.lock"),
        pytest.raises(reports.ReportError, match="going on"),
    ):
        go(notebooks)
    with FileLock(reports.reports_root() / ".other.lock"):
        assert go(notebooks)[0] == 0


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("03_finetune.epoch=1",), r"no parameter 'epoch'; it has value, share, source"),
        (("03_finetun.value=1",), r"no notebook '03_finetun'; there are 01_explore"),
        (("03_finetune.value=many",), r"value = 'many': str given, int needed"),
        (("03_finetune.value=1.5",), r"float given, int needed"),
        (("03_finetune.run=y",), r"no parameter 'run'"),
        (("03_finetune=1",), r"write it as chapter.parameter=value"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(notebooks, sets, message):
    with pytest.raises(reports.ReportError, match=message):
        go(notebooks, sets=sets)
    assert not (reports.reports_root() / "p").exists()


def test_an_int_fits_a_float(notebooks):
    assert reports.load_profile("p", ("02_split.share=1",), notebooks)["02_split"] == {"share": 1}


def test_unknown_profile_lists_the_known(notebooks):
    with pytest.raises(reports.ReportError, match=r"no profile 'q'; there are p"):
        reports.load_profile("q", (), notebooks)


@pytest.mark.parametrize(
    "profile", sorted(p.stem for p in (reports.NOTEBOOKS / "profiles").glob("*.yaml"))
)
def test_shipped_profiles_are_valid(profile):
    assert set(reports.load_profile(profile)) == {"time_limit", "gates", *reports.CHAPTERS}


def test_quick_is_what_the_notebooks_default_to():
    profile = reports.load_profile("quick")
    for chapter in reports.CHAPTERS:
        defaults = reports.parameters_of(reports.NOTEBOOKS / f"{chapter}.ipynb")
        assert {**defaults, **profile[chapter]} == defaults


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "nope"], "no profile 'nope'; there are bbc"),
        (["--set", "03_finetune.epoch=1"], "no parameter 'epoch'"),
        (["--name", "a/b"], "plain folder name"),
        (["--set", "01_explore.dataset=nowhere.csv", "--name", "x"], "nowhere.csv: no such file"),
    ],
)
def test_the_command_says_what_is_wrong_and_exits_2(tmp_path, arguments, message):
    environment = {**os.environ, "GPT2NEWS_REPORTS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "newsreport", "report", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_executed_notebooks_name_no_folder_of_this_machine(notebooks):
    _, folder, _, _ = go(notebooks)
    for file in (folder / "notebooks").glob("*.ipynb"):
        assert str(folder.parent) not in file.read_text()
    shutil.rmtree(folder)
