import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_report(root: Path, *arguments: str) -> Path:
    """Run `gpt2news report` into `root`; returns the run's folder."""
    environment = {**os.environ, "GPT2NEWS_REPORTS": str(root)}
    command = [sys.executable, "-m", "gpt2news.cli", "report", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = "--name" if "--name" in arguments else "--profile"
    return root / arguments[arguments.index(wanted) + 1]


@pytest.fixture(scope="session")
def bbc_data() -> Path:
    """The folder of the real BBC files; skips where it is not there."""
    folder = Path(os.environ.get("GPT2NEWS_DATA") or "nowhere")
    if not (folder / "bbc-fulltext.zip").exists():
        pytest.skip("GPT2NEWS_DATA does not name a folder with bbc-fulltext.zip, bbc-text.csv and article_split.csv")
    return folder


@pytest.fixture(scope="session")
def quick(tmp_path_factory) -> Path:
    """The quick profile, run as a newcomer runs it; the run's folder."""
    return run_report(tmp_path_factory.mktemp("reports"), "--profile", "quick")
