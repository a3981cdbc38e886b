"""What the set-up cell of a notebook does once it has cloned the repository on Colab or Kaggle.

Such a host brings torch, numpy and pandas, built for its own GPU: they are looked at and never installed. What the notebook itself
runs on belongs to the host as well, and is older there than we would ask for elsewhere.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("torch", "numpy", "pandas")
FRONT_END = ("ipykernel", "ipywidgets", "jupyterlab")
SHOWN = (*KEPT, "transformers", "tokenizers", "onnxruntime", "papermill")
NEWER = "on Colab: Runtime > Change runtime type > Runtime version: latest"


class HostError(RuntimeError):
    """The host has something too old, or pip failed; the message says the way out."""


def wanted(root: Path = ROOT) -> tuple[str, list[Requirement]]:
    """`(range of Python versions, what the notebooks need)`, as pyproject.toml says."""
    import tomllib  # Python 3.11; both hosts are past it

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *extras["serve"], *extras["notebooks"]]
    found = [r for r in map(Requirement, named) if r.name not in (project["name"], *FRONT_END)]
    return project["requires-python"], [r for r in found if r.marker is None or r.marker.evaluate()]


def installed(name: str) -> str | None:
    """The version of a package that is installed, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def lacking(requirements: list[Requirement]) -> list[str]:
    """The requirements that are not met, `KEPT` never among them.

    Raises:
        HostError: torch, numpy or pandas is missing or out of range; the message names it.
    """
    unmet = [r for r in requirements if (has := installed(r.name)) is None or not r.specifier.contains(has, prereleases=True)]
    if kept := [r for r in unmet if r.name in KEPT]:
        told = ", ".join(f"{r.name} {installed(r.name) or 'is missing'} (needed: {r.specifier})" for r in kept)
        raise HostError(f"this host has {told}, and they are not replaced here. Take a newer machine; {NEWER}.")
    return [str(r) for r in unmet]


def install(requirements: list[str]) -> None:
    """pip installs `requirements` and leaves `KEPT` and `FRONT_END` as they are.

    Raises:
        HostError: pip failed; the message ends as pip's did.
    """
    with tempfile.TemporaryDirectory() as folder:
        fixed = Path(folder, "constraints.txt")
        stay = [name for name in (*KEPT, *FRONT_END) if installed(name)]
        fixed.write_text("".join(f"{name}=={installed(name)}\n" for name in stay), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", str(fixed)]
        done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"pip could not install {', '.join(requirements)}: {done.stderr.strip()[-600:]}")
    importlib.invalidate_caches()


def gpu_line() -> str:
    """The GPU's name, or how to get one; torch is not loaded for it."""
    if shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
        if named := re.findall(r"^GPU \d+: (.*?) \(", listed, re.MULTILINE):
            return f"GPU: {', '.join(named)}"
    menu = "Settings > Accelerator > GPU" if "KAGGLE_KERNEL_RUN_TYPE" in os.environ else "Runtime > Change runtime type > T4 GPU"
    return f"no GPU: fine for the sample and for chapters 01, 02 and 05; for GPT-2 itself: {menu}"


def keep_in_drive(mount: str = "/content/drive") -> Path:
    """Mount Google Drive (Colab asks for leave) and let runs go to `gpt2-news/reports` there; returns that folder.

    Raises:
        HostError: this is not Colab.
    """
    try:
        from google.colab import drive
    except ImportError:
        raise HostError("keep_in_drive: only Colab can mount a Google Drive; set it to False here") from None
    drive.mount(mount)
    folder = Path(mount, "MyDrive", "gpt2-news", "reports")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["GPT2NEWS_REPORTS"] = str(folder)
    return folder


def ready(drive: bool = False) -> None:
    """Check the host, install what it lacks, and say in a few lines what is here.

    Args:
        drive: keep the runs in Google Drive; else they go with the machine.

    Raises:
        HostError: the host cannot run the notebooks, or pip failed.
    """
    python, requirements = wanted()
    if not SpecifierSet(python).contains(platform.python_version()):
        raise HostError(f"Python {platform.python_version()} is here, {python} is needed; {NEWER}.")
    before = {r.name: installed(r.name) for r in requirements}
    if missing := lacking(requirements):
        print(f"installing {', '.join(missing)} …", flush=True)
        install(missing)
    library = str(Path(__file__).resolve().parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (library, os.environ.get("PYTHONPATH"))))  # for processes that a chapter starts
    print(f"Python {platform.python_version()}, {', '.join(f'{name} {installed(name)}' for name in SHOWN)}")
    print(gpu_line())
    print(f"runs are kept in {keep_in_drive()}" if drive else "runs go with this machine: set keep_in_drive = True, or download them")
    stale = [name for name, version in before.items() if version and version != installed(name) and name in sys.modules]
    if stale:
        print(f"{', '.join(stale)}: an older version is still loaded. Runtime > Restart session, then run this cell again.")
