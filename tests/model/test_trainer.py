"""Order, batches, checkpoints: what our `Trainer` adds to transformers' own."""

import errno
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gpt2news import finetune as ft
from gpt2news.finetune import trainer
from gpt2news.finetune.trainer import IGNORED, LengthGroupedSampler, TextDataset


@pytest.mark.parametrize(("n", "multiple"), [(61, 1), (61, 8), (64, 4), (3, 8), (1000, 6)])
def test_each_text_once_an_epoch_in_an_order_that_seed_and_epoch_fix(n, multiple):
    lengths = np.random.default_rng(0).integers(1, 500, n).tolist()
    order = LengthGroupedSampler(lengths, 8, seed=3, multiple_of=multiple)
    epochs = []
    for epoch in (0, 1, 0):
        order.epoch = epoch
        epochs.append(list(order))
        assert sorted(i for i in epochs[-1] if i >= 0) == list(range(n))
        assert len(epochs[-1]) == len(order)
        assert len(order) % multiple == 0
    assert epochs[0] == epochs[2]
    assert n < 8 or epochs[0] != epochs[1]
    other = LengthGroupedSampler(lengths, 8, seed=4, multiple_of=multiple)
    assert n < 8 or list(other) != epochs[0]


def test_texts_of_like_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 500, 2000).tolist()
    order = list(LengthGroupedSampler(lengths, 16, seed=0))
    longest = [max(lengths[i] for i in order[s : s + 16]) for s in range(0, 2000, 16)]
    assert 16 * sum(longest) < 1.1 * sum(lengths)
    assert longest != sorted(longest, reverse=True), "batches are in no order of length"


def test_a_filler_counts_for_nothing():
    texts = TextDataset([[5, 6], [7]], [1, 0], pad_token_id=9)
    batch = texts.collate([texts[0], texts[-1]])
    assert batch["labels"].tolist() == [1, IGNORED]
    assert batch["input_ids"].tolist() == [[5, 6], [9, 9]]
    logits = torch.tensor([[0.3, 0.9], [5.0, -5.0]])
    alone = torch.nn.functional.cross_entropy(logits[:1], torch.tensor([1]))
    loss = trainer.text_loss(SimpleNamespace(logits=logits), batch["labels"])
    assert loss == pytest.approx(float(alone))


def test_a_full_disk_leaves_the_checkpoint_before_it(train, tmp_path, monkeypatch, same):
    train(tmp_path / "whole", checkpoint_steps=4)
    save = torch.save

    def full(content, where, *rest, **options):
        if "checkpoint-8" in str(where) and str(where).endswith("optimizer.pt"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(content, where, *rest, **options)

    wanted = r"checkpoint-8 could not be written.*No space left.*checkpoint-4 is whole"
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(ft.CheckpointError, match=wanted) as raised:
            train(tmp_path / "cut", checkpoint_steps=4)
    assert "\n" not in str(raised.value)
    (folder,) = (path for path in (tmp_path / "cut-checkpoints").iterdir() if path.is_dir())
    assert [path.name for path in folder.iterdir()] == ["checkpoint-4"]
    train(tmp_path / "cut", checkpoint_steps=4)
    assert same(tmp_path / "cut", tmp_path / "whole")


@pytest.fixture(scope="module")
def saved(train, tmp_path_factory):
    """Two real checkpoints, of a run that stopped after them."""
    folder = tmp_path_factory.mktemp("run")
    step = trainer.ClassifierTrainer.training_step
    with pytest.MonkeyPatch.context() as patch:

        def cut(self, *arguments):
            if self.state.global_step == 7:
                raise KeyboardInterrupt
            return step(self, *arguments)

        patch.setattr(trainer.ClassifierTrainer, "training_step", cut)
        with pytest.raises(KeyboardInterrupt):
            train(folder / "m", checkpoint_steps=3)
    return next(path for path in (folder / "m-checkpoints").iterdir() if path.is_dir())


FILES = ["trainer_state.json", "optimizer.pt", "scheduler.pt", "model.safetensors", "rng_state.pth"]
FILES.append("files.json")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("fault", ["missing", "cut short", "empty", "one byte"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(saved, tmp_path, file, fault):
    """A kill in the middle of a save, or a copy of the folder file by file, leaves such."""
    folder = tmp_path / "run"
    shutil.copytree(saved, folder)
    assert trainer.last_checkpoint(folder) == str(folder / "checkpoint-6")
    hurt = folder / "checkpoint-6" / file
    content = hurt.read_bytes()
    hurt.unlink()
    kept = {"cut short": content[: len(content) // 2], "empty": b""}
    kept["one byte"] = bytes([content[0] ^ 1]) + content[1:]
    if fault in kept:
        hurt.write_bytes(kept[fault])
    assert trainer.last_checkpoint(folder) == str(folder / "checkpoint-3")
    shutil.rmtree(folder / "checkpoint-3")
    assert trainer.last_checkpoint(folder) is None


def test_a_loss_that_is_no_number_names_step_and_rows(train, tmp_path, monkeypatch):
    poison, seen = {"factor": 1.0}, []
    step, loss = trainer.ClassifierTrainer.training_step, trainer.text_loss

    def poisoned(outputs, labels, **more):
        return loss(outputs, labels, **more) * poison["factor"]

    def watch(self, model, inputs, *rest):
        if model.training and self.state.global_step + 1 == 11:
            seen.extend(row + 1 for row in inputs["rows"].tolist())
            poison["factor"] = float("nan")
        return step(self, model, inputs, *rest)

    monkeypatch.setattr(trainer, "text_loss", poisoned)
    monkeypatch.setattr(trainer.ClassifierTrainer, "training_step", watch)
    with pytest.raises(ft.DivergedError) as raised:
        train(tmp_path / "m")
    assert "step 11 (epoch 2): the loss is nan" in str(raised.value)
    assert f"rows {', '.join(map(str, seen))} of" in str(raised.value)
    assert "learning_rate" in str(raised.value)
    assert not (tmp_path / "m").exists()


def test_a_log_gets_a_line_an_epoch_and_one_now_and_then(train, tmp_path, monkeypatch):
    lines = []
    train(tmp_path / "m", say=lines.append)
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    monkeypatch.setattr(trainer, "LINE_EVERY", 0)
    began = time.monotonic()
    train(tmp_path / "m", say=lines.append)
    assert any(line.startswith("step 5/24") for line in lines)
    assert time.monotonic() > began
