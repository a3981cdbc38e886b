"""How a run behaves when things go wrong or sideways: kills, full disks, lost numbers, many processes, other models."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from gpt2news import deploy, split
from gpt2news import finetune as ft
from gpt2news.finetune import device, frozen, trainer, training
from gpt2news.finetune.__main__ import main
from gpt2news.finetune.data import IGNORED, Order, Texts, encode_cached
from newsserve.predictor import Predictor

WORDS = {
    "sport": "goal keeper penalty cup striker",
    "business": "shares profit bank market forecast",
}
SETTINGS = {
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 5e-3,
    "max_length": 24,
    "say": lambda _: None,
}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    random = np.random.default_rng(0)
    rows = []
    for i in range(83):
        topic = ("sport", "business")[i % 2]
        words = random.choice(WORDS[topic].split(), size=random.integers(3, 14))
        rows.append(
            {"text": f"Number {i}: " + " ".join(words) + ".", "topic": topic, "source_id": str(i)}
        )
    frame = pd.DataFrame(rows)
    frame["split"] = ["train"] * 61 + ["val"] * 12 + ["test"] * 10  # 61: the last batch is odd
    folder = tmp_path_factory.mktemp("split")
    split.write_split(frame.assign(group=range(83)), folder, {})
    return folder


@pytest.fixture(scope="module")
def tokenizer(split):
    return ft.train_tokenizer(split.read_split(split)["train"]["text"].tolist(), 400)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("backbone")
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
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def llama(tmp_path_factory, tokenizer):
    """Of 2 M parameters, as newer small models are made: rotary positions, RMS norm, grouped keys."""
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=0, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    assert 1.5e6 < sum(p.numel() for p in model.parameters()) < 2.5e6
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(a: Path, b: Path) -> bool:
    return (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()


def run(script: str, *arguments, launcher=(), **environment) -> subprocess.CompletedProcess:
    """A Python script in a process of its own, one thread, so that its sums are those of any other."""
    command = [sys.executable, *launcher, script, *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "passive", **environment},
    )


# --- crashes --------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from gpt2news.finetune import __main__, trainer
step = trainer.WatchfulTrainer.training_step
def deadly(self, *arguments):
    loss = step(self, *arguments)
    if self.state.global_step + 1 == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return loss
trainer.WatchfulTrainer.training_step = deadly
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_killed_three_times_it_ends_in_the_same_bits(split, backbone, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    options = [
        "--train",
        split,
        "--backbone",
        backbone,
        "--epochs",
        3,
        "--batch-size",
        8,
        "--micro-batch",
        4,
    ]
    options += ["--learning-rate", 5e-3, "--max-length", 24, "--checkpoint-steps", 2]
    at = sorted(
        np.random.default_rng().choice(np.arange(3, 24), size=3, replace=False)
    )  # 24 steps in all
    for kill in at:
        done = run(script, *options, "--out", tmp_path / "cut", KILL_AT=str(kill))
        assert done.returncode == -9, done.stderr
        assert not (tmp_path / "cut").exists()
    done = run(script, *options, "--out", tmp_path / "cut", KILL_AT="0")
    assert done.returncode == 0, done.stderr
    assert f"going on from checkpoint-{(at[-1] - 1) // 2 * 2}" in done.stdout
    assert main([str(option) for option in [*options, "--out", tmp_path / "whole"]]) == 0
    assert same(tmp_path / "cut", tmp_path / "whole"), f"killed at steps {at}"
    records = [
        json.loads((tmp_path / name / "training.json").read_text()) for name in ("cut", "whole")
    ]
    ends = [[e for e in record["history"] if "eval_loss" in e][-1] for record in records]
    assert ends[0]["eval_loss"] == ends[1]["eval_loss"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "killed.py", "whole"], (
        "checkpoints are taken away at the end"
    )


class Stop(Exception):  # noqa: N818
    pass


@pytest.fixture
def stop_at(monkeypatch):
    """`stop_at(n)`: the run ends in the middle of step n, as if killed; `stop_at(0)`: no more."""
    step = trainer.WatchfulTrainer.training_step

    def at(n: int) -> None:
        def cut(self, *arguments):
            if self.state.global_step + 1 == n:
                raise Stop
            return step(self, *arguments)

        monkeypatch.setattr(trainer.WatchfulTrainer, "training_step", cut)

    return at


@pytest.mark.parametrize(
    "options",
    [
        {"lora": 2},
        {"freeze": 1},
        {"early_stopping": 2, "pooling": "mean"},
        {"gradient_checkpointing": True},
    ],
    ids=str,
)
def test_every_way_of_training_goes_on_to_the_same_bits(
    split, backbone, tmp_path, stop_at, options
):
    settings = {"backbone": backbone, "checkpoint_steps": 4, **SETTINGS, **options}
    whole = ft.finetune(split, tmp_path / "whole", **settings)
    lines = []
    for step in (11, 14, 0):  # the end of the first epoch is step 8, its validation included
        stop_at(step)
        if step:
            with pytest.raises(Stop):
                ft.finetune(split, tmp_path / "cut", **settings)
        else:
            cut = ft.finetune(split, tmp_path / "cut", **{**settings, "say": lines.append})
    assert lines[0] == "going on from checkpoint-12"
    assert same(tmp_path / "cut", tmp_path / "whole")
    ends = [
        [entry["eval_loss"] for entry in record["history"] if "eval_loss" in entry]
        for record in (cut, whole)
    ]
    assert ends[0] == ends[1]


def test_other_settings_or_texts_start_afresh(split, backbone, tmp_path, stop_at):
    settings = {
        "backbone": backbone,
        "checkpoint_steps": 2,
        "checkpoints": tmp_path / "kept",
        **SETTINGS,
    }
    stop_at(6)
    with pytest.raises(Stop):
        ft.finetune(split, tmp_path / "m", **settings)
    stop_at(0)
    lines = []
    ft.finetune(split, tmp_path / "m", **{**settings, "learning_rate": 1e-3, "say": lines.append})
    assert not [line for line in lines if "going on" in line]
    ft.finetune(split, tmp_path / "m", **{**settings, "say": lines.append})
    assert "going on from checkpoint-4" in lines
    assert not [p for p in (tmp_path / "kept").iterdir() if p.is_dir()]


def test_a_full_disk_leaves_the_checkpoint_before_it(split, backbone, tmp_path, monkeypatch):
    settings = {"backbone": backbone, "checkpoint_steps": 4, **SETTINGS}
    ft.finetune(split, tmp_path / "whole", **settings)
    save = torch.save

    def full(content, where, *rest, **options):
        if "checkpoint-8" in str(where) and str(where).endswith("optimizer.pt"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(content, where, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(
            ft.CheckpointError,
            match=r"checkpoint-8 could not be written.*No space left.*checkpoint-4 is whole",
        ):
            ft.finetune(split, tmp_path / "cut", **settings)
    (folder,) = (p for p in (tmp_path / "cut-checkpoints").iterdir() if p.is_dir())
    assert [p.name for p in folder.iterdir()] == ["checkpoint-4"]
    ft.finetune(split, tmp_path / "cut", **settings)
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_what_an_interrupted_save_left_is_no_checkpoint(tmp_path):
    (tmp_path / "checkpoint-9").mkdir()
    (tmp_path / "checkpoint-10").mkdir()
    (tmp_path / "draft" / "checkpoint-12").mkdir(parents=True)
    assert trainer.last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert not (tmp_path / "draft").exists()


def test_a_loss_that_is_no_number_names_step_and_batch(split, backbone, tmp_path, monkeypatch):
    loss = trainer.text_loss
    monkeypatch.setattr(
        trainer,
        "text_loss",
        lambda outputs, labels, **more: loss(outputs, labels, **more) * poison["factor"],
    )
    poison, seen = {"factor": 1.0}, []
    step = trainer.WatchfulTrainer.training_step

    def watch(self, model, inputs, *rest):
        if model.training and self.state.global_step + 1 == 11:
            seen.extend(row + 1 for row in inputs["rows"].tolist())
            poison["factor"] = float("nan")
        return step(self, model, inputs, *rest)

    monkeypatch.setattr(trainer.WatchfulTrainer, "training_step", watch)
    with pytest.raises(ft.DivergedError) as raised:
        ft.finetune(split, tmp_path / "m", backbone=backbone, **SETTINGS)
    assert "step 11 (epoch 2): the loss is nan" in str(raised.value)
    assert f"rows {', '.join(map(str, seen))} of" in str(raised.value)
    assert "learning_rate" in str(raised.value)
    assert not (tmp_path / "m").exists()


# --- batches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "multiple"), [(61, 1), (61, 8), (64, 4), (3, 8), (1000, 6)])
def test_each_text_once_an_epoch_in_an_order_that_seed_and_epoch_fix(n, multiple):
    lengths = np.random.default_rng(0).integers(1, 500, n).tolist()
    order = Order(lengths, 8, seed=3, multiple_of=multiple)
    epochs = []
    for epoch in (0, 1, 0):
        order.set_epoch(epoch)
        epochs.append(list(order))
        assert sorted(i for i in epochs[-1] if i >= 0) == list(range(n))
        assert len(epochs[-1]) == len(order)
        assert len(order) % multiple == 0
    assert epochs[0] == epochs[2]
    assert n < 8 or epochs[0] != epochs[1]
    assert n < 8 or list(Order(lengths, 8, seed=4, multiple_of=multiple)) != epochs[0]


def test_texts_of_like_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 500, 2000).tolist()
    order = list(Order(lengths, 16, seed=0))
    padded = sum(16 * max(lengths[i] for i in order[s : s + 16]) for s in range(0, 2000, 16))
    assert padded < 1.1 * sum(lengths)
    firsts = [max(lengths[i] for i in order[s : s + 16]) for s in range(0, 2000, 16)]
    assert firsts != sorted(firsts, reverse=True), "batches are in no order of length"


def test_texts_are_tokenised_once(tokenizer, tmp_path, monkeypatch):
    texts = ["goal keeper", "", "shares profit bank"]
    first = encode_cached(tokenizer, texts, tmp_path)
    assert first == ft.encode(tokenizer, texts)
    monkeypatch.setattr("gpt2news.finetune.data.encode", lambda *_: pytest.fail("tokenised again"))
    assert encode_cached(tokenizer, texts, tmp_path) == first


def test_a_filler_counts_for_nothing():
    texts = Texts([[5, 6], [7]], [1, 0], pad_token_id=9)
    batch = texts.collate([texts[0], texts[-1]])
    assert batch["labels"].tolist() == [1, IGNORED]
    assert batch["input_ids"].tolist() == [[5, 6], [9, 9]]
    logits = torch.tensor([[0.3, 0.9], [5.0, -5.0]])
    alone = torch.nn.functional.cross_entropy(logits[:1], torch.tensor([1]))
    assert trainer.text_loss(type("Out", (), {"logits": logits}), batch["labels"]) == pytest.approx(
        float(alone)
    )


def test_turns_make_the_same_step_as_all_at_once(split, backbone, tmp_path):
    folder = Path(backbone)
    still = tmp_path / "still"  # without dropout, the order of whose draws depends on the turns
    still.mkdir()
    for file in folder.iterdir():
        (still / file.name).write_bytes(file.read_bytes())
    config = json.loads((still / "config.json").read_text()) | {
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
    (still / "config.json").write_text(json.dumps(config))
    for name, micro in (("one", 0), ("many", 2)):
        record = ft.finetune(
            split,
            tmp_path / name,
            backbone=str(still),
            micro_batch=micro,
            **{**SETTINGS, "epochs": 1},
        )
        assert record["steps"] == 8
    one, many = weights(tmp_path / "one"), weights(tmp_path / "many")
    assert max(float((one[k] - many[k]).abs().max()) for k in one) < 1e-4


def test_the_batch_shrinks_until_it_fits_and_stays_a_divisor():
    tried = []

    def attempt(fits):
        def step(texts):
            tried.append(texts)
            if texts > fits:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

        return step

    assert device.fit_batch(24, attempt(7)) == 6
    assert tried == [24, 12, 8, 6]
    assert device.fit_batch(16, attempt(100)) == 16
    with pytest.raises(
        device.MemoryTooSmallError, match=r"one text a turn.*gradient_checkpointing"
    ):
        device.fit_batch(4, attempt(0))
    with pytest.raises(RuntimeError, match="another"):
        device.fit_batch(4, lambda _: (_ for _ in ()).throw(RuntimeError("another error")))


def test_trying_a_step_leaves_no_trace(backbone):
    model = ft.load_model(backbone, ["a", "b"], 1, 24)
    before = {name: w.clone() for name, w in model.state_dict().items()}
    device.try_step(model, 24, "bf16")(3)
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


# --- ways of training -----------------------------------------------------------------------------------------------


def accuracy(folder: Path, split: Path) -> float:
    test, model = split.read_split(split)["test"], ft.Classifier(folder)
    return (
        np.array(model.topics)[model(test["text"].tolist()).argmax(axis=1)] == test["topic"]
    ).mean()


@pytest.mark.parametrize(
    "options",
    [{"lora": 4}, {"freeze": 1}, {"gradient_checkpointing": True}, {"dtype": "bf16"}],
    ids=str,
)
def test_it_learns(split, backbone, tmp_path, options):
    record = ft.finetune(
        split,
        tmp_path / "m",
        backbone=backbone,
        **{**SETTINGS, "epochs": 6, "learning_rate": 1e-2, **options},
    )
    assert accuracy(tmp_path / "m", split) >= 0.9
    stored = json.loads((tmp_path / "m" / "config.json").read_text())
    assert stored["architectures"] == ["GPT2ForSequenceClassification"]
    assert (record["trained"] < record["parameters"]) == bool(
        options.get("freeze") or options.get("lora")
    )
    assert {w.dtype for w in weights(tmp_path / "m").values()} == {torch.float32}


def test_a_bf16_run_leaves_nothing_behind_in_the_process(split, backbone, tmp_path):
    once = {**SETTINGS, "epochs": 1}
    ft.finetune(split, tmp_path / "a", backbone=backbone, **once)
    ft.finetune(split, tmp_path / "half", backbone=backbone, dtype="bf16", **once)
    ft.finetune(split, tmp_path / "b", backbone=backbone, **once)
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "half")


def test_kept_outputs_of_frozen_blocks_are_what_the_blocks_say(split, backbone, tokenizer):
    model = ft.load_model(backbone, ["a", "b"], 1, 24)
    frozen.freeze(model, 1)
    rows = ft.encode(tokenizer, ["goal keeper penalty cup", "profit", "market forecast bank"])
    texts = Texts(rows, [0, 1, 1], 1)
    wanted = model.eval()(input_ids=ft.pad(rows, 1)).logits
    keeper = frozen.keep_outputs(model, 1, [texts], "fp32")
    keeper.states = texts.collate([texts[i] for i in range(3)])["states"]
    assert torch.allclose(model(input_ids=ft.pad(rows, 1)).logits, wanted, atol=1e-5)
    keeper.restore()
    assert torch.allclose(model(input_ids=ft.pad(rows, 1)).logits, wanted, atol=1e-6)


def test_kept_or_not_frozen_blocks_give_the_same_model(split, backbone, tmp_path, monkeypatch):
    settings = {"backbone": backbone, "freeze": 1, **SETTINGS}
    ft.finetune(split, tmp_path / "kept", **settings)
    monkeypatch.setattr(frozen.Keeper, "fits", lambda *_: False)
    ft.finetune(split, tmp_path / "computed", **settings)
    kept, computed = weights(tmp_path / "kept"), weights(tmp_path / "computed")
    assert max(float((kept[k] - computed[k]).abs().max()) for k in kept) < 1e-3


def test_early_stopping_keeps_the_best_epoch(split, backbone, tmp_path):
    settings = {
        "backbone": backbone,
        **SETTINGS,
        "epochs": 12,
        "learning_rate": 3e-2,
        "early_stopping": 1,
    }
    record = ft.finetune(split, tmp_path / "m", **settings)
    losses = [entry["eval_loss"] for entry in record["history"] if "eval_loss" in entry]
    assert len(losses) < 12
    assert losses[-1] >= min(losses)
    val = split.read_split(split)["val"]
    model = ft.Classifier(tmp_path / "m")
    truth = torch.tensor([model.topics.index(topic) for topic in val["topic"]])
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(model.logits(val["text"].tolist())), truth
    )
    assert float(loss) == pytest.approx(min(losses), abs=1e-3)


def test_compiled_it_trains_and_leaves_a_plain_folder(split, backbone, tmp_path, monkeypatch):
    """With dynamo's own eager backend: the C++ that the default backend writes takes minutes to compile."""
    made = training.TrainingArguments
    monkeypatch.setattr(
        training,
        "TrainingArguments",
        lambda **options: made(torch_compile_backend="eager", **options),
    )
    monkeypatch.setattr(device, "can_compile", lambda: True)
    once = {"backbone": backbone, **SETTINGS, "epochs": 1}
    ft.finetune(split, tmp_path / "m", compile=True, **once)
    monkeypatch.undo()
    ft.finetune(split, tmp_path / "plain", **once)
    assert not os.environ.get("ACCELERATE_DYNAMO_BACKEND"), "a later run is not compiled"
    one, other = weights(tmp_path / "m"), weights(tmp_path / "plain")
    assert max(float((one[k] - other[k]).abs().max()) for k in other) < 1e-3
    assert one.keys() == other.keys()


