"""The rungs whose language model learns: one loop for decoders and encoders, so that they compare.

    python -m ladder.tuning SETUP.json      # one training in a process of its own, for its memory

Chapter 03's own `finetune` is for decoders with their mask. This loop differs in what a comparison
needs: it can take the mask away, and it reads an encoder at its [CLS].
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize
from transformers import AutoConfig, AutoModel, AutoTokenizer, set_seed

from gpt2news.finetune import pool
from gpt2news.finetune.model import quiet
from gpt2news.finetune.part import blocks_of
from ladder.vectors import folder_of, half

HOWS = ("all", "head", "last 2 blocks", "lora")
# At their peak, of the backbone; the new layer learns ten times as fast.
RATES = {"gpt2-mini": 5e-4, "minilm": 1e-4, "smollm2": 5e-5}
LORA_RATE = 10  # times that: adapters begin at nothing
HEAD_RATE = 10
RANK = 4


@dataclass(frozen=True)
class Setup:
    """One training.

    Attributes:
        model: a name of `vectors.FOLDERS`.
        how: which weights learn, one of `HOWS`.
        pooling: `first` ([CLS] of an encoder), `last`, `mean`.
        mask: False takes a decoder's causal mask away: every token sees the whole text.
        scratch: the same shape with random weights.
        tokens: read of a text.
        steps: at least so many, of `batch` texts.
        epochs: at least so many.
        seed: of the new layer, dropout and order.
    """

    model: str
    how: str = "all"
    pooling: str = "mean"
    mask: bool = True
    scratch: bool = False
    tokens: int = 64
    steps: int = 60
    epochs: int = 3
    batch: int = 16
    seed: int = 0


class Sorter(torch.nn.Module):
    """A language model and a new linear layer on what `pooling` makes of its last states."""

    def __init__(self, setup: Setup, topics: int):
        super().__init__()
        folder, self.pooling, self.mask = folder_of(setup.model), setup.pooling, setup.mask
        config = AutoConfig.from_pretrained(folder)
        if not setup.mask:
            config.is_causal = False  # transformers builds its masks by this
        with quiet():
            self.body = (
                AutoModel.from_config(config)
                if setup.scratch
                else AutoModel.from_pretrained(folder, config=config, dtype=torch.float32)
            )
        if not setup.mask:
            for module in self.body.modules():
                if hasattr(module, "is_causal"):
                    module.is_causal = False  # and its attention, where nothing is padded
        self.score = torch.nn.Linear(config.hidden_size, topics)
        torch.nn.init.normal_(self.score.weight, std=0.02)
        torch.nn.init.zeros_(self.score.bias)

    def vectors(self, ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """(n, tokens) ids padded on the right and (n,) places of the last -> (n, width)."""
        mask = (torch.arange(ids.shape[1])[None] <= last[:, None]).long()
        return pool(self.body(input_ids=ids, attention_mask=mask)[0], last, self.pooling)

    def forward(self, ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        return self.score(self.vectors(ids, last))


def choose(sorter: Sorter, how: str) -> Sorter:
    """The sorter with the weights that learn as `how` says; the rest is frozen."""
    if how not in HOWS:
        raise ValueError(f"how {how!r}: there are {', '.join(HOWS)}")
    if how == "all":
        return sorter
    sorter.body.requires_grad_(False)
    if how == "last 2 blocks":
        sorter.base_model = sorter.body
        sorter.config = sorter.body.config
        for block in blocks_of(sorter)[-2:]:
            block.requires_grad_(True)
        del sorter.base_model
    if how == "lora":
        from peft import LoraConfig, get_peft_model

        transposed = sorter.body.config.model_type == "gpt2"
        size = {"r": RANK, "lora_alpha": 2 * RANK, "fan_in_fan_out": transposed}
        with quiet():
            config = LoraConfig(target_modules="all-linear", **size)
            sorter.body = get_peft_model(sorter.body, config)
    return sorter


def encoded(setup: Setup, texts: list[str]) -> list[list[int]]:
    """Token ids, cut to the setup's length; an encoder's begin with [CLS]."""
    backend = AutoTokenizer.from_pretrained(folder_of(setup.model)).backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(setup.tokens)
    return [row.ids or [0] for row in backend.encode_batch(texts)]


def batch_of(ids: list[list[int]], rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Some texts as (n, tokens) ids, padded on the right, and (n,) places of their last tokens."""
    last = torch.tensor([len(ids[i]) - 1 for i in rows])
    batch = torch.zeros(len(rows), int(last.max()) + 1, dtype=torch.long)
    for place, i in enumerate(rows):
        batch[place, : len(ids[i])] = torch.tensor(ids[i])
    return batch, last


