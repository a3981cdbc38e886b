"""`transformers.Trainer` with whole checkpoints, a steady order of texts, and a stop when the loss is no number."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import rotate_checkpoints, sort_checkpoints

from gpt2news.finetune.data import IGNORED, Order
from gpt2news.finetune.frozen import Keeper

SAVE_EVERY = 300  # seconds, unless the user says at which steps


class DivergedError(ValueError):
    """The loss is not a number any more; the message names the step and the batch."""


class CheckpointError(OSError):
    """A checkpoint could not be written; the ones before are whole, and the message says which."""


def text_loss(outputs, labels: torch.Tensor, num_items_in_batch=None) -> torch.Tensor:
    """Cross-entropy (nats) summed over the real texts, divided by the texts of the whole step, however many turns and processes it has."""
    total = torch.nn.functional.cross_entropy(
        outputs.logits.float(), labels, ignore_index=IGNORED, reduction="sum"
    )
    return total / ((labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch)


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint of a folder, after taking away what an interrupted save left."""
    shutil.rmtree(folder / "draft", ignore_errors=True)
    found = sort_checkpoints(str(folder))
    return found[-1] if found else None


class WatchfulTrainer(Trainer):
    """See the module.

    Args:
        order: which text comes when.
        keeper: stands in for frozen blocks, or None.
    """

    def __init__(self, *arguments, order: Order, keeper: Keeper | None, **options):
        super().__init__(*arguments, compute_loss_func=text_loss, **options)
        self.model_accepts_loss_kwargs = False  # the loss is ours
        self.order, self.keeper, self.unchecked = order, keeper, []

    def _get_train_sampler(self, train_dataset=None):
        return self.order

    def compute_loss(self, model, inputs, **options):
        inputs.pop("rows")
        states = inputs.pop("states", None)
        if self.keeper is not None:
            self.keeper.states = states
        return super().compute_loss(model, inputs, **options)

    def training_step(self, model, inputs, num_items_in_batch=None):
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.unchecked.append((self.state.global_step + 1, self.state.epoch, inputs["rows"], loss))
        # Reading a loss makes a GPU wait for its work; every tenth step is often enough to name the first bad one.
        if self.args.device.type == "cpu" or len(self.unchecked) >= 10:
            self._check_losses()
        return loss

    def _check_losses(self) -> None:
        for step, epoch, rows, loss in self.unchecked:
            if not torch.isfinite(loss):
                named = ", ".join(str(row + 1) for row in rows.tolist() if row >= 0)
                raise DivergedError(
                    f"step {step} (epoch {int(epoch or 0) + 1}): the loss is {loss.item()}. Its batch: rows {named} of the training texts. "
                    f"The usual cause is a learning_rate that is too high (it is {self.args.learning_rate:g})"
                )
        self.unchecked.clear()

    def _save_checkpoint(self, model, trial):
        """Write beside, rename when whole, and only then take the oldest away."""
        self._check_losses()
        folder = Path(self.args.output_dir)
        draft, name = folder / "draft", f"checkpoint-{self.state.global_step}"
        if (folder / name).exists():
            return
        self.args.output_dir = str(draft)
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                state = draft / name / "trainer_state.json"
                state.write_text(
                    state.read_text(encoding="utf-8").replace(str(draft), str(folder)),
                    encoding="utf-8",
                )
                os.replace(draft / name, folder / name)
        except (
            OSError,
            RuntimeError,
        ) as error:  # torch and safetensors say a full disk in a RuntimeError of their own
            shutil.rmtree(draft, ignore_errors=True)
            whole = sort_checkpoints(str(folder))
            kept = f"{Path(whole[-1]).name} is whole" if whole else "there is none before it"
            raise CheckpointError(
                f"{name} could not be written ({error}); {kept}. Make room in {folder}, then run again: it goes on"
            ) from error
        finally:
            self.args.output_dir = str(folder)
        if self.state.best_model_checkpoint:
            self.state.best_model_checkpoint = self.state.best_model_checkpoint.replace(
                str(draft), str(folder)
            )
        if self.args.should_save:
            rotate_checkpoints(str(folder), 2, self.state.best_model_checkpoint)
        self.accelerator.wait_for_everyone()


class Rhythm(TrainerCallback):
    """When to save: every `steps` optimiser steps, or about every five minutes; and which epoch the order is in."""

    def __init__(self, order: Order, steps: int, steps_an_epoch: int):
        self.order, self.steps, self.steps_an_epoch = order, steps, steps_an_epoch
        self.saved, self.due = time.monotonic(), False

    def on_epoch_begin(self, args, state, control, **_):
        self.order.set_epoch(state.global_step // self.steps_an_epoch)

    def on_step_end(self, args, state, control, **_):
        last = state.global_step % self.steps_an_epoch == 0
        if self.steps:
            self.due = state.global_step % self.steps == 0
        elif (
            state.global_step % 10 == 0 or last
        ):  # clocks differ: the first process decides for all
            self.due = broadcast_object_list([time.monotonic() - self.saved > SAVE_EVERY])[0]
        if self.due and not last:
            self._save(control)

    def on_epoch_end(self, args, state, control, **_):
        # Only now: the validation of the epoch belongs before its checkpoint.
        if self.due and state.global_step < state.max_steps:
            self._save(control)

    def _save(self, control) -> None:
        control.should_save = control.should_log = True
        self.saved, self.due = time.monotonic(), False