def test_a_llama_is_fine_tuned_and_exported_by_the_same_commands(split, llama, tmp_path):
    options = [
        "--backbone",
        llama,
        "--epochs",
        "3",
        "--batch-size",
        "8",
        "--learning-rate",
        "1e-3",
        "--max-length",
        "24",
    ]
    assert main(["--train", str(split), "--out", str(tmp_path / "m"), *options, "--normalise"]) == 0
    assert accuracy(tmp_path / "m", split) >= 0.9
    folder = deploy.export(tmp_path / "m", tmp_path / "onnx")
    texts = [*split.read_split(split)["test"]["text"], "goal"]
    said = Predictor(folder, deploy.FP32).logits(texts)
    assert np.abs(said - ft.Classifier(tmp_path / "m").logits(texts)).max() < 1e-4


@pytest.mark.parametrize("pooling", ["first", "left", "flat"])
def test_only_comparable_poolings_are_not_exported(split, backbone, tmp_path, pooling):
    ft.finetune(
        split, tmp_path / "m", backbone=backbone, pooling=pooling, **{**SETTINGS, "epochs": 1}
    )
    if pooling == "first":
        texts = ["goal keeper", "shares"]
        folder = deploy.export(tmp_path / "m", tmp_path / "onnx")
        assert (
            np.abs(
                Predictor(folder, deploy.FP32).logits(texts)
                - ft.Classifier(tmp_path / "m").logits(texts)
            ).max()
            < 1e-4
        )
    else:
        with pytest.raises(
            ValueError,
            match=f"pooling '{pooling}' is for comparison only; export has last, mean, first",
        ):
            deploy.export(tmp_path / "m", tmp_path / "onnx")


