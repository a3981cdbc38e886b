"""The set-up cell on a stand-in Colab, and the five notebooks there with their exercises solved.

The host is an environment that has all packages but not this library. `git` copies this tree, and
`pip` installs by a path file: both write down what they were asked. test_host.py has a real pip.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import nbformat
import pytest

from gpt2news.explore import load_corpus
from gpt2news.run import CHAPTERS, ROOT, parameters_of

NOTEBOOKS = ROOT / "notebooks"
OURS = "https://github.com/ada/gpt2-news"
# What makes a run short; a name that a chapter does not have is left out.
SMALL = {
    "01_explore": {"dataset": "small.csv"},
    "02_split": {"dataset": "small.csv"},
    "03_finetune": {"epochs": 1, "max_length": 64, "compare_from_scratch": False},
    "04_evaluate": {"behaviour_texts": 4, "explained": 2},
    "05_deploy": {"timed_texts": 5},
}
SOLUTION = re.compile(r"<details><summary>Solution</summary>\s*```python\n(.*?)\n```", re.DOTALL)
GIT = """#!/bin/sh
echo "$@" >> "$STAND_IN/git.log"
for target; do :; done
cp -r "$STAND_IN/origin" "$target"
"""
PIP = """
import os, pathlib, sys, sysconfig
home = pathlib.Path(os.environ["STAND_IN"])
with open(home / "pip.log", "a") as log:
    print(*sys.argv[1:], file=log)
constraints = pathlib.Path(sys.argv[sys.argv.index("-c") + 1])
(home / "host.txt").write_text(constraints.read_text())
folder = pathlib.Path(sys.argv[-1].partition("[")[0]).resolve()
site = pathlib.Path(sysconfig.get_path("purelib"))
(site / "gpt2news.pth").write_text(str(folder / "lib"))
"""
VISIT = """
import json, sys, papermill
name, values = sys.argv[1], json.loads(sys.argv[2])
papermill.execute_notebook(name, name, values, kernel_name="python3", progress_bar=False)
"""


def notebook(chapter: str) -> nbformat.NotebookNode:
    """A chapter whose set-up cell names the stand-in address, its exercises solved."""
    found = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    solution = None
    for cell in found.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and (code := SOLUTION.findall(cell.source)):
            (solution,) = code
        elif "setup" in tags:
            cell.source, places = re.subn(
                r'address, tag = "[^"]+"', f'address, tag = "{OURS}"', cell.source
            )
            assert places == 1
        elif "exercise" in tags:
            cell.source, places = re.subn(
                r"^answer = None.*$", lambda _, code=solution: code, cell.source, flags=re.MULTILINE
            )
            assert places == 1
            solution = None
    return found


def host(folder: Path) -> Path:
    """A fresh environment with links to the packages of this one, but without this library."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    there = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    left_out = re.compile(r"(?i).*gpt2_?news.*|pip|__pycache__")
    for kind in ("purelib", "platlib"):
        for entry in Path(sysconfig.get_path(kind)).iterdir():
            if not left_out.fullmatch(entry.name) and not (there / entry.name).exists():
                (there / entry.name).symlink_to(entry)
    (there / "pip").mkdir()
    (there / "pip" / "__main__.py").write_text(PIP)
    (folder / "bin" / "git").write_text(GIT)
    (folder / "bin" / "git").chmod(0o755)
    return python


