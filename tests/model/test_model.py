"""Finding and loading a backbone, texts as ids, what the new layer reads."""

import logging

import pytest
import torch

from gpt2news import finetune as ft


def test_truncation_and_normaliser_travel_in_the_tokenizers_file(train, tmp_path):
    from tokenizers import Tokenizer

    train(tmp_path / "m", epochs=1)
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


def test_a_hub_out_of_reach_says_the_way_out(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ft.BackboneError, match="download the model elsewhere"):
        ft.load_tokenizer("nobody/nothing", 24)


@pytest.mark.parametrize(
    ("name", "message"),
    [("models/nowhere", "no folder with a config.json"), ("just-a-name", "not a hub name")],
)
def test_a_backbone_that_is_nowhere(name, message):
    with pytest.raises(ft.BackboneError, match=message):
        ft.locate_backbone(name)


@pytest.mark.parametrize("pooling", list(ft.POOLINGS))
def test_every_pooling_trains_is_read_back_and_reads_what_it_says(train, tmp_path, pooling):
    train(tmp_path / "m", pooling=pooling, epochs=1)
    model = ft.Classifier(tmp_path / "m")
    assert model.pooling == pooling
    text = "Number 3: goal keeper cup."
    ids = torch.tensor([ft.encode(model.tokenizer, [text])[0]])
    with torch.no_grad():
        states = model.model.base_model(input_ids=ids).last_hidden_state[0]
    wanted = {"last": states[-1], "mean": states.mean(dim=0), "first": states[0]}[pooling]
    # beside a longer text, so that it is padded
    longer = "Number 7: shares profit bank market forecast shares profit."
    said = model.logits([text, longer])[0]
    assert said == pytest.approx(model.model.score(wanted).detach().numpy(), abs=1e-5)


def test_a_model_that_reads_and_writes_is_refused(tmp_path):
    from transformers import AutoConfig

    AutoConfig.for_model("t5", d_model=16).save_pretrained(tmp_path)
    with pytest.raises(ft.BackboneError, match="a causal language model is needed, or an enc"):
        ft.load_model(str(tmp_path), ["a", "b"], 1, 24)


def test_a_pooling_that_does_not_exist(backbone):
    with pytest.raises(ft.BackboneError, match="pooling 'max': there are last, mean, first"):
        ft.load_model(backbone, ["a", "b"], 1, 24, pooling="max")


def test_messages_are_as_loud_as_before_once_loaded(backbone):
    before = logging.root.manager.disable
    ft.load_model(backbone, ["a", "b"], 1, 24)
    assert logging.root.manager.disable == before
