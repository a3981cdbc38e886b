"""A finished folder, answering; and the same answers after export."""

import numpy as np
import pytest

from gpt2news import deploy, split
from gpt2news import finetune as ft
from newsserve.predictor import Predictor


def test_probabilities_add_up_and_do_not_depend_on_the_neighbours(train, splits, tmp_path):
    train(tmp_path / "m", epochs=1)
    model = ft.Classifier(tmp_path / "m")
    texts = split.read_split(splits)["test"]["text"].tolist()
    together = model(texts)
    assert together.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)
    alone = np.concatenate([model([text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)
    assert model(texts, batch_size=3) == pytest.approx(together, abs=1e-5)


def test_it_gives_no_advice_on_masks(train, tmp_path, capfd):
    """A text that ends in padding: transformers would recommend a mask, once a process."""
    from transformers.utils import logging

    train(tmp_path / "m", epochs=1)
    model = ft.Classifier(tmp_path / "m")
    type(logging.get_logger()).warning_once.cache_clear()
    model.logits(["goal keeper penalty cup", "goal", ""])
    assert "attention_mask" not in "".join(capfd.readouterr())


def exported_agree(model, onnx, texts) -> None:
    folder = deploy.export(model, onnx)
    said = Predictor(folder, deploy.FP32).logits(texts)
    assert np.abs(said - ft.Classifier(model).logits(texts)).max() < 1e-4


def test_a_llama_is_fine_tuned_and_exported_alike(train, llama, splits, accuracy, tmp_path):
    train(tmp_path / "m", backbone=llama, learning_rate=1e-3, normalise=True)
    assert accuracy(tmp_path / "m") >= 0.9
    texts = [*split.read_split(splits)["test"]["text"], "goal"]
    exported_agree(tmp_path / "m", tmp_path / "onnx", texts)


@pytest.mark.parametrize("options", [{}, {"freeze": 2}, {"freeze": 3}, {"lora": 4}], ids=str)
def test_an_encoder_is_fine_tuned_and_exported_alike(
    train, bert, splits, accuracy, tmp_path, options
):
    train(tmp_path / "m", backbone=bert, pooling="first", **options)
    texts = [*split.read_split(splits)["test"]["text"], "goal", "shares " * 40]
    exported_agree(tmp_path / "m", tmp_path / "onnx", texts)
    answers = Predictor(tmp_path / "onnx")(["goal", "shares " * 40, "\u200b", " "])
    assert [answer.tokens for answer in answers] == [1, 22, 0, 0]
    assert [answer.truncated for answer in answers] == [False, True, False, False]
    if not options:
        assert accuracy(tmp_path / "m") >= 0.9


def test_an_encoder_does_not_look_at_the_padding(train, bert, tmp_path):
    train(tmp_path / "m", backbone=bert, pooling="mean", epochs=1)
    model = ft.Classifier(tmp_path / "m")
    alone = model.logits(["goal keeper"])[0]
    beside = model.logits(["goal keeper", "shares profit bank market forecast " * 3])[0]
    assert beside == pytest.approx(alone, abs=1e-5)


def test_the_first_token_can_be_exported_too(train, tmp_path):
    train(tmp_path / "m", pooling="first", epochs=1)
    exported_agree(tmp_path / "m", tmp_path / "onnx", ["goal keeper", "shares"])
