"""What the repository promises about itself: pins that agree, nothing that leaks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]


def git(*arguments: str) -> subprocess.CompletedProcess:
    """Run git in the repository; a copy without .git (say, a downloaded archive) skips the test."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


def text_files() -> dict[str, str]:
    """Name and content of each text file that is, or could be, committed."""
    listed = git("ls-files", "-co", "--exclude-standard", "-z")
    assert listed.returncode == 0, listed.stderr
    files = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes())[:8192]:
            files[name] = content.decode("utf-8", errors="replace")
    assert "pyproject.toml" in files
    return files


# --- dependencies --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lock() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    unpinned = [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line)
    ]
    assert not unpinned, f"requirements.lock: each line is name==version, these are not: {unpinned}"
    return {
        canonicalize_name(name): version for name, version in (line.split("==") for line in lines)
    }


@pytest.fixture(scope="module")
def direct() -> list[Requirement]:
    """The dependencies that pyproject.toml names, without the references to its own extras."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [
        *project["dependencies"],
        *chain.from_iterable(project["optional-dependencies"].values()),
    ]
    return [r for r in map(Requirement, named) if canonicalize_name(r.name) != project["name"]]


@pytest.fixture(scope="module")
def conda() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_lock_pins_torch_without_a_local_suffix(lock):
    assert lock["torch"] == "2.13.0", "+cpu or +cu130 would tie the lock to one index of wheels"


def test_lock_has_every_direct_dependency_within_its_range(lock, direct):
    missing = [r.name for r in direct if canonicalize_name(r.name) not in lock]
    assert not missing, f"not in requirements.lock, run `make lock`: {missing}"
    outside = [
        str(r) for r in direct if Version(lock[canonicalize_name(r.name)]) not in r.specifier
    ]
    assert not outside, f"requirements.lock is outside pyproject.toml's range: {outside}"


OF_CONDA = {"pytorch": "torch"}  # conda-forge's name -> PyPI's


def conda_parts(conda: dict) -> tuple[list[Requirement], list[Requirement]]:
    """What comes from conda-forge, and what pip installs beside it."""
    *forge, inside = conda["dependencies"]
    by_pip = [Requirement(line) for line in inside["pip"] if not line.startswith("-")]
    return [Requirement(line) for line in forge[2:]], by_pip


def test_conda_environment_takes_from_conda_forge_what_is_there(conda):
    assert (conda["name"], conda["channels"]) == ("gpt2-news", ["conda-forge"])
    assert re.fullmatch(r"python=3\.1[1-4]", conda["dependencies"][0])
    assert conda["dependencies"][1] == "pip"
    assert conda["dependencies"][-1]["pip"][-1] == "-e ."
    forge, by_pip = conda_parts(conda)
    expected = {"pytorch", "jupyterlab", "papermill", "pandas", "scikit-learn", "matplotlib"}
    assert expected | {"seaborn", "pyarrow", "numpy", "transformers"} <= {r.name for r in forge}
    assert len(by_pip) < len(forge) / 4


def test_conda_environment_has_each_direct_dependency_once_in_its_range(conda, lock, direct):
    forge, by_pip = conda_parts(conda)
    ranges = {canonicalize_name(r.name): str(r.specifier) for r in direct}
    found = {canonicalize_name(OF_CONDA.get(r.name, r.name)): str(r.specifier) for r in forge}
    assert {name: ranges.get(name) for name in found} == found
    pinned = {canonicalize_name(r.name): str(r.specifier) for r in by_pip}
    assert pinned == {name: f"=={lock[name]}" for name in pinned}
    assert not found.keys() & pinned.keys()
    assert found.keys() | pinned.keys() == ranges.keys()


def test_conda_environment_says_what_each_dependency_is_for():
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if re.match(r" +- [\w\[\]-]+[=<>]=\S", line)]
    assert len(wanted) > 30
    assert [line for line in wanted if not re.search(r"\S +# \w", line)] == []


def test_precommit_runs_the_versions_of_the_lock(lock):
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    tags = {repo["repo"].rsplit("/", 1)[1]: repo["rev"] for repo in repos}
    assert tags["ruff-pre-commit"] == f"v{lock['ruff']}"
    assert tags["nbstripout"] == lock["nbstripout"]


# --- what git sees -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "lib/gpt2news/new_module.py",
        "data/README.md",
        "data/sample/articles.csv",
        "models/gpt2-mini/model.safetensors",
        "reports/README.md",
    ],
)
def test_git_does_not_ignore(name):
    asked = git("check-ignore", "--no-index", name)
    assert asked.returncode == 1, f"{name} is ignored {asked.stderr}"


@pytest.mark.parametrize(
    "name", ["data/raw/bbc-text.csv", "reports/bbc/splits/train.csv", "models/pretraining/x.pt"]
)
def test_git_ignores(name):
    assert git("check-ignore", "--no-index", name).returncode == 0


SEPARATE = (
    r"(?<![\w.~)}>\]-])"  # what stands before a path that starts at the root of a file system
)
INDEX = r"(?:index[-_]url|trusted[-_]host|find[-_]links)[\"']?[ =:]+[\"']?"
FORBIDDEN = {
    "a path of one machine": "|".join(
        [
            SEPARATE + "/(?:work|root)/",
            SEPARATE + "/home/(?!ec2-user/)[a-z][a-z0-9_.-]*/",
            SEPARATE + "/tmp/[p]ip",
        ]
    ),
    "a package index that is not public": "|".join(
        [
            "(?i)"
            + INDEX
            + r"(?!https://(?:pypi\.org|download\.pytorch\.org)/)(?:https?://|/)[\w.-]+",
            r"https?://(?:[^\s/@]*@)?[\w.-]*(?:artifactory|codeartifact|jfrog|devpi|nexus|pypiserver)[\w.-]*",
            r"https?://(?:[^\s/@]*@)?[\w.-]+\.(?:internal|corp|lan|intranet)\b(?<!docker\.internal)",
        ]
    ),
    "an AWS key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
}


def findings(text: str) -> list[str]:
    """What is forbidden in a text, as `kind (line n)`: not the string itself, it may be secret."""
    return [
        f"{kind} (line {text.count(chr(10), 0, hit.start()) + 1})"
        for kind, pattern in FORBIDDEN.items()
        for hit in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize(
    "parts",
    [
        ("see ", "/work", "/main"),
        ("file://", "/root", "/.cache"),
        ("'", "/home", "/ada/news'"),
        ("in ", "/tmp", "/pip-build"),
        ("pip --index", "-url https://packages.example.net/simple"),
        ("PIP_EXTRA_INDEX", "_URL=http://10.0.0.7/simple"),
        ("find", "-links = /opt/wheels"),
        ("https://ada:secret@", "nexus", ".example.net/pypi"),
        ("https://pypi.example.", "corp", "/simple"),
        ("key ", "AKIA", "IOSFODNN7EXAMPLE"),
    ],
    ids=lambda parts: "".join(parts)[-12:],
)
def test_the_search_finds(parts):
    assert len(findings("first line\n" + "".join(parts))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/work/page and ../work/ and reports/home/ada/",
        "/home/<user>/ and $HOME/work/ and /home/ec2-user/SageMaker",
        "http://host.docker.internal:8080",
        "AKIA is how such a key starts",
    ],
)
def test_the_search_passes(text):
    assert findings(text) == []


def test_no_file_has_machine_paths_private_indexes_or_keys():
    found = {name: hits for name, text in text_files().items() if (hits := findings(text))}
    assert not found, "\n".join(f"{name}: {', '.join(hits[:5])}" for name, hits in found.items())


def test_no_file_names_a_package_index():
    """pip may be set up here with an index of its own; its host is no part of the repository."""
    settings = {n: v for n, v in os.environ.items() if n.startswith("PIP_")}
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    )
    urls = re.findall(
        r"https?://(?:[^\s/@'\"]*@)?([\w.-]+)", asked.stdout + " ".join(settings.values())
    )
    hosts = set(urls) - {"localhost", "127.0.0.1"}
    named = [name for name, text in text_files().items() if any(host in text for host in hosts)]
    assert not named, f"these files name the host of pip's index: {named}"


# --- the version ---------------------------------------------------------------------------------


def test_bump_my_version_finds_the_version_wherever_it_stands():
    import tomllib

    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = content["project"]["version"]
    places = content["tool"]["bumpversion"]["files"]
    for place in places:
        files = list(ROOT.glob(place.get("glob") or place["filename"]))
        assert files, place
        wanted = place["search"].format(current_version=version)
        for file in files:
            assert wanted in file.read_text(encoding="utf-8"), f"{file.name} lacks {wanted}"
    named = {file for place in places for file in ROOT.glob(place.get("glob") or place["filename"])}
    for name, text in text_files().items():
        if name.endswith((".md", ".cff", ".ipynb")) and f"/blob/v{version}/" in text:
            assert ROOT / name in named, (
                f"{name} carries the version, [tool.bumpversion] forgets it"
            )
