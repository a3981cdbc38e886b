"""`transformers.Trainer` with whole checkpoints, an order that survives a kill, and clear stops."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import sort_checkpoints

from gpt2news.finetune.model import pad
from newsserve.files import damage, seal

IGNORED = -100  # the label that torch's cross_entropy leaves out
LINE_EVERY = 60  # seconds


class DivergedError(ValueError):
    """The loss is not a number any more; the message names the step and the rows."""


class CheckpointError(OSError):
    """A checkpoint could not be written; the message names the last whole one."""


class TextDataset(torch.utils.data.Dataset):
    """Token ids and labels of one part, and `states` where outputs of frozen blocks are kept.

    Item -1 is a filler that no loss counts.
    """

    def __init__(self, ids: list[list[int]], labels: list[int], pad_token_id: int):
        self.ids, self.labels, self.pad_token_id, self.states = ids, labels, pad_token_id, None

    def sort(self) -> None:
        """From short to long."""
        order = np.argsort([len(row) for row in self.ids], kind="stable")
        self.ids, self.labels = [self.ids[i] for i in order], [self.labels[i] for i in order]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> dict:
        if i < 0:
            return {"input_ids": [self.pad_token_id], "labels": IGNORED, "rows": i}
        item = {"input_ids": self.ids[i], "labels": self.labels[i], "rows": i}
        return item if self.states is None else item | {"states": self.states[i]}

    def collate(self, items: list[dict]) -> dict[str, torch.Tensor]:
        """A batch: `input_ids` (n, tokens), `labels` (n,), `rows` (n,), and `states` if kept."""
        batch = {"input_ids": pad([item["input_ids"] for item in items], self.pad_token_id)}
        for name in ("labels", "rows"):
            batch[name] = torch.tensor([item[name] for item in items])
        if self.states is not None:
            states = [item["states"] for item in items]
            batch["states"] = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        return batch


class LengthGroupedSampler(torch.utils.data.Sampler):
    """Batches of texts of like length, in an order that seed and epoch alone decide.

    So a run that was cut goes on in it, which transformers' own sampler of this name cannot.
    Fillers (-1) make the number even where several processes deal the texts out.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int, multiple_of: int = 1):
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.multiple_of, self.epoch = multiple_of, 0

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.multiple_of) * self.multiple_of

    def __iter__(self) -> Iterator[int]:
        n, size = len(self.lengths), self.batch_size
        random = np.random.default_rng([self.seed, self.epoch])
        shuffled = random.permutation(n).tolist()
        stretch = size * max(1, min(n // (4 * size), 50))
        ordered = []  # long to short within each stretch; then the batches are shuffled
        for start in range(0, n, stretch):
            some = shuffled[start : start + stretch]
            ordered += sorted(some, key=lambda i: -self.lengths[i])
        whole = [ordered[s : s + size] for s in range(0, n - size + 1, size)]
        rest = ordered[len(whole) * size :]
        random.shuffle(whole)
        mixed = [i for batch in whole for i in batch]
        return iter(mixed + rest + [-1] * (len(self) - n))


def text_loss(outputs, labels: torch.Tensor, num_items_in_batch=None) -> torch.Tensor:
    """Cross-entropy, summed over the texts and divided by the texts of the whole step.

    So micro batches and processes of unequal size add up to the same step.
    """
    total = torch.nn.functional.cross_entropy(outputs.logits.float(), labels, reduction="sum")
    if num_items_in_batch is None:
        num_items_in_batch = (labels != IGNORED).sum()
    return total / num_items_in_batch


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that is whole: a kill, or a copy of the folder, leaves half ones."""
    whole = [path for path in sort_checkpoints(str(folder)) if not damage(Path(path))]
    return whole[-1] if whole else None


class ClassifierTrainer(Trainer):
    """`Trainer` with an order of its own, which stops when the loss is not a number."""

    def __init__(self, *arguments, order: LengthGroupedSampler, **options):
        super().__init__(*arguments, compute_loss_func=text_loss, **options)
        self.model_accepts_loss_kwargs = False  # the loss is ours
        self.order = order

    def _get_train_sampler(self, train_dataset=None):
        return self.order

    def compute_loss(self, model, inputs, **options):
        inputs.pop("rows")
        return super().compute_loss(model, inputs, **options)

    def training_step(self, model, inputs, num_items_in_batch=None):
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            rows = ", ".join(str(row + 1) for row in inputs["rows"].tolist() if row >= 0)
            raise DivergedError(
                f"step {self.state.global_step + 1} (epoch {int(self.state.epoch or 0) + 1}): the "
                f"loss is {loss.item()}, of the rows {rows} of the training texts; "
                f"a learning_rate under {self.args.learning_rate:g} is the usual cure"
            )
        return loss

    def _save_checkpoint(self, model, trial):
        folder, name = Path(self.args.output_dir), f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                seal(folder / name)
        except (OSError, RuntimeError, SafetensorError) as error:  # a full disk
            shutil.rmtree(folder / name, ignore_errors=True)
            whole = last_checkpoint(folder)
            before = f"{Path(whole).name} is whole" if whole else "there is none before it"
            raise CheckpointError(
                f"{name} could not be written ({error}); {before}. Make room, then run again"
            ) from error


class Resumable(TrainerCallback):
    """Tells the sampler its epoch, and saves within an epoch; Trainer itself saves after each."""

    def __init__(self, order: LengthGroupedSampler, steps: int, steps_an_epoch: int):
        self.order, self.steps, self.steps_an_epoch = order, steps, steps_an_epoch

    def on_epoch_begin(self, args, state, control, **_):
        self.order.epoch = state.global_step // self.steps_an_epoch

    def on_step_end(self, args, state, control, **_):
        # Not at an epoch's last step: its validation belongs before its checkpoint.
        if self.steps and state.global_step % self.steps == 0:
            control.should_save = state.global_step % self.steps_an_epoch != 0


class Lines(TrainerCallback):
    """A line an epoch, and one a minute: what a log can hold."""

    def __init__(self, say):
        self.say, self.began, self.said = say, time.monotonic(), time.monotonic()

    def on_step_end(self, args, state, control, **_):
        if time.monotonic() - self.said > LINE_EVERY:
            self._line(f"step {state.global_step}/{state.max_steps}", state)

    def on_evaluate(self, args, state, control, metrics, **_):
        score = f"loss {metrics['eval_loss']:.3f}  accuracy {metrics['eval_accuracy']:.3f}"
        self._line(f"epoch {state.epoch:.0f}/{state.num_train_epochs}  validation {score}", state)

    def _line(self, now: str, state) -> None:
        self.said = time.monotonic()
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        loss = f"  training loss {losses[-1]:.3f}" if losses else ""
        if state.is_world_process_zero:
            self.say(f"{now}{loss}  {self.said - self.began:.0f} s")
