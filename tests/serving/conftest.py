import json
import shutil
from pathlib import Path

import pytest

TOPICS = ("business", "politics", "sport")
TEXTS = (
    "The striker scored twice in the final minutes of the match.",
    "Shares fell sharply after the bank cut its forecast for the year.",
    "The minister promised a vote on the new law before the election.",
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A model folder as chapter 03 leaves it: two layers, width 32, random weights, 24 tokens at
    most."""
    import torch
    from transformers import GPT2Config, GPT2ForSequenceClassification, set_seed

    from pretrain_gpt2_mini import train_tokenizer

    folder = tmp_path_factory.mktemp("tiny") / "model"
    tokenizer = train_tokenizer(list(TEXTS), vocab_size=320)
    tokenizer.backend_tokenizer.enable_truncation(24)
    tokenizer.model_max_length = 24
    set_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=2,
        id2label=dict(enumerate(TOPICS)),
        label2id={topic: i for i, topic in enumerate(TOPICS)},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = GPT2ForSequenceClassification(config)
    torch.nn.init.normal_(model.score.weight)  # else all answers are nearly the same
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def exported(tiny_model) -> Path:
    """What `deploy.export` makes of `tiny_model`; temperature 1.5, threshold 0. For reading
    only."""
    from gpt2news.deploy import export

    return export(tiny_model, tiny_model.with_name("onnx"), temperature=1.5, threshold=0.0)


@pytest.fixture
def copy(exported, tmp_path):
    """`copy(threshold=0.9, …)`: a copy of `exported` to change, with these values in its
    serving.json; None removes one."""

    def make(**changes) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(exported, folder)
        manifest = json.loads((folder / "serving.json").read_text()) | changes
        (folder / "serving.json").write_text(
            json.dumps({k: v for k, v in manifest.items() if v is not None})
        )
        return folder

    return make
