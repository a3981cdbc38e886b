"""A split of invented texts, and backbones made on the spot, shared by all tests of models."""

import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from gpt2news import finetune as ft
from gpt2news import split
from gpt2news.finetune.trainer import ClassifierTrainer
from pretrain_gpt2_mini import train_tokenizer

WORDS = {
    "sport": "goal keeper penalty cup striker",
    "business": "shares profit bank market forecast",
}
SETTINGS = {"epochs": 3, "batch_size": 8, "learning_rate": 5e-3, "max_length": 24}
SETTINGS |= {"dtype": "fp32"}  # the same on every machine; what bf16 changes has tests of its own


@pytest.fixture(scope="session")
def splits(tmp_path_factory) -> Path:
    random = np.random.default_rng(0)
    rows = []
    for i in range(83):
        topic = ("sport", "business")[i % 2]
        words = random.choice(WORDS[topic].split(), size=random.integers(3, 14))
        text = f"Number {i}: " + " ".join(words) + "."
        rows.append({"text": text, "topic": topic, "source_id": str(i)})
    frame = pd.DataFrame(rows)
    frame["split"] = ["train"] * 61 + ["val"] * 12 + ["test"] * 10  # 61: the last batch is odd
    folder = tmp_path_factory.mktemp("split")
    split.write_split(frame.assign(group=range(83)), folder, {"seed": 0})
    return folder


@pytest.fixture(scope="session")
def tokenizer(splits):
    return train_tokenizer(split.read_split(splits)["train"]["text"].tolist(), 400)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory, tokenizer) -> str:
    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    shape = {"n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **shape, **special)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def llama(tmp_path_factory, tokenizer) -> str:
    """Of 2 M parameters, as newer models are made: rotary positions, RMS norm, grouped keys."""
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=192, intermediate_size=512, num_hidden_layers=4,
        num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0,
        eos_token_id=0, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    assert 1.5e6 < sum(p.numel() for p in model.parameters()) < 2.5e6
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def bert(tmp_path_factory, splits) -> str:
    """An encoder, with [CLS] before a text and [SEP] after it."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    pieces = BertWordPieceTokenizer()
    texts = split.read_split(splits)["train"]["text"].tolist()
    pieces.train_from_iterator(texts, vocab_size=300, show_progress=False)
    learnt, letters = pieces.get_vocab(), string.ascii_lowercase + string.digits + ",;."
    every = [piece for letter in letters for piece in (letter, f"##{letter}")]
    vocabulary = [*sorted(learnt, key=learnt.get), *(p for p in every if p not in learnt)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def train(splits, backbone):
    """`train(folder, **changes)`: the short run of these tests; quiet, on the small backbone."""

    def run(out: Path, say=lambda line: None, folder=splits, val=None, **changes) -> dict:
        recipe = ft.Recipe(**{"backbone": backbone, **SETTINGS, **changes})
        return ft.finetune(recipe, folder, out, val=val, say=say)

    return run


@pytest.fixture(scope="session")
def accuracy(splits):
    """`accuracy(model folder)`: on the test part."""

    def score(folder: Path) -> float:
        test, model = split.read_split(splits)["test"], ft.Classifier(folder)
        guess = np.array(model.topics)[model(test["text"].tolist()).argmax(axis=1)]
        return (guess == test["topic"]).mean()

    return score


@pytest.fixture(scope="session")
def same():
    """`same(a, b)`: the weights of two model folders are the same bits."""

    def compare(a: Path, b: Path) -> bool:
        name = "model.safetensors"
        return (a / name).read_bytes() == (b / name).read_bytes()

    return compare


class Stop(Exception):  # noqa: N818
    """What ends a run in the middle, as a kill would."""


@pytest.fixture
def stop_at(monkeypatch):
    """`stop_at(n)`: the next run ends in the middle of step n, with the error that it returns."""
    step = ClassifierTrainer.training_step

    def at(n: int) -> type[Exception]:
        def cut(self, *arguments):
            if self.state.global_step + 1 == n:
                raise Stop
            return step(self, *arguments)

        monkeypatch.setattr(ClassifierTrainer, "training_step", cut)
        return Stop

    return at
