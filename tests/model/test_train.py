"""A run: what it leaves, the same twice, kills and resumes, many processes, clear errors."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gpt2news import finetune as ft
from gpt2news import split
from gpt2news.finetune import train as of_train
from gpt2news.finetune.__main__ import main

OPTIONS = ["--epochs", 3, "--batch-size", 8, "--learning-rate", 5e-3, "--max-length", 24]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def run(script: Path, *arguments, launcher=(), **environment) -> subprocess.CompletedProcess:
    """A Python script in a process of its own."""
    command = [sys.executable, *launcher, str(script), *map(str, arguments)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def losses_of(record: dict) -> list[float]:
    return [entry["eval_loss"] for entry in record["history"] if "eval_loss" in entry]


def test_learns_and_leaves_a_whole_model_folder(train, splits, accuracy, tmp_path):
    lines = []
    record = train(tmp_path / "model", epochs=4, say=lines.append)
    assert len(lines) == 4
    assert "epoch 4/4" in lines[-1]
    assert record["topics"] == ["business", "sport"]
    assert json.loads((tmp_path / "model" / "training.json").read_text())["history"]
    assert accuracy(tmp_path / "model") >= 0.9
    assert not list(tmp_path.glob(".*"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_same_seed_same_weights_other_seed_others(train, tmp_path):
    def of(name, seed):
        train(tmp_path / name, seed=seed, epochs=1)
        return hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest()

    assert of("a", 1) == of("b", 1) != of("c", 2)


def test_a_missing_split_names_the_chapter(train, tmp_path):
    with pytest.raises(FileNotFoundError, match="02_split makes them"):
        train(tmp_path / "model", folder=tmp_path)
    assert not list(tmp_path.iterdir())


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
def test_a_training_file_that_cannot_be_used_is_named(train, splits, tmp_path, rows, message):
    (tmp_path / "mine.csv").write_text(rows)
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "m", folder=tmp_path / "mine.csv", val=splits)


# --- crashes ------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from gpt2news.finetune import __main__, trainer
step = trainer.ClassifierTrainer.training_step
def deadly(self, *arguments):
    loss = step(self, *arguments)
    if self.state.global_step + 1 == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return loss
trainer.ClassifierTrainer.training_step = deadly
sys.exit(__main__.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_killed_three_times_it_ends_in_the_same_bits(splits, backbone, tmp_path, same, dtype):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    options = ["--train", splits, "--backbone", backbone, *OPTIONS]
    options += ["--micro-batch", 4, "--checkpoint-steps", 2, "--dtype", dtype]
    steps = np.arange(3, 24)  # 24 in all, 8 an epoch
    at = sorted(np.random.default_rng().choice(steps, size=3, replace=False))
    for kill in at:
        done = run(script, *options, "--out", tmp_path / "cut", KILL_AT=str(kill))
        assert done.returncode == -9, done.stderr
        assert not (tmp_path / "cut").exists()
    # What a kill in the middle of a save leaves: newer, and not whole.
    (folder,) = (path for path in (tmp_path / "cut-checkpoints").iterdir() if path.is_dir())
    (folder / "checkpoint-23").mkdir(exist_ok=True)
    (folder / "checkpoint-23" / "trainer_state.json").write_text('{"global_st')
    done = run(script, *options, "--out", tmp_path / "cut", KILL_AT="0")
    assert done.returncode == 0, done.stderr
    assert f"going on from checkpoint-{(at[-1] - 1) // 2 * 2}" in done.stdout
    assert main([str(option) for option in [*options, "--out", tmp_path / "whole"]]) == 0
    assert same(tmp_path / "cut", tmp_path / "whole"), f"killed at steps {at}"
    records = [json.loads((tmp_path / n / "training.json").read_text()) for n in ("cut", "whole")]
    assert losses_of(records[0]) == losses_of(records[1])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["cut", "killed.py", "whole"], "checkpoints are taken away at the end"


@pytest.mark.parametrize(
    "options",
    [
        {"lora": 2},
        {"freeze": 1},
        {"early_stopping": 2, "pooling": "mean"},
        {"gradient_checkpointing": True},
        {"freeze": 1, "dtype": "bf16"},
    ],
    ids=str,
)
def test_every_way_of_training_goes_on_to_the_same_bits(train, tmp_path, stop_at, same, options):
    settings = {"checkpoint_steps": 4, **options}
    whole = train(tmp_path / "whole", **settings)
    for step in (11, 14):  # the end of the first epoch is step 8, its validation included
        with pytest.raises(stop_at(step)):
            train(tmp_path / "cut", **settings)
    stop_at(0)
    lines = []
    cut = train(tmp_path / "cut", say=lines.append, **settings)
    assert lines[0] == "going on from checkpoint-12"
    assert same(tmp_path / "cut", tmp_path / "whole")
    assert losses_of(cut) == losses_of(whole)


def test_a_checkpoint_that_was_copied_in_part_is_passed_over(train, tmp_path, stop_at, same):
    train(tmp_path / "whole", checkpoint_steps=2)
    with pytest.raises(stop_at(7)):
        train(tmp_path / "cut", checkpoint_steps=2)
    (folder,) = (path for path in (tmp_path / "cut-checkpoints").iterdir() if path.is_dir())
    (folder / "checkpoint-6" / "optimizer.pt").unlink()
    stop_at(0)
    lines = []
    train(tmp_path / "cut", checkpoint_steps=2, say=lines.append)
    assert lines[0] == "going on from checkpoint-4"
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_other_settings_or_texts_start_afresh(train, tmp_path, stop_at):
    settings = {"checkpoint_steps": 2, "checkpoints": tmp_path / "kept"}
    with pytest.raises(stop_at(6)):
        train(tmp_path / "m", **settings)
    stop_at(0)
    lines = []
    train(tmp_path / "m", **settings, learning_rate=1e-3, say=lines.append)
    assert not [line for line in lines if "going on" in line]
    train(tmp_path / "m", **settings, say=lines.append)
    assert "going on from checkpoint-4" in lines
    assert not [path for path in (tmp_path / "kept").iterdir() if path.is_dir()]


# --- memory -------------------------------------------------------------------------------------


def test_turns_make_the_same_step_as_all_at_once(train, backbone, tmp_path):
    still = tmp_path / "still"  # without dropout, the order of whose draws depends on the turns
    still.mkdir()
    for file in Path(backbone).iterdir():
        (still / file.name).write_bytes(file.read_bytes())
    config = json.loads((still / "config.json").read_text())
    config |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    (still / "config.json").write_text(json.dumps(config))
    for name, micro in (("one", 0), ("many", 2)):
        record = train(tmp_path / name, backbone=str(still), micro_batch=micro, epochs=1)
        assert record["steps"] == 8
    one, many = weights(tmp_path / "one"), weights(tmp_path / "many")
    assert max(float((one[k] - many[k]).abs().max()) for k in one) < 1e-4


def test_too_little_memory_names_the_ways_out(train, tmp_path, monkeypatch):
    def step(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(of_train.ClassifierTrainer, "training_step", step)
    with pytest.raises(ValueError, match="memory is too small") as raised:
        train(tmp_path / "m")
    for way in ("micro_batch", "gradient_checkpointing", "freeze", "lora", "max_length"):
        assert way in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "m").exists()


# --- ways of training ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"lora": 4}, {"freeze": 1}, {"gradient_checkpointing": True}, {"dtype": "bf16"}],
    ids=str,
)
def test_it_learns(train, accuracy, tmp_path, options):
    record = train(tmp_path / "m", epochs=6, learning_rate=1e-2, **options)
    assert accuracy(tmp_path / "m") >= 0.9
    stored = json.loads((tmp_path / "m" / "config.json").read_text())
    assert stored["architectures"] == ["GPT2ForSequenceClassification"]
    partly = bool(options.get("freeze") or options.get("lora"))
    assert (record["trained"] < record["parameters"]) == partly
    assert {w.dtype for w in weights(tmp_path / "m").values()} == {torch.float32}


def test_a_bf16_run_leaves_nothing_behind_in_the_process(train, tmp_path, same):
    train(tmp_path / "a", epochs=1)
    train(tmp_path / "half", dtype="bf16", epochs=1)
    train(tmp_path / "b", epochs=1)
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "half")


def test_early_stopping_keeps_the_best_epoch(train, splits, tmp_path):
    record = train(tmp_path / "m", epochs=12, learning_rate=3e-2, early_stopping=1)
    losses = losses_of(record)
    assert len(losses) < 12
    assert losses[-1] >= min(losses)
    val, model = split.read_split(splits)["val"], ft.Classifier(tmp_path / "m")
    truth = torch.tensor([model.topics.index(topic) for topic in val["topic"]])
    logits = torch.from_numpy(model.logits(val["text"].tolist()))
    loss = torch.nn.functional.cross_entropy(logits, truth)
    assert float(loss) == pytest.approx(min(losses), abs=1e-3)


# --- many processes -----------------------------------------------------------------------------

WATCHED = """
import json, os, sys
from gpt2news.finetune import __main__, trainer
step = trainer.ClassifierTrainer.training_step
seen = open(os.environ["SEEN"] + "." + os.environ.get("RANK", "0"), "w")
def watch(self, model, inputs, *rest):
    line = json.dumps([self.state.global_step, inputs["rows"].tolist()])
    print(line, file=seen, flush=True)
    return step(self, model, inputs, *rest)
