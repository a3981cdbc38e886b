"""Run the command as a user does."""

import os
import subprocess
import sys
from pathlib import Path


def run_report(root: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Path:
    """Run `gpt2news report` into `root`, which must end with one of `codes`; the run's folder."""
    environment = {**os.environ, "GPT2NEWS_REPORTS": str(root)}
    command = [sys.executable, "-m", "newsreport", "report", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    wanted = "--name" if "--name" in arguments else "--profile"
    return root / arguments[arguments.index(wanted) + 1]
