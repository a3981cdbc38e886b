"""The runner, on five tiny notebooks: order, what is kept, failures, limits, locks."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock

import gpt2news.show
from gpt2news.run import CHAPTERS
from newsreport.gates import ReportError
from newsreport.run import run_report


def test_it_runs_in_order_with_the_profiles_values_then_keeps_all(finished):
    folder = finished.reports / "p"
    assert finished.ran() == list(CHAPTERS)
    assert (folder / "01_explore.txt").read_text() == "7"
    assert (folder / "02_split.txt").read_text() == "1"
    for chapter in CHAPTERS:
        assert (folder / f"{chapter}.html").exists()
        assert (folder / "notebooks" / f"{chapter}.ipynb").exists()
    record = json.loads((folder / "run.json").read_text())
    assert all(e["status"] == "done" and e["seconds"] > 0 for e in record["chapters"].values())
    assert record["versions"]["torch"]
    code, _, again, said = finished.go()
    assert code == 0
    assert len(finished.ran()) == 5
    assert said.count("unchanged, kept") == 5
    assert again["chapters"] == record["chapters"]


def test_fresh_runs_all(finished):
    assert finished.go(fresh=True)[0] == 0
    assert finished.ran()[5:] == list(CHAPTERS)


def test_a_changed_value_or_a_missing_output_runs_from_there_on(finished):
    finished.go("03_finetune.value=5")
    assert finished.ran()[5:] == ["03_finetune", "04_evaluate", "05_deploy"]
    (finished.reports / "p" / "04_evaluate.txt").unlink()
    finished.go("03_finetune.value=5")
    assert finished.ran()[8:] == ["04_evaluate", "05_deploy"]


def test_a_touched_module_runs_from_the_chapter_that_imports_it(finished):
    module = Path(gpt2news.show.__file__)
    before = module.stat()
    try:
        os.utime(module)
        finished.go()
    finally:
        os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert finished.ran()[5:] == ["04_evaluate", "05_deploy"]


def test_a_changed_input_file_counts(finished, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("a")
    finished.go(f"04_evaluate.source={data}")
    data.write_text("b")
    finished.go(f"04_evaluate.source={data}")
    assert finished.ran()[7:] == ["04_evaluate", "05_deploy"]
    finished.go(f"04_evaluate.source={data}")
    assert len(finished.ran()) == 9


def test_new_records_of_a_study_run_chapter_04_again(finished):
    (finished.reports / "p" / "studies").mkdir()
    (finished.reports / "p" / "studies" / "folds.csv").write_text("")
    finished.go()
    assert finished.ran()[5:] == ["04_evaluate", "05_deploy"]
    finished.go()
    assert len(finished.ran()) == 7


def test_a_failing_chapter_is_named_shown_and_gone_on_from(finished):
    good = (finished.notebooks / "03_finetune.ipynb").read_text()
    finished.write("03_finetune", "print('so far')\nraise ValueError('row 7 is <empty>')")
    code, folder, record, said = finished.go()
    assert code == 1
    assert "03_finetune: ValueError: row 7 is <empty>" in said
    states = [entry["status"] for entry in record["chapters"].values()]
    assert states == ["done", "done", "failed", "not run", "not run"]
    index = (folder / "index.html").read_text()
    assert "03_finetune" in index
    assert "row 7 is &lt;empty&gt;" in index
    assert "so far" in (folder / "03_finetune.html").read_text()
    assert (folder / "notebooks" / "03_finetune.ipynb").exists()
    # Pages of the run before would be stale.
    assert not (folder / "04_evaluate.html").exists()
    assert not (folder / "05_deploy.html").exists()
    assert not list(folder.rglob("*.part*"))
    (finished.notebooks / "03_finetune.ipynb").write_text(good)
    assert finished.go()[0] == 0
    assert finished.ran()[5:] == ["03_finetune", "04_evaluate", "05_deploy"]


def test_a_run_that_was_killed_goes_on_with_the_chapter_that_was_running(finished):
    file = finished.reports / "p" / "run.json"
    record = json.loads(file.read_text())
    record["chapters"]["04_evaluate"] = {"status": "running", "seconds": None}
    del record["chapters"]["05_deploy"]
    file.write_text(json.dumps(record))
    assert finished.go()[0] == 0
    assert finished.ran()[5:] == ["04_evaluate", "05_deploy"]


@pytest.mark.parametrize("content", ["", "[]", '{"chapters": null}', '{"chapters"'])
def test_a_broken_run_json_starts_over(finished, content):
    (finished.reports / "p" / "run.json").write_text(content)
    finished.write("01_explore", "1 / 0")
    assert finished.go()[0] == 1
    assert finished.ran()[5:] == []


def test_time_limit(tiny):
    tiny.profile("time_limit: {01_explore: 3}\n")
    tiny.write("01_explore", "import time\ntime.sleep(60)")
    code, _, record, _ = tiny.go()
    assert code == 1
    assert "time limit of 3 s" in record["chapters"]["01_explore"]["error"]


def test_a_kernel_that_dies_while_a_cell_runs_is_a_failure(tiny):
    tiny.write("01_explore", "import os\nos._exit(9)")
    code, _, record, _ = tiny.go()
    assert code == 1
    assert record["chapters"]["01_explore"]["error"].startswith("Kernel died; out of memory")


@pytest.mark.parametrize(("deaths", "status"), [(1, "done"), (2, "failed")])
def test_a_kernel_that_dies_before_it_answers_is_started_once_more(
    tiny, tmp_path, monkeypatch, deaths, status
):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    counter = tmp_path / "starts"
    counter.touch()
    starter = tmp_path / "starter.py"
    starter.write_text(f"""import os, sys
