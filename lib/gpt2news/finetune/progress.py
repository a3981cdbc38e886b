"""How far a run is: a bar in a terminal, a live figure in a notebook, a line now and then in a log."""

from __future__ import annotations

import sys
import time

import matplotlib.pyplot as plt
from IPython import display, get_ipython
from tqdm import tqdm
from transformers import TrainerCallback

LINE_EVERY, FIGURE_EVERY = 60, 4  # seconds


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    shell = get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


class Progress(TrainerCallback):
    """A line an epoch; between them a bar, a figure or a line a minute, whichever suits the place.

    Args:
        say: called with each line.
        price_per_hour: of all machines together; 0 leaves the cost out.
    """

    def __init__(self, say, price_per_hour: float = 0.0):
        self.say, self.price, self.lines = say, price_per_hour, []
        self.bar = self.handle = None

    def cost(self) -> float:
        """What the time since the start has cost."""
        return (time.monotonic() - self.began) / 3600 * self.price

    def _time(self, state) -> str:
        spent = time.monotonic() - self.began
        left = (
            spent
            / max(1, state.global_step - self.first_step)
            * (state.max_steps - state.global_step)
        )
        return f"{spent:.0f} s, {left:.0f} s left" + (
            f", cost so far {self.cost():.2f}" if self.price else ""
        )

    def _line(self, text: str) -> None:
        self.lines.append(text)
        self.shown = time.monotonic()
        if self.bar is None:
            self.say(text)
        else:
            with tqdm.external_write_mode():
                self.say(text)

    def on_train_begin(self, args, state, control, **_):
        self.began = self.shown = time.monotonic()
        self.first_step = state.global_step
        if not state.is_world_process_zero:
            self.say = lambda _: None
        elif in_notebook():
            self.handle = display.display(
                {"text/plain": "the first steps …"}, raw=True, display_id=True
            )
        elif sys.stderr.isatty():
            self.bar = tqdm(
                total=state.max_steps, initial=state.global_step, unit="step", leave=False
            )

    def on_step_end(self, args, state, control, **_):
        if self.bar is not None:
            self.bar.update(1)
            if self.price:
                self.bar.set_postfix_str(f"cost {self.cost():.2f}")
        elif self.handle is not None:
            if time.monotonic() - self.shown > FIGURE_EVERY:
                self._draw(state)
        elif time.monotonic() - self.shown > LINE_EVERY:
            losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
            loss = f"  training loss {losses[-1]:.3f}" if losses else ""
            self._line(f"step {state.global_step}/{state.max_steps}{loss}  {self._time(state)}")

    def on_evaluate(self, args, state, control, metrics, **_):
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        self._line(
            f"epoch {state.epoch:.0f}/{args.num_train_epochs:.0f}  training loss {losses[-1]:.3f}  "
            f"validation loss {metrics['eval_loss']:.3f}  accuracy {metrics['eval_accuracy']:.3f}  {self._time(state)}"
        )

    def on_train_end(self, args, state, control, **_):
        self.close()

    def close(self) -> None:
        """Take the bar or the figure away; in a notebook the lines stay."""
        if self.bar is not None:
            self.bar.close()
        if self.handle is not None:
            display.clear_output()
            for line in self.lines:
                self.say(line)
        self.bar = self.handle = None

    def _draw(self, state) -> None:
        self.shown = time.monotonic()
        figure, axis = plt.subplots(figsize=(7.2, 2.8))
        for key, label in (("loss", "training"), ("eval_loss", "validation")):
            points = [(entry["epoch"], entry[key]) for entry in state.log_history if key in entry]
            axis.plot(
                *zip(*points, strict=True) if points else ([], []),
                marker="o" if key == "eval_loss" else None,
                label=label,
            )
        axis.set(
            title=f"step {state.global_step} of {state.max_steps}: {self._time(state)}",
            xlabel="epoch",
            ylabel="loss (nats)",
        )
        axis.set(ylim=(0, None), xlim=(0, state.num_train_epochs))
        axis.legend()
        self.handle.update(figure)
        plt.close(figure)