# --- many processes -------------------------------------------------------------------------------------------------

WATCHED = """
import json, os, sys
from gpt2news.finetune import __main__, trainer
step = trainer.WatchfulTrainer.training_step
seen = open(os.environ["SEEN"] + "." + os.environ.get("RANK", "0"), "w")
def watch(self, model, inputs, *rest):
    print(json.dumps([self.state.global_step, inputs["rows"].tolist()]), file=seen, flush=True)
    return step(self, model, inputs, *rest)
trainer.WatchfulTrainer.training_step = watch
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_two_processes_take_the_steps_of_one(split, backbone, tmp_path):
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    options = [
        "--train",
        split,
        "--backbone",
        backbone,
        "--epochs",
        3,
        "--batch-size",
        8,
        "--learning-rate",
        5e-3,
        "--max-length",
        24,
    ]
    records, seen = {}, {}
    for name, launcher in (
        ("one", ()),
        ("two", ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")),
    ):
        done = run(
            script,
            *options,
            "--out",
            tmp_path / name,
            launcher=launcher,
            SEEN=str(tmp_path / f"seen-{name}"),
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch 3/3") == 1, "the first process speaks, the others do not"
        records[name] = json.loads((tmp_path / name / "training.json").read_text())
        steps = {}
        for file in tmp_path.glob(f"seen-{name}.*"):
            for line in file.read_text().splitlines():
                step, rows = json.loads(line)
                steps.setdefault(step, []).extend(row for row in rows if row >= 0)
        seen[name] = [sorted(steps[step]) for step in sorted(steps)]
    assert records["one"]["steps"] == records["two"]["steps"] == 24
    assert (
        records["one"]["processes"],
        records["two"]["processes"],
        records["two"]["texts_at_once"],
    ) == (1, 2, 4)
    assert seen["one"] == seen["two"], "the same texts in each step"
    assert sorted(row for rows in seen["two"][:8] for row in rows) == list(range(61)), (
        "each text once an epoch"
    )
    ends = [
        [e for e in records[name]["history"] if "eval_loss" in e][-1] for name in ("one", "two")
    ]
    # dropout draws differ between one process and two
    assert ends[0]["eval_loss"] == pytest.approx(ends[1]["eval_loss"], abs=0.1)
    assert ends[0]["eval_accuracy"] == pytest.approx(ends[1]["eval_accuracy"], abs=0.1)


def test_the_configuration_for_sharding_is_one_that_accelerate_reads():
    """Only read: accelerate shards on GPUs, and there is none in the tests."""
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(Path(ft.__file__).parent / "fsdp.yaml"))
    assert config.distributed_type == "FSDP"
    assert (config.fsdp_config["fsdp_version"], config.fsdp_config["fsdp_state_dict_type"]) == (
        2,
        "FULL_STATE_DICT",
    )


# --- misuse ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 1.5}, "epochs = 1.5: a number over 0 is needed, without a fraction"),
        ({"batch_size": -4}, "batch_size = -4: a number over 0"),
        ({"max_length": 0}, "max_length = 0: a number over 0"),
        ({"max_length": 64}, "max_length 64: .* reads 32 tokens at most"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"pooling": "max"}, "pooling 'max': there are last, mean, first, left, flat"),
        ({"freeze": 3}, "freeze = 3: .* has 2 blocks"),
        ({"freeze": -1}, "freeze = -1: 0 or more"),
        ({"lora": -2}, "lora = -2: 0 or more"),
        ({"lora": 4, "freeze": 1}, "freeze and lora: .*choose one"),
        ({"from_scratch": True, "freeze": 1}, "from_scratch and freeze: random weights"),
        ({"from_scratch": True, "lora": 4}, "from_scratch and lora: random weights"),
        ({"early_stopping": -1}, "early_stopping = -1: 0 or more"),
        (
            {"micro_batch": 3},
            "micro_batch = 3: a process reads 8 texts a step; use a number that divides 8",
        ),
        ({"micro_batch": 16}, "micro_batch = 16: a process reads 8 texts"),
        ({"checkpoint_steps": -5}, "checkpoint_steps = -5: 0 or more"),
        ({"price_per_hour": -1.0}, "price_per_hour = -1.0: 0 or more"),
        ({"seed": -1}, "seed = -1: 0 or more"),
        ({"dtype": "fp8"}, "dtype 'fp8': there are auto, fp32, bf16, fp16"),
        pytest.param(
            {"dtype": "fp16"},
            "dtype fp16: this machine has no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU"),
        ),
    ],
    ids=str,
)
def test_misuse_is_said_before_anything_is_loaded(
    split, backbone, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr(
        "gpt2news.finetune.training.load_model",
        lambda *a: ft.load_model(*a) and pytest.fail("a model was loaded"),
    )
    if options.get("max_length") == 64:
        monkeypatch.undo()  # the model's own configuration says it
    with pytest.raises(ValueError, match=message):
        ft.finetune(split, tmp_path / "m", **{"backbone": backbone, **SETTINGS, **options})
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be(split, backbone, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out: .*is a file; a folder is needed"):
        ft.finetune(split, tmp_path / "file", backbone=backbone, **SETTINGS)
    with pytest.raises(ValueError, match=r"checkpoints: .*is a file"):
        ft.finetune(
            split, tmp_path / "m", backbone=backbone, checkpoints=tmp_path / "file", **SETTINGS
        )
    with pytest.raises(ValueError, match="is in the model folder"):
        ft.finetune(
            split, tmp_path / "m", backbone=backbone, checkpoints=tmp_path / "m" / "c", **SETTINGS
        )


def test_what_depends_on_the_surroundings_is_said_too(split, backbone, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "3")
        with pytest.raises(ValueError, match="batch_size = 8: 3 processes cannot share it evenly"):
            ft.finetune(split, tmp_path / "m", backbone=backbone, **SETTINGS)
    with monkeypatch.context() as patch:
        patch.setenv("ACCELERATE_USE_FSDP", "true")
        with pytest.raises(ValueError, match="lora and FSDP"):
            ft.finetune(split, tmp_path / "m", backbone=backbone, lora=2, **SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(device, "can_compile", lambda: False)
        with pytest.raises(ValueError, match=r"compile: torch.compile finds no compiler"):
            ft.finetune(split, tmp_path / "m", backbone=backbone, compile=True, **SETTINGS)


def test_a_gpu_gets_the_format_that_it_has(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "T4")
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda *_: type("P", (), {"total_memory": 15 * 2**30})
    )
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (7, 5))
    assert device.choose_dtype() == "fp16"
    assert ft.device_line() == "T4 (15 GiB), fp16 with loss scaling, SDPA attention"
    with pytest.raises(ValueError, match="T4 does not have it; use fp16 or auto"):
        device.choose_dtype("bf16")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (8, 9))
    assert device.choose_dtype() == "bf16"


def test_on_colab_without_a_gpu_the_line_names_the_menu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "x")
    assert "Runtime > Change runtime type > T4 GPU" in ft.device_line()


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_a_model_that_is_not_causal_is_refused(split, backbone, tmp_path, kind):
    from transformers import AutoConfig

    folder = tmp_path / kind
    small = {
        "bert": {"hidden_size": 16, "num_attention_heads": 2},
        "t5": {"d_model": 16, "num_heads": 2},
    }[kind]
    AutoConfig.for_model(kind, **small).save_pretrained(folder)
    with pytest.raises(ft.BackboneError, match="a causal language model is needed"):
        ft.load_model(str(folder), ["a", "b"], 1, 24)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text,label\na,b\n", "no column 'topic'; it has text, label"),
        ("text,topic\n", "no rows"),
        ("text,topic\ngoal,sport\n ,sport\n", "row 2 has no text"),
        ("text,topic\ngoal,\n", "row 1 has no topic"),
        ("text,topic\ngoal,sport\ncup,sport\n", "all texts have the topic 'sport'"),
        (
            "text,topic\ngoal,tech\ncup,art\n",
            "validation has the topic 'business', which no training text has",
        ),
    ],
)
def test_a_training_file_that_cannot_be_used_is_named(split, backbone, tmp_path, rows, message):
    (tmp_path / "mine.csv").write_text(rows)
    with pytest.raises(ValueError, match=message):
        ft.finetune(tmp_path / "mine.csv", tmp_path / "m", val=split, backbone=backbone, **SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--epochs", "many"], {}, "argument --epochs: invalid int value: 'many'"),
        (["--epoch-s", "2"], {}, "unrecognized arguments: --epoch-s"),
        (["--pooling", "max"], {}, "invalid choice: 'max'"),
        (["--dtype", "int4"], {}, "invalid choice: 'int4'"),
        (["--normalise", "perhaps"], {}, "'perhaps': true or false is needed"),
        (["--processes", "0"], {}, "--processes 0: 1 or more"),
        ([], {"SM_HPS": "{"}, "SM_HPS is not JSON"),
        ([], {"SM_HPS": '{"epoch_count": 2}'}, "unrecognized arguments: --epoch_count=2"),
        ([], {"SM_HPS": '{"epochs": "two"}'}, "invalid int value: 'two'"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    tmp_path, monkeypatch, capsys, arguments, environment, message
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="2"):
        main(["--train", str(tmp_path), "--out", str(tmp_path / "m"), *arguments])
    assert message in capsys.readouterr().err


def test_the_command_line_needs_places_and_reports_errors_in_a_line(tmp_path, split, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "--train and --out are needed" in capsys.readouterr().err
    assert main(["--train", str(tmp_path), "--out", str(tmp_path / "m")]) == 2
    assert capsys.readouterr().err.startswith("gpt2news.finetune: ")
    assert (
        main(["--train", str(split), "--out", str(tmp_path / "m"), "--backbone", "models/nowhere"])
        == 2
    )
    assert "no folder with a config.json" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--gradient-checkpointing" in capsys.readouterr().out


# --- progress -------------------------------------------------------------------------------------------------------


def test_a_log_gets_a_line_now_and_then_and_the_cost(split, backbone, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr("gpt2news.finetune.progress.LINE_EVERY", 0)
    record = ft.finetune(
        split,
        tmp_path / "m",
        backbone=backbone,
        price_per_hour=3600.0,
        **{**SETTINGS, "say": lines.append},
    )
    assert any(line.startswith("step 5/24") and "s left, cost so far" in line for line in lines)
    assert record["cost"] == pytest.approx(record["seconds"], abs=record["seconds"])
    assert record["cost"] > 0


def test_a_terminal_gets_a_bar(split, backbone, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    ft.finetune(split, tmp_path / "m", backbone=backbone, **SETTINGS)
    assert "/24 [" in capsys.readouterr().err


def test_a_notebook_gets_a_live_figure_and_keeps_the_lines(split, backbone, tmp_path, monkeypatch):
    shown, lines = [], []
    monkeypatch.setattr("gpt2news.finetune.progress.in_notebook", lambda: True)
    monkeypatch.setattr("gpt2news.finetune.progress.FIGURE_EVERY", 0)

    class Handle:
        def update(self, figure):
            shown.append(figure.axes[0].get_title() or figure.axes[0].get_title(loc="left"))

    monkeypatch.setattr("gpt2news.finetune.progress.display.display", lambda *_, **__: Handle())
    monkeypatch.setattr("gpt2news.finetune.progress.display.clear_output", lambda: lines.clear())
    ft.finetune(split, tmp_path / "m", backbone=backbone, **{**SETTINGS, "say": lines.append})
    assert shown[-1].startswith("step 24 of 24")
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
