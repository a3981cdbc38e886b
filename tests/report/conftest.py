"""Five tiny notebooks in place of the real ones: a run of them takes seconds."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from gpt2news.run import CHAPTERS
from newsreport.profiles import load_profile
from newsreport.run import run_report

PARAMETERS = """run = "x"  # folder
value = 1  # a number
share = 0.5  # a share
source = ""  # a file
dataset = "sample"  # a corpus
"""
# Each chapter leaves a file of its own, and a line in log.txt: what has run, in which order.
BODY = """from gpt2news.run import Run, atomic
report = Run(run)
with atomic(report.path("{chapter}.txt")) as file:
    file.write_text(str(value))
with open(report.path("log.txt"), "a") as file:
    file.write("{chapter}\\n")
"""


@dataclass
class Tiny:
    """A folder with five tiny notebooks and a profile `p`, and the folder of its reports."""

    notebooks: Path
    reports: Path

    def write(self, chapter: str, code: str) -> None:
        """Put `code` in place of what a chapter does."""
        notebook = nbformat.v4.new_notebook()
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.metadata["kernelspec"] = kernel
        tagged = {"tags": ["parameters"]}
        notebook.cells = [
            nbformat.v4.new_markdown_cell("# A chapter", id="title"),
            nbformat.v4.new_code_cell(PARAMETERS, metadata=tagged, id="parameters"),
            nbformat.v4.new_code_cell(code, id="body"),
        ]
        nbformat.write(notebook, self.notebooks / f"{chapter}.ipynb")

    def append(self, chapter: str, code: str) -> None:
        """Let a chapter do `code` besides."""
        self.write(chapter, BODY.replace("{chapter}", chapter) + code)

    def profile(self, text: str) -> None:
        """Write the profile `p`."""
        (self.notebooks / "profiles" / "p.yaml").write_text(text, encoding="utf-8")

    def load(self, *sets: str):
        return load_profile("p", sets, self.notebooks)

    def go(self, *sets: str, name: str | None = None, fresh: bool = False):
        """Run; returns the exit code, the run's folder, run.json, all that was said."""
        said = []
        code = run_report(self.load(*sets), name, fresh, say=said.append)
        folder = self.reports / (name or "p")
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return code, folder, record, "\n".join(said)

    def ran(self, name: str = "p") -> list[str]:
        """The chapters that have run into a folder so far, in order."""
        log = self.reports / name / "log.txt"
        return log.read_text(encoding="utf-8").split() if log.exists() else []


def write_tiny(folder: Path) -> Tiny:
    tiny = Tiny(folder / "notebooks", folder / "reports")
    (tiny.notebooks / "profiles").mkdir(parents=True)
    tiny.profile("01_explore:\n  value: 7\n")
    for chapter in CHAPTERS:
        body = BODY.replace("{chapter}", chapter)
        if chapter == "04_evaluate":
            body = "import gpt2news.show\n" + body
        tiny.write(chapter, body)
    return tiny


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Tiny:
    """Five tiny notebooks that have not run."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    return write_tiny(tmp_path)


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPT2NEWS_REPORTS", str(folder / "reports"))
        code, *_, said = write_tiny(folder).go()
    assert code == 0, said
    return folder


@pytest.fixture
def finished(finished_once, tmp_path, monkeypatch) -> Tiny:
    """A copy of five tiny notebooks and their finished run `p`: nothing in it need run again."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    shutil.copytree(finished_once, tmp_path, dirs_exist_ok=True)
    return Tiny(tmp_path / "notebooks", tmp_path / "reports")
