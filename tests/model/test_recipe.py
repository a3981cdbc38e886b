"""The settings of a run: what suits a backbone, what makes no sense, what the machine can do."""

import pytest
import torch

from gpt2news import finetune as ft
from gpt2news.finetune import recipe as of_recipe


def test_a_backbone_brings_its_rate_and_length_along():
    assert ft.Recipe().learning_rate == 5e-4
    assert ft.Recipe().max_length == 256
    large = ft.Recipe(backbone="openai-community/gpt2@607a30d")
    assert (large.learning_rate, large.max_length) == (5e-5, 512)
    assert ft.suits("/somewhere/gpt2-mini/") == ft.suits("models/gpt2-mini")
    assert ft.suits("nobody/nothing") == ft.suits("gpt2")
    assert ft.Recipe(learning_rate=0.1).learning_rate == 0.1


def test_every_setting_is_explained_in_the_docstring():
    for name in vars(ft.Recipe()):
        assert f"{name}: " in ft.Recipe.__doc__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "models/nowhere"}, "no folder with a config.json"),
        ({"epochs": 0}, "epochs = 0: a whole number from 1 on"),
        ({"epochs": 1.5}, "epochs = 1.5: a whole number from 1 on"),
        ({"batch_size": 0}, "batch_size = 0: a whole number from 1 on"),
        ({"batch_size": -4}, "batch_size = -4: a whole number from 1 on"),
        ({"max_length": 0}, "max_length = 0: a whole number from 1 on"),
        ({"max_length": 64}, "max_length 64: .* reads 32 tokens at most"),
        ({"learning_rate": -1.0}, "learning_rate = -1.0: a number over 0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"pooling": "max"}, "pooling 'max': there are last, mean, first"),
        ({"freeze": 3}, "freeze = 3: .* has 2 blocks"),
        ({"freeze": -1}, "freeze = -1: a whole number from 0 on"),
        ({"lora": -2}, "lora = -2: a whole number from 0 on"),
        ({"lora": 4, "freeze": 1}, "freeze and lora: .*choose one"),
        ({"from_scratch": True, "freeze": 1}, "from_scratch and freeze: random weights"),
        ({"from_scratch": True, "lora": 4}, "from_scratch and lora: random weights"),
        ({"early_stopping": -1}, "early_stopping = -1: a whole number from 0 on"),
        ({"micro_batch": 3}, "a process reads 8 texts a step; use a number that divides 8"),
        ({"micro_batch": 16}, "micro_batch = 16: a process reads 8 texts"),
        ({"checkpoint_steps": -5}, "checkpoint_steps = -5: a whole number from 0 on"),
        ({"seed": -1}, "seed = -1: a whole number from 0 on"),
        ({"dtype": "fp8"}, "dtype 'fp8': there are auto, fp32, bf16, fp16"),
        pytest.param(
            {"dtype": "fp16"},
            "dtype fp16: this machine has no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU"),
        ),
    ],
    ids=str,
)
def test_misuse_is_said_before_anything_is_loaded(train, tmp_path, monkeypatch, options, message):
    if options.get("max_length") != 64 and "pooling" not in options:  # loading says these
        fail = lambda *a: pytest.fail("a model was loaded")  # noqa: E731
        monkeypatch.setattr("gpt2news.finetune.backbone.load_model", fail)
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "m", **options)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be(train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out: .*is a file; a folder is needed"):
        train(tmp_path / "file")
    with pytest.raises(ValueError, match="is in the model folder"):
        train(tmp_path / "m", checkpoints=tmp_path / "m" / "c")


def test_what_depends_on_the_surroundings_is_said_too(train, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="batch_size = 8: 3 processes cannot share it evenly"):
        train(tmp_path / "m")


def test_a_gpu_gets_the_format_that_it_has(monkeypatch):
    memory = type("P", (), {"total_memory": 15 * 2**30})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("gpt2news.finetune.device.kernel_error", lambda kind: "")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "T4")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: memory)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (7, 5))
    assert of_recipe.choose_dtype() == "fp16"
    assert ft.device_line() == "T4 (15 GiB), fp16 with loss scaling, SDPA attention"
    with pytest.raises(ValueError, match="T4 does not have it; use fp16 or auto"):
        of_recipe.choose_dtype("bf16")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (8, 9))
    assert of_recipe.choose_dtype() == "bf16"


def test_on_colab_without_a_gpu_the_line_names_the_menu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "x")
    assert "Runtime > Change runtime type > T4 GPU" in ft.device_line()


@pytest.mark.parametrize(
    ("found", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"sve_bf16": True}, "fp32"),
        (None, "fp32"),
    ],
    ids=str,
)
def test_auto_takes_bf16_where_the_cpu_multiplies_in_it(monkeypatch, found, dtype):
    monkeypatch.setattr(of_recipe, "device_type", lambda: "cpu")
    if found is None:  # an older torch
        monkeypatch.delattr(torch.cpu, "get_capabilities")
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert of_recipe.choose_dtype("auto") == dtype
    assert of_recipe.choose_dtype("fp32") == "fp32"
    assert dtype in ft.device_line()
    monkeypatch.setattr(of_recipe, "device_type", lambda: "mps")
    assert of_recipe.choose_dtype("auto") == "fp32"