starts = len(open({str(counter)!r}).read())
open({str(counter)!r}, "a").write("x")
if starts < {deaths}:
    sys.exit(1)
os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *sys.argv[1:]])
""")
    argv = [sys.executable, str(starter), "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager.ensure_native_kernel", False)
    tiny.write("02_split", "1 / 0")  # one chapter is enough
    _, _, record, said = tiny.go()
    state = record["chapters"]["01_explore"]
    assert state["status"] == status
    assert said.count("01_explore: Kernel died before replying") == deaths


RECORDS = """report.save_metrics(
    split={"train": value, "val": 1, "test": 1, "leaked_exact": 0, "leaked_near": 2}
)
"""


def test_a_gate_that_is_not_met_ends_with_3_and_is_named_with_its_value(finished):
    finished.append("05_deploy", RECORDS.replace("value", "7"))
    gates = ["split.train >= 7", "split.leaked_near == 0", "test.accuracy.low >= 0.5"]
    finished.profile(f"gates: {json.dumps(gates)}\n01_explore: {{value: 7}}\n")
    code, folder, record, said = finished.go()
    assert code == 3
    assert all(entry["status"] == "done" for entry in record["chapters"].values())
    assert "FAILED in" in said
    assert "gate split.leaked_near == 0: not met, the value is 2" in said
    lacking = (
        "metrics.json has no 'test.accuracy.low': instead of 'test' it has profile, seconds, split"
    )
    assert f"gate test.accuracy.low >= 0.5: not met, {lacking}" in said
    assert "gate split.train" not in said
    index = (folder / "index.html").read_text()
    told = "<code>split.leaked_near == 0</code>, but the value is 2."
    assert f"A gate is not met:</b> {told}" in index
    assert "<code>test.accuracy.low &gt;= 0.5</code>, metrics.json has no &#39;test." in index
    finished.profile("gates: [split.leaked_near <= 2]\n01_explore: {value: 7}\n")
    code, folder, _, said = finished.go()
    assert code == 0
    assert said.count("unchanged, kept") == 5
    index = (folder / "index.html").read_text()
    assert "A gate is not met" not in index
    assert "<code>split.leaked_near &lt;= 2</code>" in index


def test_a_failed_chapter_comes_before_a_gate(tiny):
    tiny.write("01_explore", "1 / 0")
    tiny.profile("gates: [split.train >= 7]\n")
    code, folder, _, said = tiny.go()
    assert code == 1
    assert "gate " not in said
    assert "A gate is not met" not in (folder / "index.html").read_text()


def test_the_same_run_twice_at_once_is_refused(finished):
    with FileLock(finished.reports / ".p.lock"), pytest.raises(ReportError, match="going on"):
        finished.go()
    with FileLock(finished.reports / ".other.lock"):
        assert finished.go()[0] == 0


def test_the_published_results_are_no_run(tiny):
    with pytest.raises(ReportError, match="choose another --name"):
        tiny.go(name="published")
    assert not tiny.reports.exists()


def test_braces_in_a_name_and_in_a_path(tiny, tmp_path, monkeypatch):
    """papermill takes them for parameters of the path."""
    moved = tmp_path / "my {news} repo"
    shutil.copytree(tiny.notebooks, moved / "notebooks")
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(moved / "reports"))
    tiny.notebooks, tiny.reports = moved / "notebooks", moved / "reports"
    tiny.write("02_split", "1 / 0")  # one chapter is enough
    _, folder, record, _ = tiny.go(name="a{b}")
    assert record["chapters"]["01_explore"]["status"] == "done"
    assert (folder / "notebooks" / "01_explore.ipynb").exists()
    assert tiny.ran("a{b}") == ["01_explore"]


def test_executed_notebooks_name_no_folder_of_this_machine(finished):
    for file in (finished.reports / "p" / "notebooks").glob("*.ipynb"):
        assert "papermill" not in json.loads(file.read_text())["metadata"]
        assert str(finished.reports.parent) not in file.read_text()


def test_a_data_file_is_on_record_by_its_name_alone(tiny, tmp_path):
    """Not by its path: in none of the files that a run leaves."""
    file = tmp_path / "home of ada" / "own.csv"
    file.parent.mkdir()
    file.write_text("mine")
    tiny.append("01_explore", LOCATED)
    profile = tiny.load(f"01_explore.dataset={file}", f"02_split.dataset={file}")
    assert run_report(profile, "x", corpora={str(file): file}) == 0
    made = [path for path in (tiny.reports / "x").rglob("*") if path.is_file()]
    assert [path.name for path in made if b"home of ada" in path.read_bytes()] == []
    record = json.loads((tiny.reports / "x" / "run.json").read_text())
    assert record["parameters"]["01_explore"]["dataset"] == "own.csv"
    assert record["command"].endswith(" 01_explore.dataset=own.csv --set 02_split.dataset=own.csv")
    assert (tiny.reports / "x" / "found.txt").read_text() == "mine"
    file.write_text("other")
    assert run_report(profile, "x", corpora={str(file): file}) == 0
    assert (tiny.reports / "x" / "found.txt").read_text() == "other", "its content counts"


def test_two_data_files_of_one_name_are_refused(tiny, tmp_path):
    files = [tmp_path / folder / "own.csv" for folder in "ab"]
    profile = tiny.load(f"01_explore.dataset={files[0]}", f"02_split.dataset={files[1]}")
    with pytest.raises(ReportError, match="two data files of the same name"):
        run_report(profile, "x", corpora={str(file): file for file in files})


LOCATED = """
from gpt2news.explore import locate
print(dataset)
report.path("found.txt").write_text(locate(dataset).read_text())
"""
