"""Training a part of a model: frozen blocks, whose outputs may be kept, and adapters."""

import torch
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel

from gpt2news import finetune as ft
from gpt2news.finetune import part
from gpt2news.finetune.trainer import TextDataset


def test_frozen_blocks_stay_and_the_rest_learns(train, backbone, tmp_path):
    train(tmp_path / "m", freeze=1, epochs=1)
    before = GPT2LMHeadModel.from_pretrained(backbone).transformer.state_dict()
    after = ft.Classifier(tmp_path / "m").model.transformer.state_dict()
    moved = {name for name, w in after.items() if not torch.equal(w, before[name])}
    assert not [name for name in moved if name.startswith(("wte", "wpe", "h.0."))]
    assert {"h.1.attn.c_attn.weight", "ln_f.weight"} <= moved


def test_with_all_blocks_frozen_only_the_new_layer_learns(train, backbone, tmp_path):
    record = train(tmp_path / "m", freeze=2)
    before = GPT2LMHeadModel.from_pretrained(backbone).transformer.state_dict()
    model = ft.Classifier(tmp_path / "m").model
    after = model.transformer.state_dict()
    assert all(torch.equal(w, before[name]) for name, w in after.items())
    assert record["trained"] == model.score.weight.numel()


def test_kept_outputs_of_frozen_blocks_are_what_the_blocks_say(backbone, llama, tokenizer):
    rows = ft.encode(tokenizer, ["goal keeper penalty cup", "profit", "market forecast bank"])
    for folder, n in ((backbone, 1), (backbone, 2), (llama, 3)):
        for pooling in ("last", "mean"):
            model = ft.load_model(folder, ["a", "b"], 1, 24, pooling=pooling).eval()
            part.freeze(model, n)
            ids = ft.pad(rows, 1)
            wanted = model(input_ids=ids).logits
            texts = TextDataset(rows, [0, 1, 1], 1)
            texts.states = part.keep_states(model, n, rows)
            batch = texts.collate([texts[i] for i in range(3)])
            with part.upper_blocks(model, n) as upper:
                said = upper(input_ids=ids, states=batch["states"]).logits
                assert len(part_blocks(model)) == model.config.num_hidden_layers - n
            assert torch.allclose(said, wanted, atol=1e-5)
            assert torch.equal(model(input_ids=ids).logits, wanted), "all blocks are back"


def part_blocks(model):
    return model.base_model.h if hasattr(model.base_model, "h") else model.base_model.layers


def test_kept_or_not_frozen_blocks_give_the_same_model(train, tmp_path, monkeypatch):
    train(tmp_path / "kept", freeze=1)
    monkeypatch.setattr(part, "fits", lambda *_: False)
    train(tmp_path / "computed", freeze=1)
    names = ("kept", "computed")
    kept, computed = (load_file(tmp_path / name / "model.safetensors") for name in names)
    assert kept.keys() == computed.keys()
    assert max(float((kept[k] - computed[k]).abs().max()) for k in kept) < 1e-3
