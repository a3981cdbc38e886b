"""`python -m gpt2news.links` on a copy: it changes our links, all of them, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpt2news import links

PROJECT = '[project]\nname = "gpt2-news"\nversion = "1.2.3"\n\n[project.urls]\nRepository = "https://github.com/{}"\n'
README = """# gpt2-news
[![ci](https://github.com/{0}/actions/workflows/ci.yml/badge.svg)](https://github.com/{0}/actions)
[Colab](https://colab.research.google.com/github/{0}/blob/v1.2.3/notebooks/01_explore.ipynb)
[Studio Lab](https://studiolab.sagemaker.aws/import/github/{0}/blob/v1.2.3/notebooks/01_explore.ipynb)
`git clone https://github.com/{0}.git`; the home is https://github.com/{0}; a page is https://github.com/{0}/blob/v1.2.3/docs/x.md.
[report](https://{1}.github.io/{2}/)
[another](https://github.com/{0}-app) [file](https://github.com/{0}.js/x) [owner](https://github.com/{1})
[their fork](https://github.com/someone/{2}) [elsewhere](https://gitlab.com/{0})
[their notebook](https://colab.research.google.com/github/someone/thing/blob/main/notebooks/99_other.ipynb)
"""


def filled(text: str, slug: str) -> str:
    return text.format(slug, *slug.split("/"))


def notebook(slug: str) -> str:
    """A notebook as Jupyter writes it, with characters that a careless rewrite would escape."""
    link = f"https://colab.research.google.com/github/{slug}/blob/v1.2.3/notebooks/01_explore.ipynb"
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": [f"[Colab]({link})\n", "£ — “naïve” \\alpha"]}
    setup = {"cell_type": "code", "id": "b", "metadata": {}, "source": [f'address, tag = "https://github.com/{slug}", "v1.2.3"']}
    content = {"cells": [cell, setup], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A small repository under ada/old-news, with the real module in it."""
    (tmp_path / "lib" / "gpt2news").mkdir(parents=True)
    (tmp_path / "lib" / "gpt2news" / "__init__.py").touch()
    shutil.copy(links.__file__, tmp_path / "lib" / "gpt2news" / "links.py")
    (tmp_path / "notebooks").mkdir()
    write(tmp_path, "ada/old-news")
    return tmp_path


def write(root: Path, slug: str) -> None:
    (root / "pyproject.toml").write_text(PROJECT.format(slug), encoding="utf-8")
    (root / "README.md").write_text(filled(README, slug), encoding="utf-8")
    (root / "CONTRIBUTING.md").write_text(f"See https://github.com/{slug}/issues\n", encoding="utf-8")
    (root / "notebooks" / "01_explore.ipynb").write_text(notebook(slug), encoding="utf-8")


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.suffix != ".pyc"}


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(root / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "gpt2news.links", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def test_it_rewrites_our_links_and_no_others(copy):
    done = run(copy, "grace/news")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["pyproject.toml", "README.md", "CONTRIBUTING.md", "notebooks/01_explore.ipynb"]
    assert (copy / "pyproject.toml").read_text(encoding="utf-8") == PROJECT.format("grace/news")
    ours, others = filled(README, "grace/news").splitlines()[:6], filled(README, "ada/old-news").splitlines()[6:]
    assert (copy / "README.md").read_text(encoding="utf-8").splitlines() == ours + others
    assert (copy / "CONTRIBUTING.md").read_text(encoding="utf-8") == "See https://github.com/grace/news/issues\n"
    assert (copy / "notebooks" / "01_explore.ipynb").read_text(encoding="utf-8") == notebook("grace/news")


def test_there_and_back_leaves_the_same_bytes(copy):
    before = contents(copy)
    assert run(copy, "grace/news.and_more-2").returncode == 0
    assert contents(copy) != before
    assert run(copy, "ada/old-news").returncode == 0
    assert contents(copy) == before


def test_line_ends_are_kept(copy):
    readme = copy / "README.md"
    readme.write_bytes(readme.read_bytes().replace(b"\n", b"\r\n"))
    run(copy, "grace/news")
    assert readme.read_bytes().count(b"\r\n") == README.count("\n") == readme.read_bytes().count(b"\n")


def test_without_argument_the_files_follow_pyproject(copy):
    (copy / "pyproject.toml").write_text(PROJECT.format("grace/news"), encoding="utf-8")
    done = run(copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["README.md", "CONTRIBUTING.md", "notebooks/01_explore.ipynb"]
    ours, others = filled(README, "grace/news").splitlines()[:6], filled(README, "ada/old-news").splitlines()[6:]
    assert (copy / "README.md").read_text(encoding="utf-8").splitlines() == ours + others
    assert "github.com/someone/thing" not in done.stdout


def test_without_argument_nothing_changes_when_all_agree(copy):
    before = contents(copy)
    done = run(copy)
    assert (done.returncode, done.stdout) == (0, "links: nothing to change\n")
    assert contents(copy) == before


@pytest.mark.parametrize(
    "bad",
    [
        "news",
        "a/b/c",
        "/news",
        "ada/",
        "ada news/x",
        "https://github.com/ada/news",
        "ada/news.git",
        "-a/b",
        "a/..",
        "a/b\n",
    ],
)
def test_a_bad_argument_is_an_error_and_changes_nothing(copy, bad):
    before = contents(copy)
    done = run(copy, "--", bad)
    assert done.returncode == 2
    assert "is not owner/name, such as ada/gpt2-news" in done.stderr
    assert contents(copy) == before


def test_a_new_version_is_written_wherever_its_tag_is_named(copy):
    (copy / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 1.2.3\n", encoding="utf-8")
    raised = PROJECT.format("ada/old-news").replace("1.2.3", "2.0.0")
    (copy / "pyproject.toml").write_text(raised, encoding="utf-8")
    done = run(copy)
    assert done.stdout.split() == ["README.md", "CITATION.cff", "notebooks/01_explore.ipynb"]
    for path in (copy / "README.md", copy / "notebooks" / "01_explore.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "blob/v2.0.0/" in text
        assert "1.2.3" not in text
    assert 'old-news\\", \\"v2.0.0\\"' in text
    assert "someone/thing/blob/main/" in (copy / "README.md").read_text(encoding="utf-8")
    assert (copy / "CITATION.cff").read_text(encoding="utf-8") == "cff-version: 1.2.0\nversion: 2.0.0\n"


def test_pyproject_without_a_repository_is_a_clear_error(copy):
    (copy / "pyproject.toml").write_text('[project]\nname = "gpt2-news"\n', encoding="utf-8")
    done = run(copy, "grace/news")
    assert done.returncode != 0
    assert 'no line Repository = "https://github.com/owner/name"' in done.stderr
