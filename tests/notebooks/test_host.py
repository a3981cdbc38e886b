"""`deploy/host.py` with a real pip, on a small host with an index of its own; no network."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gpt2news.run import ROOT

INSTALL = "import json, host, sys; print(json.dumps(host.install(sys.argv[1])))"
BACKEND = """
import shutil
def build_editable(folder, *_):
    return shutil.copy({wheel!r}, folder).rpartition("/")[2]
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "gpt2-news"
version = "1"
"""


def wheel(folder: Path, name: str, version: str, needs: tuple[str, ...] = ()) -> str:
    """Write a wheel without modules; its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        "METADATA": head + "".join(f"Requires-Dist: {need}\n" for need in needs),
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    file = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for part, content in files.items():
            archive.writestr(f"{stem}.dist-info/{part}", content)
    return str(file)


class Host:
    """A Python with pip, and `index`, a folder of wheels that is all that pip sees."""

    def __init__(self, folder: Path):
        self.folder, self.index = folder, folder / "index"
        self.index.mkdir()
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        self.python = str(folder / "venv" / "bin" / "python")

    def run(self, *arguments: str) -> str:
        offline = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "PIP_CONFIG_FILE": os.devnull,
            "PYTHONPATH": str(ROOT / "deploy"),
            "PATH": os.environ["PATH"],
        }
        command = [self.python, *arguments]
        done = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, *needs: str) -> dict[str, str]:
        """What `host.install` says of a library with these needs."""
        library = self.folder / "library"
        library.mkdir(exist_ok=True)
        ours = wheel(library, "gpt2-news", "1", needs)
        (library / "backend.py").write_text(BACKEND.format(wheel=ours))
        (library / "pyproject.toml").write_text(PROJECT)
        return json.loads(self.run("-c", INSTALL, str(library)).splitlines()[-1])

    def versions(self) -> dict[str, str]:
        listed = json.loads(self.run("-m", "pip", "list", "--format", "json"))
        return {each["name"]: each["version"] for each in listed}


@pytest.fixture
def host(tmp_path) -> Host:
    """It has thing 1, which other 1 needs; the index has newer ones of both, and of more."""
    host = Host(tmp_path)
    for version in ("1", "2"):
        wheel(host.index, "thing", version)
        wheel(host.index, "other", version, (f"thing=={version}",))
    wheel(host.index, "more", "1", ("thing<2",))
    wheel(host.index, "more", "2", ("thing>=2",))
    host.run("-m", "pip", "install", "-q", "other==1")
    return host


def test_what_fits_as_it_is_does_not_move(host):
    """The newest `more` wants another `thing`, so an older `more` is taken."""
    assert host.install("other", "more") == {}
    found = host.versions()
    assert (found["thing"], found["other"], found["more"]) == ("1", "1", "1")
    assert "gpt2-news" in found


def test_what_cannot_be_solved_moves_alone_and_is_said(host):
    wheel(host.index, "aside", "2")
    wheel(host.index, "aside", "1")
    host.run("-m", "pip", "install", "-q", "aside==1")
    assert host.install("thing>=2", "aside") == {"thing": "1 to 2"}
    assert host.versions()["aside"] == "1"
    assert host.versions()["other"] == "1"


def test_a_failure_that_is_not_of_versions_ends_in_a_sentence(host):
    with pytest.raises(AssertionError, match=r"pip could not install the library: .*nowhere"):
        host.install("nowhere")