trainer.ClassifierTrainer.training_step = watch
sys.exit(__main__.main(sys.argv[1:]))
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def test_two_processes_take_the_steps_of_one(splits, backbone, tmp_path):
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    options = ["--train", splits, "--backbone", backbone, *OPTIONS]
    records, seen = {}, {}
    for name, launcher in (("one", ()), ("two", TORCHRUN)):
        places = {"SEEN": str(tmp_path / f"seen-{name}")}
        done = run(script, *options, "--out", tmp_path / name, launcher=launcher, **places)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch 3/3") == 1, "the first process speaks, the others do not"
        records[name] = json.loads((tmp_path / name / "training.json").read_text())
        steps = {}
        for file in tmp_path.glob(f"seen-{name}.*"):
            for line in file.read_text().splitlines():
                step, rows = json.loads(line)
                steps.setdefault(step, []).extend(row for row in rows if row >= 0)
        seen[name] = [sorted(steps[step]) for step in sorted(steps)]
    turns = [
        [len(json.loads(line)[1]) for line in file.read_text().splitlines()]
        for file in tmp_path.glob("seen-two.*")
    ]
    assert turns[0] == turns[1], "as many texts at once in both"
    one, two = records["one"], records["two"]
    assert one["steps"] == two["steps"] == 24
    assert (one["processes"], two["processes"], two["texts_at_once"]) == (1, 2, 4)
    assert seen["one"] == seen["two"], "the same texts in each step"
    first_epoch = sorted(row for rows in seen["two"][:8] for row in rows)
    assert first_epoch == list(range(61)), "each text once an epoch"
    # dropout draws differ between one process and two
    assert losses_of(one)[-1] == pytest.approx(losses_of(two)[-1], abs=0.1)


