"""Run the command as a user does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run_report(root: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Path:
    """Run `gpt2news report` into `root`, which must end with one of `codes`; the run's folder."""
    environment = {**os.environ, "GPT2NEWS_REPORTS": str(root)}
    command = [sys.executable, "-m", "newsreport", "report", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    wanted = "--name" if "--name" in arguments else "--profile"
    return root / arguments[arguments.index(wanted) + 1]


def from_npm(request, package: str) -> Path:
    """The folder of `name@version`, fetched from npm once, into pytest's cache; skips without."""
    npm, name = shutil.which("npm"), package.rpartition("@")[0]
    place = Path(request.config.cache.mkdir(name))
    folder = place / "node_modules" / name
    if (folder / "package.json").exists():
        return folder
    if npm is None:
        pytest.skip(f"no npm on PATH, which fetches {name}")
    options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    command = [npm, "install", "--prefix", str(place), *options, package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch {package} in a minute")
    if done.returncode:
        pytest.skip(f"npm cannot fetch {package}: {done.stderr.strip()[-200:]}")
    return folder