class Colab:
    """A machine with an empty content folder."""

    def __init__(self, folder: Path):
        self.folder, self.content = folder, folder / "content"
        self.content.mkdir()
        self.python = host(folder / "host")
        origin = folder / "origin"
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "raw", "pretraining")
        for name in ("lib", "notebooks", "data", "models", "deploy"):
            shutil.copytree(ROOT / name, origin / name, ignore=left_out)
        shutil.copy(ROOT / "pyproject.toml", origin)
        dropped = ("PYTHONPATH", "GPT2NEWS_REPORTS", "GPT2NEWS_DATA", "VIRTUAL_ENV")
        self.environment = {k: v for k, v in os.environ.items() if k not in dropped}
        self.environment |= {
            "COLAB_RELEASE_TAG": "simulated",
            "STAND_IN": str(folder),
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """The host's Python in the content folder."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.content,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def uninstall(self) -> None:
        """The library is not there any more; its clone is."""
        for path_file in (self.folder / "host").rglob("gpt2news.pth"):
            path_file.unlink()

    def log(self, program: str) -> list[str]:
        file = self.folder / f"{program}.log"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(scope="module")
def colab(tmp_path_factory) -> Colab:
    return Colab(tmp_path_factory.mktemp("colab"))


def setup_cell(chapter: str = "01_explore", solved: bool = True) -> str:
    found = notebook(chapter) if solved else nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", 4)
    (cell,) = [c for c in found.cells if "setup" in c.metadata.get("tags", [])]
    return cell.source


# --- the cell by itself -------------------------------------------------------------------------


def test_elsewhere_it_does_nothing(colab):
    environment = dict(colab.environment)
    del colab.environment["COLAB_RELEASE_TAG"]
    try:
        done = colab.run("-c", setup_cell())
    finally:
        colab.environment = environment
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert colab.log("git") == colab.log("pip") == []


def test_the_cell_is_the_same_in_all_chapters():
    assert len({setup_cell(chapter, solved=False) for chapter in CHAPTERS}) == 1


def test_a_copy_without_an_address_says_so_in_a_line(colab):
    cell = re.sub(r'address, tag = "[^"]+"', 'address, tag = "https://x/OWNER/y"', setup_cell())
    done = colab.run("-c", cell)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "no public address yet" in line
    assert "CONTRIBUTING.md" in line
    assert colab.log("git") == colab.log("pip") == []


@pytest.mark.parametrize("kernel", ["COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"])
def test_it_clones_once_and_installs_under_the_versions_of_the_host(colab, kernel):
    """Twice in one kernel and again in another one: the clone is made once, nothing is printed."""
    colab.uninstall()
    before = len(colab.log("pip"))
    code = setup_cell() + "\nimport gpt2news.run; print(gpt2news.run.ROOT)"
    done = colab.run("-c", f"{setup_cell()}\n{code}", **{kernel: "simulated"})
    assert done.returncode == 0, done.stderr
    clone = colab.content / "gpt2-news"
    assert done.stdout.split() == [str(clone)]
    assert done.stderr == ""
    tag = re.search(r'"(v[\d.]+)"', setup_cell()).group(1)
    assert len(colab.log("pip")) == before + 1, "what is installed is not installed again"
    (asked,) = colab.log("git")
    assert asked.startswith("-c advice.detachedHead=false clone -q "), "no advice is printed"
    assert f"--depth 1 --branch {tag} {OURS} gpt2-news" in asked
    install = colab.log("pip")[before]
    assert re.fullmatch(rf"install -c \S+ -e {clone}\[notebooks\]", install)
    fixed = (colab.folder / "host.txt").read_text().split()
    versions = {name: metadata.version(name) for name in ("numpy", "torch", "protobuf", "pandas")}
    assert {f"{name}=={version}" for name, version in versions.items()} <= set(fixed)
    assert not [line for line in fixed if line.startswith("gpt2")]


def test_the_command_works_there_afterwards(colab):
    assert colab.run("-c", setup_cell()).returncode == 0
    done = colab.run("-m", "newsreport", "--help")
    assert done.returncode == 0, done.stderr
    assert "report" in done.stdout


def test_a_clone_that_fails_stops_the_cell(colab, tmp_path):
    (tmp_path / "git").write_text("#!/bin/sh\necho fatal: no route >&2\nexit 128\n")
    (tmp_path / "git").chmod(0o755)
    empty = tmp_path / "content"
    empty.mkdir()
    colab.uninstall()
    done = subprocess.run(
        [str(colab.python), "-c", setup_cell()],
        cwd=empty,
        env=colab.environment | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "fatal: no route" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("The repository could not be fetched")
    assert "Traceback" not in done.stderr
    assert list(empty.iterdir()) == []


# --- the chapters there -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def executed(colab):
    """Runs a chapter on the stand-in, alone or after others, once; its cells."""
    load_corpus("sample").groupby("topic").head(24).to_csv(colab.content / "small.csv", index=False)
    kept = {}

    def run(chapter: str) -> list[nbformat.NotebookNode]:
        if chapter not in kept:
            names = parameters_of(NOTEBOOKS / f"{chapter}.ipynb")
            values = {name: v for name, v in SMALL[chapter].items() if name in names}
            file = colab.content / f"{chapter}.ipynb"
            nbformat.write(notebook(chapter), file)
            done = colab.run("-c", VISIT, file.name, json.dumps(values))
            assert done.returncode == 0, done.stdout + done.stderr[-3000:]
            kept[chapter] = nbformat.read(file, as_version=4).cells
        return kept[chapter]

    return run


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_solution_is_right(executed, chapter):
    checks = [c for c in executed(chapter) if "exercise" in c.metadata.get("tags", [])]
    assert 3 <= len(checks) <= 9
    for cell in checks:
        shown = [o.data.get("text/markdown", "") for o in cell.outputs if "data" in o]
        verdict = "".join(shown)
        assert verdict.startswith("**Right.**"), f"{cell.source}\n{verdict}"


def test_the_run_is_in_the_clone(colab, executed):
    executed("02_split")
    run = colab.content / "gpt2-news" / "reports" / "quick"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert {"dataset", "split"} <= set(metrics)
    assert metrics["dataset"]["rows"] == 120
