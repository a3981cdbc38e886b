"""Export: what is served says what torch says, with each pooling, and holds no path."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gpt2news import deploy, finetune
from newsserve.predictor import Predictor

TOPICS = ["business", "politics", "sport"]
TEXTS = [
    "The striker scored twice.",
    "Shares fell sharply after the bank cut its forecast for the year.",
]


@pytest.fixture(scope="module")
def mean_model(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mean") / "model"
    tokenizer = finetune.load_tokenizer(str(tiny_model), 24)
    model = finetune.load_model(
        str(tiny_model), list(TOPICS), tokenizer.pad_token_id, 24, pooling="mean"
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_mean_is_the_mean_of_the_states(mean_model):
    classifier = finetune.Classifier(mean_model)
    assert classifier.pooling == "mean"
    ids = torch.tensor([finetune.encode(classifier.tokenizer, [TEXTS[0]])[0]])
    with torch.no_grad():
        states = classifier.model.base_model(input_ids=ids).last_hidden_state
        wanted = classifier.model.score(states.mean(dim=1))
    assert classifier.logits([TEXTS[0], "short"])[0] == pytest.approx(wanted[0].numpy(), abs=1e-5)


def test_exported_mean_says_the_same(mean_model, tmp_path):
    folder = deploy.export(mean_model, tmp_path / "onnx")
    texts = [*TEXTS, "one", TEXTS[0] * 5]
    exported = Predictor(folder, deploy.FP32).logits(texts)
    assert np.abs(exported - finetune.Classifier(mean_model).logits(texts)).max() < 1e-4
    assert json.loads((mean_model / "config.json").read_text())["pooling"] == "mean"


def test_the_files_hold_no_path_of_this_machine(exported, tiny_model):
    """The exporter writes the stack of each operation into the graph; its file names must go."""
    for name in (deploy.FP32, deploy.INT8):
        content = (exported / name).read_bytes()
        found = re.findall(rb"[\w.-]*/[\w./-]+\.py", content)
        assert not found, (name, found[:3])
        for path in (Path.home(), deploy.__file__, sys.prefix, tiny_model, torch.__file__):
            assert str(path).encode() not in content, (name, path)


def test_exported_into_another_folder_it_is_the_same_file(exported, tiny_model, tmp_path):
    moved = shutil.copytree(tiny_model, tmp_path / "elsewhere" / "model")
    again = deploy.export(moved, tmp_path / "deeper" / "onnx", temperature=1.5, threshold=0.0)
    assert (again / "serving.json").read_text() == (exported / "serving.json").read_text()
