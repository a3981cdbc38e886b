"""The device: what is promised and cannot be used stops the run, and says the ways out."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpt2news import finetune as ft
from gpt2news.finetune import device as of_device
from gpt2news.finetune import recipe as of_recipe
from gpt2news.finetune import train as of_train
from gpt2news.finetune.device import device_type, kernel_error


@pytest.fixture
def machine(monkeypatch, tmp_path_factory):
    """`machine(cuda=…, mps=…)`: simulated cards, and what each says of a kernel.

    `listed`: what the driver lists, for a torch that is built for CUDA.
    """

    def of(cuda: str | None = None, mps: str | None = None, listed: bool = False) -> None:
        said = {"cuda": cuda, "mps": mps}
        folder = tmp_path_factory.mktemp("gpus") if listed else Path("nowhere")
        monkeypatch.setattr(of_device, "LISTED", folder)
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps is not None)
        monkeypatch.setattr(of_device, "kernel_error", said.get)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    of()
    return of


def test_the_device_that_is_there(machine, monkeypatch):
    assert device_type() == "cpu"
    monkeypatch.setattr(of_recipe, "choose_dtype", lambda asked: "fp32")
    assert ft.device_line().startswith("CPU (")
    machine(mps="")
    assert device_type() == "mps"
    assert ft.device_line().startswith("mps (")
    machine(cuda="")
    assert device_type() == "cuda"


def test_a_card_that_is_too_old_for_this_torch(machine, train, tmp_path):
    """Kaggle's P100: `is_available()` is true, and the first kernel fails."""
    machine(cuda="CUDA error: no kernel image is available for execution on the device")
    with pytest.raises(ValueError, match=r"GPU \(cuda\).*no kernel image.*T4 x2.*older.*=cpu"):
        train(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_gpu_of_apple_that_does_not_work(machine):
    machine(mps="MPS backend out of memory")
    with pytest.raises(ValueError, match=r"GPU \(mps\).*out of memory.*GPT2NEWS_DEVICE=cpu"):
        device_type()


def test_a_gpu_that_the_driver_lists_and_torch_does_not_see(machine, monkeypatch):
    machine(listed=True)
    with pytest.raises(ValueError, match=r"it sees none.*newer driver"):
        device_type()
    monkeypatch.setattr(torch.version, "cuda", None)
    assert device_type() == "cpu", "a torch for CPUs, on purpose"


@pytest.mark.parametrize("name", ["GPT2NEWS_DEVICE", "CUDA_VISIBLE_DEVICES"])
def test_the_cpu_on_purpose(name):
    """In a process of its own: the variable is read as the library is loaded."""
    value = "cpu" if name == "GPT2NEWS_DEVICE" else ""
    environment = {**os.environ, name: value}
    code = (
        "import os, torch; from gpt2news.finetune import device\n"
        "torch.version.cuda, device.LISTED = '13.0', device.Path('/')\n"
        "print(device.device_type(), repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stdout.decode().strip() == "cpu ''", done.stderr.decode()[-2000:]


def test_a_kernel_is_really_run():
    assert kernel_error("cpu") == ""
    assert kernel_error("meta")  # has shapes and no values
    if not torch.cuda.is_available():
        assert kernel_error("cuda")


# --- many epochs, few steps -----------------------------------------------------------------------


def test_a_loss_is_logged_in_every_epoch_of_many(train, tmp_path):
    """Two hundred epochs asked for, ended early: the log had not begun."""
    record = train(tmp_path / "m", epochs=200, early_stopping=1, learning_rate=1e-9)
    last = max(entry["epoch"] for entry in record["history"])
    logged = {math.ceil(entry["epoch"]) for entry in record["history"] if "loss" in entry}
    assert last < 50
    assert logged == set(range(1, math.ceil(last) + 1))


def test_an_infinite_gradient_norm_stays_json():
    log = [{"loss": 0.7, "grad_norm": math.inf, "epoch": 0.1}, {"train_runtime": 3.0}]
    history = of_train._history(log)
    assert history == [{"loss": 0.7, "grad_norm": None, "epoch": 0.1}]
    assert json.loads(json.dumps(history, allow_nan=False)) == history
