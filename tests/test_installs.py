"""Where it installs: wheels of the lock on each platform, and Colab's own versions left alone.

uv resolves, for platforms and Pythons that are not here. It asks the package index, so without one
these tests skip and say so.
"""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COLAB = Path(os.environ.get("COLAB_LIST") or ROOT / "tests" / "notebooks" / "colab.txt")
PLATFORMS = {
    "linux, x86": "x86_64-manylinux_2_28",
    "linux, arm": "aarch64-manylinux_2_28",
    "macOS 14, Apple silicon": "macos",
    "Windows": "windows",
}


@cache
def uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def resolve(*arguments: str, python: str, platform: str) -> dict[str, str]:
    """Name -> version of what `uv pip compile` makes of the arguments."""
    if not uv():
        pytest.skip("uv is not installed")
    command = [uv(), "pip", "compile", "-q", "--no-header", "--no-annotate", *arguments]
    place = ["--python-version", python, "--python-platform", platform]
    macos = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    done = subprocess.run(
        [*command, *place], cwd=ROOT, env=os.environ | macos, capture_output=True, text=True
    )
    if re.search(r"Failed to fetch|error sending request|dns error|Could not connect", done.stderr):
        pytest.skip("no package index is reached")
    assert done.returncode == 0, done.stderr
    return dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)


def pins(file: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([\w.!]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("python", ["3.11.5", "3.14"])
@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_the_lock_has_wheels_everywhere(platform, python):
    """All extras but those of maintainers; every package as a wheel, at the lock's version."""
    extras = [f"--extra={name}" for name in ("notebooks", "lab", "serve", "app", "sagemaker")]
    wheels = ["--only-binary", ":all:", "-c", "requirements.lock", "pyproject.toml"]
    found = resolve(*wheels, *extras, python=python, platform=platform)
    assert len(found) > 100
    locked = pins(ROOT / "requirements.lock")
    assert {n: v for n, v in found.items() if locked.get(n, v) != v} == {}


def test_an_intel_mac_can_answer_but_not_learn():
    """As README says: an older onnxruntime resolves there, no torch that is new enough does."""
    place = {"python": "3.13", "platform": "x86_64-apple-darwin"}
    wheels = ["--only-binary", ":all:", "pyproject.toml"]
    found = resolve(*wheels, "--extra=serve", **place)
    assert found["onnxruntime"].startswith("1.23.")
    with pytest.raises(AssertionError, match="torch"):
        resolve(*wheels, "--extra=notebooks", **place)


def test_nothing_of_colab_moves():
    """Colab's published versions as constraints: there is a solution, so nothing has to move."""
    there = pins(COLAB)
    assert {"torch", "protobuf", "numpy", "ipykernel"} <= there.keys()
    wanted = ["-c", str(COLAB), "pyproject.toml", "--extra=notebooks"]
    found = resolve(*wanted, python="3.13", platform="x86_64-manylinux_2_28")
    assert {"torch", "papermill", "onnx"} <= found.keys()
    assert {n: f"{there[n]} to {v}" for n, v in found.items() if there.get(n, v) != v} == {}
