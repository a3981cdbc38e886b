"""`deploy/sagemaker/train.py`: a job's folders as options, and a GPU that is billed is used."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from gpt2news.run import ROOT

SCRIPT = ROOT / "deploy" / "sagemaker" / "train.py"


@pytest.fixture
def train():
    spec = importlib.util.spec_from_file_location("sagemaker_train", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folders_of_a_job(train):
    job = {"SM_MODEL_DIR": "/opt/ml/model", "SM_CHANNEL_TRAIN": "/in/train", "SM_NUM_GPUS": "0"}
    given = ["--train=/in/train", "--out=/opt/ml/model", "--checkpoints=/opt/ml/checkpoints"]
    assert train.options(job) == given
    more = {"SM_CHANNEL_VAL": "/in/val", "SM_CHANNEL_BACKBONE": "/in/backbone"}
    assert set(train.options(job | more)) == {*given, "--val=/in/val", "--backbone=/in/backbone"}


def test_a_gpu_that_is_billed_and_not_seen_ends_the_job(train, monkeypatch):
    job = {"SM_MODEL_DIR": "/m", "SM_NUM_GPUS": "1", "SM_CURRENT_INSTANCE_TYPE": "ml.g5.xlarge"}
    monkeypatch.setattr(train, "device_type", lambda: "cpu")
    monkeypatch.setattr(train, "ON_PURPOSE", False)
    with pytest.raises(ValueError, match=r"ml\.g5\.xlarge has 1 GPU, and torch sees none\. .*=cpu"):
        train.options(job)
    monkeypatch.setattr(train, "device_type", lambda: "cuda")
    assert train.options(job)
    monkeypatch.setattr(train, "device_type", lambda: "cpu")
    monkeypatch.setattr(train, "ON_PURPOSE", True)
    assert train.options(job)


def test_a_job_as_a_process(trained, tmp_path):
    splits = str(trained / "splits")
    job = {
        "SM_CHANNEL_TRAIN": splits,
        "SM_CHANNEL_VAL": splits,
        "SM_CHANNEL_BACKBONE": str(trained / "tiny"),
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_NUM_GPUS": "0",
    }
    given = ["--epochs", "1", "--batch_size", "8", "--max_length", "24", "--normalise", "true"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *given],
        env=os.environ | job,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert (record["epochs"], record["batch_size"], record["normalise"]) == (1, 8, True)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--epoch-count=2"],
        env=os.environ | job,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "ValueError: " in done.stderr.splitlines()[-1], "what the toolkit takes for the reason"
    assert "--epoch-count=2" in done.stderr.splitlines()[-1]
