"""Model folders as others make them: taken and trained right, or refused with the way out."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
)

from gpt2news import finetune as ft
from gpt2news.finetune.backbone import prepare

TOPICS = ["a", "b", "c"]


def asked(folder: Path | str, **changes):
    """Tokenizer and model as a run would start with them."""
    return prepare(ft.Recipe(str(folder), **{"max_length": 24, **changes}), TOPICS)


@pytest.fixture
def hostile(backbone, tmp_path) -> Path:
    """A copy of a good backbone, to be spoilt."""
    return Path(shutil.copytree(backbone, tmp_path / "backbone"))


def without_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def with_a_tokenizer_of_other_words(folder):
    """It knows none of ours: each is `<unk>`."""
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "дом": 1}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "<unk>", "eos_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def with_a_pad_token_that_is_not_embedded(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)


def without_an_end_token(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)


def weights(folder, change) -> None:
    file = folder / "model.safetensors"
    state = load_file(file)
    change(state)
    save_file(state, file, {"format": "pt"})


def without_half_of_its_weights(folder):
    def drop(state):
        for name in [name for name in state if ".h.1." in f".{name}"]:
            del state[name]

    weights(folder, drop)


def with_embeddings_of_another_size(folder):
    def cut(state):
        name = next(name for name in state if name.endswith("wte.weight"))
        state[name] = state[name][:-7].clone()

    weights(folder, cut)


def with_weights_of_pickle_only(folder):
    state = load_file(folder / "model.safetensors")
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def with_half_a_weights_file(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def with_a_config_that_is_not_json(folder):
    (folder / "config.json").write_text('{"model_type": "gpt2",')


def with_a_type_that_nobody_knows(folder):
    (folder / "config.json").write_text('{"model_type": "gpt9"}')


def without_a_config(folder):
    (folder / "config.json").unlink()


def as_an_adapter_alone(folder):
    """As PEFT saves it: what was added to a model, and not the model."""
    (folder / "config.json").rename(folder / "adapter_config.json")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def configured(folder, **changes) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def with_weights_that_are_no_numbers(folder):
    def spoil(state):
        state[min(state)].view(-1)[3] = float("nan")

    weights(folder, spoil)


def with_a_pointer_in_place_of_the_weights(folder):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (folder / "model.safetensors").write_text(text)


def with_code_of_its_own(folder):
    (folder / "mine.py").write_text("raise SystemExit('this code has run')")
    autos = {"AutoConfig": "mine.Config", "AutoModelForSequenceClassification": "mine.Model"}
    configured(folder, model_type="mine", auto_map=autos)


def with_weights_of_four_bits(folder):
    configured(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})


def with_a_setting_of_another_type(folder):
    configured(folder, n_layer="two")


def with_a_config_that_is_a_list(folder):
    (folder / "config.json").write_text("[]")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without_tokenizer, "tokenizer"),
        (with_a_tokenizer_of_other_words, "does not give a text back"),
        (with_a_pad_token_that_is_not_embedded, r"resize_token_embeddings\(len\(tokenizer\)\)"),
        (without_an_end_token, "no end and no padding token"),
        (without_half_of_its_weights, "of its weights are missing or of another shape"),
        (with_embeddings_of_another_size, "of its weights are missing or of another shape"),
        (with_weights_of_pickle_only, "could not be loaded"),
        (with_half_a_weights_file, "could not be loaded"),
        (with_a_config_that_is_not_json, "could not be loaded"),
        (with_a_type_that_nobody_knows, "could not be loaded"),
        (without_a_config, "no folder with a config.json there"),
        (as_an_adapter_alone, "no folder with a config.json there"),
        (with_weights_that_are_no_numbers, "some of its weights are not numbers"),
        (with_a_pointer_in_place_of_the_weights, "could not be loaded"),
        (with_code_of_its_own, "could not be loaded"),
        (with_weights_of_four_bits, "could not be loaded"),
        (with_a_setting_of_another_type, "could not be loaded"),
        (with_a_config_that_is_a_list, "could not be loaded"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_folder_that_is_spoilt_is_refused(hostile, spoil, says):
    spoil(hostile)
    with pytest.raises(ft.BackboneError, match=says):
        asked(hostile)


def test_a_report_is_refused_before_its_first_chapter(hostile, tmp_path, monkeypatch):
    from newsreport.gates import ReportError
    from newsreport.profiles import load_profile
    from newsreport.run import run_report

    with_a_pad_token_that_is_not_embedded(hostile)
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    changed = (f"03_finetune.backbone={hostile}", "03_finetune.max_length=24")
    profile = load_profile("quick", changed)
    with pytest.raises(ReportError, match=r"^backbone '.*resize_token_embeddings"):
        run_report(profile, "x")
    assert not (tmp_path / "reports").exists()


def test_more_tokens_than_it_has_positions(hostile):
    with pytest.raises(ft.BackboneError, match="reads 32 tokens at most"):
        asked(hostile, max_length=33)


@pytest.mark.parametrize("outputs", [2, 3, 7])
def test_an_earlier_classifier_gets_a_fresh_layer(hostile, outputs):
    tokenizer = AutoTokenizer.from_pretrained(hostile)
    before = GPT2ForSequenceClassification.from_pretrained(
        hostile, num_labels=outputs, pad_token_id=tokenizer.pad_token_id
    )
    before.score.weight.data.fill_(9.0)
    before.save_pretrained(hostile)
    model = asked(hostile)[1]
    assert model.score.weight.shape == (3, 32)
    assert 0 < model.score.weight.abs().max() < 1
    assert torch.equal(model.base_model.wte.weight, before.base_model.wte.weight)


def test_a_classifier_of_our_own_with_another_pooling_is_a_backbone(train, tmp_path):
    train(tmp_path / "m", pooling="mean", epochs=1)
    first = ft.Classifier(tmp_path / "m").model
    model = asked(tmp_path / "m")[1]
    assert type(model) is GPT2ForSequenceClassification
    assert torch.equal(model.base_model.wte.weight, first.base_model.wte.weight)


@pytest.mark.parametrize(
    ("name", "where"),
    [("gpt2", "openai-community/gpt2"), ("distilgpt2", "distilbert/distilgpt2")],
)
def test_the_hubs_old_names_have_an_owner(name, where):
    assert ft.locate_backbone(name)[0] == where
    assert ft.locate_backbone(f"{name}@main") == (where, "main")
    assert ft.locate_backbone("gpt2")[1] == ft.locate_backbone("openai-community/gpt2")[1]


# --- the same answers in transformers alone ------------------------------------------------------

PLAIN = """
import json, sys
from transformers import pipeline
folder, texts, code = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] == "code"
ask = pipeline("text-classification", folder, trust_remote_code=code, top_k=None, device="cpu")
said = [ask([text], truncation=True)[0] for text in texts]
print(json.dumps([{each["label"]: each["score"] for each in rows} for rows in said]))
assert "gpt2news" not in sys.modules
"""
TEXTS = ["Number 3: goal keeper cup.", "shares <|endoftext|> profit <|pad|>", "goal " * 60, "bank"]


def plain_transformers(folder, home, code: bool) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PLAIN, str(folder), json.dumps(TEXTS), "code" if code else ""]
    environment = {"HF_HOME": str(home), "PATH": "", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("kind", ["backbone", "llama", "bert"])
@pytest.mark.parametrize("pooling", list(ft.POOLINGS))
def test_plain_transformers_gives_our_answers_or_refuses(request, train, tmp_path, pooling, kind):
    folder = tmp_path / "m"
    train(folder, backbone=request.getfixturevalue(kind), pooling=pooling, epochs=1)
    model = ft.Classifier(folder)
    code = pooling != "last" or kind == "bert"
    if code:
        with pytest.raises(ValueError, match="trust_remote_code"):
            AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with pytest.raises(ValueError, match="trust_remote_code"):
            AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
    done = plain_transformers(folder, tmp_path / "home", code)
    assert done.returncode == 0, done.stderr
    for given, wanted in zip(json.loads(done.stdout), model(TEXTS), strict=True):
        ours = dict(zip(model.topics, wanted.tolist(), strict=True))
        assert given == pytest.approx(ours, abs=1e-5)
