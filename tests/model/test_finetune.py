"""Fine-tuning on a model made on the spot: what it leaves, the same twice, and clear errors."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from gpt2news import finetune as ft
from gpt2news import split
from gpt2news.run import ROOT
from gpt2news.finetune.__main__ import main

WORDS = {
    "sport": "goal keeper penalty cup striker",
    "business": "shares profit bank market forecast",
}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    random = np.random.default_rng(0)
    rows = []
    for i in range(80):
        topic = ("sport", "business")[i % 2]
        words = random.choice(WORDS[topic].split(), size=random.integers(6, 12))
        rows.append(
            {"text": f"Number {i}: " + " ".join(words) + ".", "topic": topic, "source_id": str(i)}
        )
    frame = pd.DataFrame(rows)
    frame["split"] = ["train"] * 60 + ["val"] * 10 + ["test"] * 10
    folder = tmp_path_factory.mktemp("split")
    split.write_split(frame.assign(group=range(80)), folder, {})
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory, split):
    folder = tmp_path_factory.mktemp("backbone")
    tokenizer = ft.train_tokenizer(split.read_split(split)["train"]["text"].tolist(), 400)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=32,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    GPT2LMHeadModel(config).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


SETTINGS = {"epochs": 4, "batch_size": 8, "learning_rate": 5e-3, "max_length": 24}


def test_learns_and_leaves_a_whole_model_folder(split, backbone, tmp_path):
    lines = []
    record = ft.finetune(split, tmp_path / "model", backbone=backbone, say=lines.append, **SETTINGS)
    assert len(lines) == 4
    assert "epoch 4/4" in lines[-1]
    assert record["topics"] == ["business", "sport"]
    assert json.loads((tmp_path / "model" / "training.json").read_text())["history"]
    model = ft.Classifier(tmp_path / "model")
    test = split.read_split(split)["test"]
    probabilities = model(test["text"].tolist())
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)
    assert (np.array(model.topics)[probabilities.argmax(axis=1)] == test["topic"]).mean() >= 0.9
    assert not list(tmp_path.glob(".*"))


def test_same_seed_same_weights_other_seed_others(split, backbone, tmp_path):
    def weights(name, seed):
        ft.finetune(
            split,
            tmp_path / name,
            backbone=backbone,
            seed=seed,
            say=lambda _: None,
            **{**SETTINGS, "epochs": 1},
        )
        return hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest()

    assert weights("a", 1) == weights("b", 1) != weights("c", 2)


def test_truncation_and_normaliser_travel_in_the_tokenizers_file(split, backbone, tmp_path):
    from tokenizers import Tokenizer

    ft.finetune(
        split, tmp_path / "m", backbone=backbone, say=lambda _: None, **{**SETTINGS, "epochs": 1}
    )
    tokenizer = Tokenizer.from_file(str(tmp_path / "m" / "tokenizer.json"))
    assert len(tokenizer.encode("goal " * 100).ids) == 24
    assert tokenizer.encode("GOAL, Keeper!").ids == tokenizer.encode("goal keeper").ids


def test_padding_on_the_right_changes_nothing(backbone):
    tokenizer = ft.load_tokenizer(backbone, 24)
    model = ft.load_model(backbone, ["a", "b"], tokenizer.pad_token_id, 24).eval()
    long, short = ft.encode(tokenizer, ["goal keeper penalty cup striker goal", "profit"])
    with torch.no_grad():
        both = model(input_ids=ft.pad([long, short], tokenizer.pad_token_id)).logits
        alone = model(input_ids=torch.tensor([short])).logits
    assert torch.allclose(both[1], alone[0], atol=1e-5)


def test_an_empty_text_is_read_as_padding_and_special_tokens_in_a_text_are_text(backbone):
    tokenizer = ft.load_tokenizer(backbone, 24)
    assert ft.encode(tokenizer, ["", "  "]) == [[tokenizer.pad_token_id]] * 2
    assert not {0, 1} & set(ft.encode(tokenizer, ["goal <|pad|> <|endoftext|>"])[0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"backbone": "models/nowhere"}, ft.BackboneError, "no folder with a config.json"),
        ({"backbone": "just-a-name"}, ft.BackboneError, "not a hub name"),
        ({"max_length": 64}, ft.BackboneError, "reads 32 tokens at most"),
        ({"epochs": 0}, ValueError, "epochs = 0: a number over 0"),
        ({"learning_rate": -1.0}, ValueError, "learning_rate = -1.0"),
        ({"batch_size": 0}, ValueError, "batch_size = 0"),
    ],
)
def test_misuse_is_said_and_leaves_nothing(split, backbone, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        ft.finetune(split, tmp_path / "model", **{"backbone": backbone, **SETTINGS, **change})
    assert not list(tmp_path.iterdir())


def test_a_hub_out_of_reach_says_the_way_out(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ft.BackboneError, match="download the model elsewhere"):
        ft.load_tokenizer("nobody/nothing", 24)


def test_a_missing_split_names_the_chapter(tmp_path, backbone):
    with pytest.raises(FileNotFoundError, match="02_split makes them"):
        ft.finetune(tmp_path, tmp_path / "model", backbone=backbone, **SETTINGS)


def test_pretraining_stops_and_goes_on(tmp_path):
    """The shipped backbone's script, on a few lines of text: cut in two it sees the same steps."""
    text = tmp_path / "text.txt"
    text.write_text(
        "".join(f"line {i} of a small text about nothing in particular\n" for i in range(5000))
    )
    script = str(ROOT / "models" / "pretrain_gpt2_mini.py")
    shape = [
        "--layers",
        "1",
        "--width",
        "16",
        "--heads",
        "2",
        "--vocab",
        "300",
        "--context",
        "16",
        "--batch",
        "2",
    ]
    places = ["--text", str(text), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    command = [sys.executable, script, *places, *shape, "--every", "2", "--steps", "6"]
    first = subprocess.run(
        [*command, "--minutes", "0.0001"], capture_output=True, text=True, check=True
    )
    assert "stopped at step 1; run the same command to go on" in first.stdout
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "going on at step 1 of 6" in second.stdout
    facts = json.loads((tmp_path / "out" / "pretraining.json").read_text())
    assert facts["tokens_seen"] == 6 * 2 * 16
    assert (tmp_path / "out" / "model.safetensors").exists()


@pytest.mark.parametrize("pooling", list(ft.POOLINGS))
def test_every_pooling_trains_is_read_back_and_reads_what_it_says(
    split, backbone, tmp_path, pooling
):
    ft.finetune(
        split,
        tmp_path / "m",
        backbone=backbone,
        pooling=pooling,
        say=lambda _: None,
        **{**SETTINGS, "epochs": 1},
    )
    model = ft.Classifier(tmp_path / "m")
    assert model.pooling == pooling
    ids = ft.encode(model.tokenizer, ["Number 3: goal keeper cup."])[0]
    filled = [model.tokenizer.pad_token_id] * (24 - len(ids)) + ids
    with torch.no_grad():
        states = model.model.base_model(
            input_ids=torch.tensor([ids if pooling in ft.EXPORTABLE else filled])
        ).last_hidden_state[0]
    wanted = {
        "last": states[-1],
        "mean": states.mean(dim=0),
        "first": states[0],
        "left": states[-1],
        "flat": states.flatten(),
    }
    # beside a longer text, so that it is padded
    said = model.logits(
        [
            "Number 3: goal keeper cup.",
            "Number 7: shares profit bank market forecast shares profit.",
        ]
    )[0]
    assert said == pytest.approx(model.model.score(wanted[pooling]).detach().numpy(), abs=1e-5)


def test_frozen_blocks_stay_and_the_rest_learns(split, backbone, tmp_path):
    ft.finetune(
        split,
        tmp_path / "m",
        backbone=backbone,
        freeze=1,
        say=lambda _: None,
        **{**SETTINGS, "epochs": 1},
    )
    before, after = (
        GPT2LMHeadModel.from_pretrained(backbone).float().transformer.state_dict(),
        ft.Classifier(tmp_path / "m").model,
    )
    moved = {n for n, w in after.transformer.state_dict().items() if not torch.equal(w, before[n])}
    assert not [n for n in moved if n.startswith(("wte", "wpe", "h.0."))]
    assert {"h.1.attn.c_attn.weight", "ln_f.weight"} <= moved


def test_the_entry_point_takes_sagemakers_variables(split, backbone, tmp_path, monkeypatch, capsys):
    for name, value in {
        "SM_CHANNEL_TRAIN": split,
        "SM_CHANNEL_VAL": split,
        "SM_MODEL_DIR": tmp_path / "model",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv(
        "SM_HPS",
        json.dumps(
            {
                "epochs": "2",
                "batch_size": 8,
                "max_length": 24,
                "backbone": backbone,
                "normalise": True,
            }
        ),
    )
    assert main(["--epochs", "1", "--learning-rate", "5e-3"]) == 0
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert (record["epochs"], record["batch_size"], record["learning_rate"]) == (1, 8, 5e-3)
    assert "model: 0.0 M parameters" in capsys.readouterr().out