def autocast():
    """bf16 where the processor has it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=half())


def _orders(n: int, setup: Setup):
    """The rows of each step: all texts in a new order, again and again."""
    random = np.random.default_rng(setup.seed)
    size = min(setup.batch, n)
    passes = max(setup.epochs, math.ceil(setup.steps / math.ceil(n / size)))
    for _ in range(passes):
        order = random.permutation(n)
        yield from (order[start : start + size] for start in range(0, n, size))


def optimiser_of(sorter: Sorter, setup: Setup, steps: int):
    """AdamW with a warm-up of a tenth of the steps, then down in a straight line."""
    rate = RATES[setup.model] * (LORA_RATE if setup.how == "lora" else 1)
    body = [p for p in sorter.body.parameters() if p.requires_grad]
    head = {"params": sorter.score.parameters(), "lr": HEAD_RATE * RATES[setup.model]}
    groups = [{"params": body, "lr": rate}, head] if body else [head]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    warm = max(1, steps // 10)

    def share(step: int) -> float:
        return min((step + 1) / warm, (steps - step) / max(1, steps - warm))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, share)


def ready(sorter: Sorter, setup: Setup, texts: list[str], labels: np.ndarray) -> tuple:
    """Token ids, topics (n,), the rows of each step, optimiser and schedule; dropout is on."""
    ids, truth = encoded(setup, texts), torch.as_tensor(labels)
    turns = list(_orders(len(ids), setup))
    sorter.train()
    return ids, truth, turns, *optimiser_of(sorter, setup, len(turns))


def train(setup: Setup, texts: list[str], labels: np.ndarray, topics: int) -> Sorter:
    """A sorter that has learned from texts with (n,) numbers of topics as labels."""
    torch.set_num_threads(1)  # so that its seconds are those of one core
    set_seed(setup.seed)
    sorter = choose(Sorter(setup, topics), setup.how)
    ids, truth, turns, optimiser, schedule = ready(sorter, setup, texts, labels)
    for rows in turns:
        with autocast():
            said = sorter(*batch_of(ids, rows))
        cross_entropy(said.float(), truth[rows]).backward()
        torch.nn.utils.clip_grad_norm_(sorter.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    return sorter.eval()


def contrast(setup: Setup, texts: list[str], labels: np.ndarray, topics: int) -> Sorter:
    """Body tuned so that texts of one topic point the same way: SetFit's first step.

    Tunstall et al., "Efficient few-shot learning without prompts", 2022. Every pair of a batch
    counts: the cosine is to be 1 for the same topic, else 0.
    """
    torch.set_num_threads(1)  # so that its seconds are those of one core
    set_seed(setup.seed)
    sorter = Sorter(setup, topics)
    ids, truth, turns, optimiser, schedule = ready(sorter, setup, texts, labels)
    for rows in turns:
        with autocast():
            found = normalize(sorter.vectors(*batch_of(ids, rows)).float(), dim=1)
        same = (truth[rows][:, None] == truth[rows][None, :]).float()
        other = ~torch.eye(len(rows), dtype=torch.bool)
        ((found @ found.T - same)[other] ** 2).mean().backward()
        torch.nn.utils.clip_grad_norm_(sorter.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    return sorter.eval()


@torch.inference_mode()
def asks(sorter: Sorter, setup: Setup, texts: list[str], what: str = "logits") -> np.ndarray:
    """(n, topics) logits of texts, or their (n, width) `vectors`."""
    ids = encoded(setup, texts)
    order = np.argsort([len(row) for row in ids], kind="stable")
    ask = sorter if what == "logits" else sorter.vectors
    found = None
    for start in range(0, len(order), 32):
        rows = order[start : start + 32]
        with autocast():
            said = ask(*batch_of(ids, rows)).float().numpy()
        found = np.zeros((len(ids), said.shape[1]), np.float32) if found is None else found
        found[rows] = said
    return found


def learning(sorter: Sorter) -> tuple[int, int]:
    """Numbers that learn, and all."""
    sizes = [(p.numel(), p.requires_grad) for p in sorter.parameters()]
    return sum(n for n, learns in sizes if learns), sum(n for n, _ in sizes)


def reloaded(sorter: Sorter, setup: Setup, topics: int, place: Path) -> Sorter:
    """The sorter saved and built anew from the backbone's folder and what was saved."""
    if setup.how == "lora":
        from peft import PeftModel

        sorter.body.save_pretrained(place)
        again = Sorter(setup, topics)
        with quiet():
            again.body = PeftModel.from_pretrained(again.body, place)
    else:
        torch.save(sorter.body.state_dict(), place / "body.pt")
        again = Sorter(setup, topics)
        again.body.load_state_dict(torch.load(place / "body.pt"))
    torch.save(sorter.score.state_dict(), place / "score.pt")
    again.score.load_state_dict(torch.load(place / "score.pt"))
    return again.eval()


def one(setup: Setup, texts: list[str], labels: list[int], asked: list[str], topics: int) -> dict:
    """Train, ask, save, load and ask again: answers and costs, for a process of its own."""
    import tempfile

    began = time.process_time()
    sorter = train(setup, texts, np.array(labels), topics)
    fit = time.process_time() - began
    # Before the answers: what training took is asked, not what loading twice takes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    logits = asks(sorter, setup, asked)
    answer = (time.process_time() - began) / len(asked)
    before = asks(sorter, setup, asked[:100])  # in the same batches: bf16 rounds by the batch
    with tempfile.TemporaryDirectory() as place:
        again = asks(reloaded(sorter, setup, topics, Path(place)), setup, asked[:100])
    trained, size = learning(sorter)
    return {
        "says": logits.argmax(axis=1).tolist(),
        "fit": fit,
        "answer": answer,
        "trained": trained,
        "parameters": size,
        "peak_mb": round(peak),
        "reload_differs": float(np.abs(again - before).max()),
    }


def main(arguments: list[str]) -> int:
    """Read a setup and its texts from a file, train, print what `one` returns."""
    given = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    print(json.dumps(one(Setup(**given.pop("setup")), **given)))
    return 0


def facts(setup: Setup) -> dict:
    """What a record says of a setup."""
    return asdict(setup)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
