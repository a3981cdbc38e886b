"""The five notebooks as Colab runs them: no library there, a stand-in `google.colab`, the clone taken from a local address.

The notebooks carry the solutions of their exercises here, so that the same run also says whether those are right.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import pytest

from gpt2news import colab, links
from gpt2news.explore import load_corpus
from gpt2news.run import ROOT
from newsreport import CHAPTERS, NOTEBOOKS

LACKING = "pooch"  # a small package that the stand-in host does not have
SMALL = {
    "01_explore": {"dataset": "small.csv"},
    "02_split": {"dataset": "small.csv"},
    "03_finetune": {"epochs": 1, "max_length": 64, "compare_from_scratch": False},
    "04_evaluate": {"behaviour_texts": 4, "explained": 2},
    "05_deploy": {"timed_texts": 5},
}
SOLUTION = re.compile(r"<details><summary>Solution</summary>\s*```python\n(.*?)\n```", re.DOTALL)
VISIT = """
import json, sys, papermill
for chapter, values in json.loads(sys.argv[1]).items():
    print(chapter, flush=True)
    papermill.execute_notebook(f"{chapter}.ipynb", f"{chapter}.ipynb", values, kernel_name="python3", progress_bar=False)
"""
STAND_IN = "from types import SimpleNamespace\ndrive = SimpleNamespace(mount=lambda folder: print('mounted', folder))\n"


def solved(chapter: str) -> nbformat.NotebookNode:
    """A notebook with the folded solution of each exercise in the place of `answer = None`."""
    notebook = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    solution = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := SOLUTION.findall(cell.source)):
            (solution,) = found
        elif "exercise" in cell.metadata.get("tags", []):
            cell.source, places = re.subn(
                r"^answer = None.*$", lambda _, code=solution: code, cell.source, flags=re.MULTILINE
            )
            assert places == 1
            solution = None
    return notebook


def wheel_of(package: str, folder: Path) -> Path:
    """An installed pure-Python package, put back into a wheel: what the simulated pip finds."""
    distribution = metadata.distribution(package)
    wheel = folder / f"{package}-{distribution.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in distribution.files:
            if (
                ".." not in file.parts
                and "__pycache__" not in file.parts
                and file.name not in ("INSTALLER", "REQUESTED")
            ):
                archive.write(file.locate(), str(file))
    return wheel


def host(folder: Path) -> Path:
    """A fresh environment that has what the tests' own has, by links, but neither gpt2-news nor `LACKING`; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    there = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    left_out = re.compile(rf"(?i).*gpt2_?news.*|{LACKING}(-.*\.dist-info)?|google|__pycache__")
    here = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    for entry in (e for place in here for e in place.iterdir()):
        if not left_out.fullmatch(entry.name) and not (there / entry.name).exists():
            (there / entry.name).symlink_to(entry)
    google = there / "google"
    google.mkdir()
    for entry in (
        e for place in here if (place / "google").is_dir() for e in (place / "google").iterdir()
    ):
        (google / entry.name).symlink_to(entry)
    (google / "colab").mkdir()
    (google / "colab" / "__init__.py").write_text(STAND_IN)
    return python