# accelerate shards on GPUs; here its state says so of two processes on the CPU. `moved` has how
# many weights go to a device, and when the first module is cut up.
SHARDED = """
import json, os, sys, torch
from accelerate import utils
from accelerate.state import AcceleratorState
from torch.distributed import fsdp
from gpt2news.finetune import __main__, trainer
init, to, shard, moved = AcceleratorState.__init__, torch.nn.Module.to, fsdp.fully_shard, []
def sharding(self, *arguments, **options):
    init(self, *arguments, **options)
    if "fsdp_plugin" in options and self.distributed_type == utils.DistributedType.MULTI_CPU:
        self.distributed_type = utils.DistributedType.FSDP
        self.fsdp_plugin = options["fsdp_plugin"]
def watch(self, *arguments, **options):
    moved.append(sum(p.numel() for p in self.parameters()))
    return to(self, *arguments, **options)
def sharded(module, *arguments, **options):
    moved.append("shard")
    return shard(module, *arguments, **options)
AcceleratorState.__init__, torch.nn.Module.to, fsdp.fully_shard = sharding, watch, sharded
trainer.ClassifierTrainer._save_checkpoint = lambda *_: None  # accelerate's own, for GPUs
code = __main__.main(sys.argv[1:])
with open(os.environ["SEEN"] + "." + os.environ["RANK"], "w") as file:
    json.dump(moved, file)
sys.exit(code)
"""


def test_under_fsdp_nothing_goes_to_a_device_before_it_is_a_share(splits, backbone, tmp_path):
    script, out = tmp_path / "sharded.py", tmp_path / "model"
    script.write_text(SHARDED)
    options = ["--train", splits, "--backbone", backbone, *OPTIONS, "--out", out]
    asked = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "SEEN": str(tmp_path / "moved")}
    asked["FSDP_AUTO_WRAP_POLICY"] = "TRANSFORMER_BASED_WRAP"
    done = run(script, *options, launcher=TORCHRUN, **asked)
    told = [line for line in done.stderr.splitlines() if line.startswith("[rank0]")]
    assert done.returncode == 0, told or done.stderr
    for rank in ("0", "1"):
        moved = json.loads(tmp_path.joinpath(f"moved.{rank}").read_text())
        assert "shard" in moved
        assert not [size for size in moved[: moved.index("shard")] if size], moved
    # All shares are in the folder: it answers as the model that was watched.
    record = json.loads((out / "training.json").read_text())
    assert record["processes"] == 2
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["GPT2ForSequenceClassification"]
    val, model = split.read_split(splits)["val"], ft.Classifier(out)
    truth = torch.tensor([model.topics.index(topic) for topic in val["topic"]])
    logits = torch.from_numpy(model.logits(val["text"].tolist()))
    loss = torch.nn.functional.cross_entropy(logits, truth)
    assert float(loss) == pytest.approx(losses_of(record)[-1], abs=1e-3)


def test_fsdp_that_cannot_be_is_said(train, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match=r"needs several GPUs.*accelerate launch --use_fsdp"):
        train(tmp_path / "model")
