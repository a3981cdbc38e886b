"""AWS's own training toolkit, the program inside its containers, runs the source that we pack.

It is no dependency of this project: it brings 18 packages, one of them to be compiled. These tests
run when it is there:
    python -m venv tk
    tk/bin/pip install -c requirements.lock '.[notebooks]' \\
        sagemaker-training==5.1.1 sagemaker-pytorch-training==3.0.0
    SAGEMAKER_TOOLKIT=$PWD/tk/bin/python make test ARGS=tests/cloud/test_toolkit.py
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from safetensors import safe_open

from cloud import training as training_job
from gpt2news.explore import SAMPLE
from gpt2news.run import ROOT
from newscloud.account import Account

PYTHON = os.environ.get("SAGEMAKER_TOOLKIT")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="SAGEMAKER_TOOLKIT does not name a Python that has sagemaker-training"
)
SETTINGS = {
    "epochs": 1,
    "batch_size": 8,
    "max_length": 32,
    "learning_rate": 5e-4,
    "pooling": "last",
    "normalise": False,
    "seed": 0,
}


@pytest.fixture
def ml(tmp_path, monkeypatch):
    """`/opt/ml` as SageMaker fills it for a job that `training_job.request` asked for."""
    monkeypatch.setattr("newscloud.account.tags", lambda _: [])  # AWS would be asked who calls
    base, channels = tmp_path / "ml", ["train", "val", "backbone"]
    for folder in (
        "input/config",
        "model",
        "output",
        "code",
        *(f"input/data/{channel}" for channel in channels),
    ):
        (base / folder).mkdir(parents=True)
    corpus = pd.read_csv(SAMPLE, dtype=str).groupby("topic")
    for part, rows in (("train", corpus.head(6)), ("val", corpus.tail(2))):
        rows[["text", "topic"]].to_csv(base / "input" / "data" / part / f"{part}.csv", index=False)
    for file in (ROOT / "models" / "gpt2-mini").iterdir():
        shutil.copy(file, base / "input" / "data" / "backbone" / file.name)
    account = Account("us-east-1", "role", "bucket", None)
    job = training_job.request(account, "job", SETTINGS, channels, instance="ml.g4dn.xlarge")
    wanted = job["HyperParameters"]
    wanted["sagemaker_submit_directory"] = str(
        training_job.pack_source(tmp_path / "sourcedir.tar.gz")
    )
    write_config(base, "hyperparameters", wanted)
    write_config(
        base, "inputdataconfig", {channel: {"TrainingInputMode": "File"} for channel in channels}
    )
    hosts = {"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "lo"}
    write_config(
        base,
        "resourceconfig",
        {
            **hosts,
            "current_instance_type": "ml.g4dn.xlarge",
            "current_group_name": "homogeneousCluster",
        },
    )
    return base


def write_config(base: Path, name: str, content: dict) -> None:
    (base / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def train(base: Path, gpus: int = 0) -> subprocess.CompletedProcess:
    """The container's command, `train`."""
    bin_folder = base.parent / "bin"
    program(bin_folder, "torchrun", f'#!/bin/sh\nexec "{PYTHON}" -m torch.distributed.run "$@"\n')
    lines = "".join(f"echo 'GPU {number}: fake'\n" for number in range(gpus))
    program(bin_folder, "nvidia-smi", f"#!/bin/sh\n{lines}" if gpus else "#!/bin/sh\nexit 1\n")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith(("AWS_", "SM_"))
    }
    environment |= {
        "PATH": os.pathsep.join([str(bin_folder), str(Path(PYTHON).parent), os.environ["PATH"]]),
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main",
        "PIP_NO_INDEX": "1",
        "GPT2NEWS_DEVICE": "cpu",  # the GPUs of these tests are words
    }
    return subprocess.run(
        ["train"], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_our_source_in_the_real_toolkit(ml):
    done = train(ml)
    assert (ml / "output" / "success").exists(), done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0
    names = {path.name for path in (ml / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "training.json"} <= names
    record = json.loads((ml / "model" / "training.json").read_text())
    assert (record["epochs"], record["max_length"], record["batch_size"]) == (1, 32, 8)
    with safe_open(ml / "model" / "model.safetensors", "pt") as weights:
        assert "score.weight" in weights.keys()  # noqa: SIM118


def test_a_bad_row_is_named_in_the_failure(ml):
    file = ml / "input" / "data" / "train" / "train.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:4], '"  ",sport', *lines[4:]]) + "\n")
    done = train(ml)
    assert done.returncode == 1
    assert not (ml / "output" / "success").exists()
    failure = (ml / "output" / "failure").read_text()
    assert "train.csv: row 4 has no text" in failure, failure
    assert not list((ml / "model").iterdir())


def test_two_gpus_start_two_processes(ml):
    config = json.loads((ml / "input" / "config" / "hyperparameters.json").read_text())
    write_config(ml, "hyperparameters", {**config, "sagemaker_torch_distributed_enabled": "true"})
    done = train(ml, gpus=2)
    said = done.stdout + done.stderr
    assert re.search(r"torchrun --nnodes 1 --nproc_per_node 2 train\.py", said), said[-4000:]
    assert (ml / "output" / "success").exists(), said[-4000:]
    assert (ml / "model" / "model.safetensors").exists()