def origin(folder: Path) -> Path:
    """This tree as a repository with the version's tag, to be cloned from."""
    left_out = shutil.ignore_patterns(
        ".git", ".venv", "venv", ".lock", "build", "__pycache__", "*.egg-info", "raw", "[!R]*.part"
    )
    shutil.copytree(
        ROOT,
        folder,
        ignore=lambda place, names: {
            *left_out(place, names),
            *(names if Path(place) == ROOT / "reports" else ()),
        },
    )
    git = ["git", "-C", str(folder), "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["commit", "--quiet", "-m", "x"],
        ["tag", f"v{links.version()}"],
    ):
        subprocess.run([*git, *words], check=True)
    return folder


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """One visit to the stand-in Colab: `(folder of the executed notebooks, the host's Python)`."""
    folder = tmp_path_factory.mktemp("colab")
    content = folder / "content"
    content.mkdir()
    python = host(folder / "host")
    (folder / "wheels").mkdir()
    wheel_of(LACKING, folder / "wheels")
    address = f"https://github.com/{links.repository()}"
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in ("PYTHONPATH", "GPT2NEWS_REPORTS", "VIRTUAL_ENV", "PIP_INDEX_URL")
    }
    environment |= {
        "COLAB_RELEASE_TAG": "simulated", "PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(folder), "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{origin(folder / 'origin')}.insteadOf", "GIT_CONFIG_VALUE_0": address,
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels"), "PIP_CONFIG_FILE": os.devnull,
    }  # fmt: skip
    load_corpus("sample").groupby("topic").head(24).to_csv(content / "small.csv", index=False)
    for chapter in CHAPTERS:
        nbformat.write(solved(chapter), content / f"{chapter}.ipynb")
    command = [
        str(python),
        "-c",
        VISIT,
        json.dumps({chapter: SMALL.get(chapter, {}) for chapter in CHAPTERS}),
    ]
    done = subprocess.run(
        command, cwd=content, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return content, python


def setup_output(content: Path, chapter: str) -> str:
    cells = nbformat.read(content / f"{chapter}.ipynb", as_version=4).cells
    (cell,) = [c for c in cells if "setup" in c.metadata.get("tags", [])]
    return "".join(output.text for output in cell.outputs)


def test_the_clone_is_shallow_at_the_tag_and_holds_the_run(visit):
    content, _ = visit
    clone = content / "gpt2-news"
    ask = lambda *words: subprocess.run(
        ["git", "-C", str(clone), *words], capture_output=True, text=True, check=True
    ).stdout.strip()  # noqa: E731
    assert ask("rev-parse", "--is-shallow-repository") == "true"
    assert ask("describe", "--tags") == f"v{links.version()}"
    run = clone / "reports" / "quick"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert {"dataset", "split", "model", "test", "deploy"} <= set(metrics)
    assert metrics["dataset"]["rows"] == 120


def test_only_what_lacks_is_installed_once(visit):
    content, python = visit
    first, second = setup_output(content, "01_explore"), setup_output(content, "02_split")
    assert [line for line in first.splitlines() if line.startswith("installing")] == [
        f"installing {LACKING}>=1.8 …"
    ]
    assert "installing" not in second
    where = f"import {LACKING}, torch, numpy, pandas\nfor m in {LACKING}, torch, numpy, pandas: print(m.__file__)"
    files = subprocess.run(
        [str(python), "-c", where], capture_output=True, text=True, check=True
    ).stdout.split()
    added, *kept = (Path(file).parent for file in files)
    assert not added.is_symlink(), "the stand-in host was meant to lack it"
    assert all(folder.is_symlink() for folder in kept), f"{kept}: replaced by the installation"


def test_the_set_up_cell_says_versions_and_how_to_get_a_gpu(visit):
    said = setup_output(visit[0], "03_finetune")
    for name in ("Python", "torch", "transformers", "onnxruntime"):
        assert re.search(rf"{name} \d+\.\d+", said), said
    assert "GPU:" in said or "Runtime > Change runtime type > T4 GPU" in said
    assert "keep_in_drive = True" in said
    assert "Warning" not in said
    assert len(said.splitlines()) <= 6


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_solution_is_right(visit, chapter):
    cells = nbformat.read(visit[0] / f"{chapter}.ipynb", as_version=4).cells
    checks = [c for c in cells if "exercise" in c.metadata.get("tags", [])]
    assert 3 <= len(checks) <= 5
    for cell in checks:
        verdict = "".join(
            output.data.get("text/markdown", "") for output in cell.outputs if "data" in output
        )
        assert verdict.startswith("**Right.**"), f"{cell.source}\n{verdict}"


# --- the parts, one by one ------------------------------------------------------------------------------------------


def test_what_must_stay_is_never_asked_for_but_named_when_it_is_too_old(monkeypatch):
    _, requirements = colab.wanted()
    assert not {"ipykernel", "ipywidgets", "jupyterlab"} & {r.name for r in requirements}, (
        "the host runs on its own"
    )
    versions = {
        r.name: "999" for r in requirements if not any(s.operator == "<" for s in r.specifier)
    }
    monkeypatch.setattr(colab, "installed", lambda name: versions.get(name, "5.1"))
    assert colab.lacking(requirements) == []
    versions |= {"papermill": None, "pooch": "1.0"}
    assert {word.partition(">")[0] for word in colab.lacking(requirements)} == {
        "papermill",
        "pooch",
    }
    versions["torch"] = "2.1.0+cu118"
    with pytest.raises(
        colab.HostError,
        match=r"torch 2.1.0\+cu118 \(needed: >=2.6\), and they are not replaced here",
    ):
        colab.lacking(requirements)


def test_pip_is_told_to_keep_torch_numpy_pandas_as_they_are(monkeypatch):
    seen = {}

    def pip(command, **_):
        seen["command"] = command
        seen["fixed"] = Path(command[command.index("--constraint") + 1]).read_text()
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no such package")

    monkeypatch.setattr(colab.subprocess, "run", pip)
    with pytest.raises(
        colab.HostError, match=r"could not install pooch>=1\.8: ERROR: no such package"
    ):
        colab.install(["pooch>=1.8"])
    fixed = [
        f"{name}=={metadata.version(name)}"
        for name in ("torch", "numpy", "pandas", "ipykernel", "ipywidgets", "jupyterlab")
    ]
    assert seen["fixed"].split() == fixed
    assert not any(re.match(r"(torch|numpy|pandas)\b", word) for word in seen["command"])


def test_runs_can_be_kept_in_drive(tmp_path, monkeypatch):
    (tmp_path / "google" / "colab").mkdir(parents=True)
    (tmp_path / "google" / "colab" / "__init__.py").write_text(STAND_IN)
    for name in [name for name in sys.modules if name == "google" or name.startswith("google.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GPT2NEWS_REPORTS", "")
    folder = colab.keep_in_drive(str(tmp_path / "drive"))
    assert folder == tmp_path / "drive" / "MyDrive" / "gpt2-news" / "reports"
    assert os.environ["GPT2NEWS_REPORTS"] == str(folder)
    for name in [name for name in sys.modules if name == "google" or name.startswith("google.")]:
        monkeypatch.delitem(sys.modules, name)


def test_the_set_up_cell_is_the_same_everywhere_and_installs_nothing_by_name():
    sources = {
        cell.source
        for chapter in CHAPTERS
        for cell in nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4).cells
        if "setup" in cell.metadata.get("tags", [])
    }
    (source,) = sources
    assert f'"v{links.version()}"' in source, "run `make links`"
    assert "pip" not in source
