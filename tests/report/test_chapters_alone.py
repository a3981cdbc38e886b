"""A chapter that is opened alone, on a new machine, makes what it lacks."""

import json
import os
import subprocess
import sys

import pytest

from gpt2news.run import ROOT
from newsreport.profiles import NOTEBOOKS

RECORDED = {"03_finetune": "model", "04_evaluate": "test", "05_deploy": "deploy"}


@pytest.mark.parametrize("chapter", RECORDED)
def test_a_chapter_alone_makes_what_it_lacks(chapter, tmp_path):
    """By plain papermill and without any report. Chapters 01 and 02 need nothing."""
    command = [sys.executable, "-m", "papermill", str(NOTEBOOKS / f"{chapter}.ipynb")]
    command += [str(tmp_path / "executed.ipynb"), "-k", "python3", "--no-progress-bar"]
    if chapter == "03_finetune":  # the second of its long trainings shows nothing new here
        command += ["-p", "compare_from_scratch", "False"]
    environment = {**os.environ, "GPT2NEWS_REPORTS": str(tmp_path / "reports")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    executed = (tmp_path / "executed.ipynb").read_text(encoding="utf-8")
    assert "02_split has not run here" in executed
    metrics = (tmp_path / "reports" / "quick" / "metrics.json").read_text(encoding="utf-8")
    assert {"dataset", "split", RECORDED[chapter]} <= set(json.loads(metrics))
