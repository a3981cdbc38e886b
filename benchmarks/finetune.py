"""Fine-tuning speed, side by side in one run: the article's recipe of 2022, `transformers.Trainer`
with its defaults, and ours.

    # the table, about six minutes on two cores
    python benchmarks/finetune.py
    # seconds until the shipped backbone reaches the article's test accuracy
    python benchmarks/finetune.py --time-to-accuracy 0.946

The same texts (bbc-csv, in the shipped tokenizer's tokens) through the same 12-layer GPT-2 of 124 M
parameters with random weights: speed does not depend on their values. Each way of training has a
process of its own, and its first steps are not counted. The rate of matrix products counts the
model's linear layers only (forward, and backward where weights or states need it), over real and
padded tokens alike, against the rate of one large product measured on the same machine between the
runs. Other work on the machine spoils the figures: a run that did not get nine tenths of the cores
says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import yaml
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2Model,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from gpt2news import evaluate, explore, finetune, show, split
from gpt2news.finetune import train
from gpt2news.finetune.recipe import choose_dtype
from gpt2news.finetune.trainer import LengthGroupedSampler, Resumable, TextDataset
from gpt2news.run import ROOT, Run, parameters_of

TORCH_DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TOPICS, WIDTH, LAYERS = 5, 768, 12
BLOCK = 12 * WIDTH**2  # weights of a block's linear layers
ROWS = {
    "article": "(a) the article's recipe: batch 2, eager, flattened head",
    "trainer": "(b) Trainer's defaults, padded to max length",
    "ours": "ours, all weights",
    "ours-frozen": "ours, 9 of 12 blocks frozen",
    "ours-kept": "ours, 9 frozen, outputs kept: from the second pass on",
}
PLAN = [
    ("article", 128),
    ("trainer", 128),
    ("ours", 128),
    ("ours-frozen", 128),
    ("ours-kept", 128),
    ("trainer", 512),
    ("ours", 512),
]


def matmul_rate(dtype: torch.dtype, seconds: float = 1.5) -> float:
    """The best rate of a large matrix product, multiply-adds counted twice, a second."""
    where = "cuda" if torch.cuda.is_available() else "cpu"
    side = 8192 if where == "cuda" else 2048
    a, b = (torch.randn(side, side, device=where, dtype=dtype) for _ in range(2))
    wait = torch.cuda.synchronize if where == "cuda" else lambda: None
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        wait()
        began = time.perf_counter()
        torch.mm(a, b)
        wait()
        best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best


class Stopwatch(TrainerCallback):
    """Moments at the ends of the optimiser's steps: the clock on the wall, and the processor time
    that this process has had."""

    def __init__(self):
        self.ends = []

    def on_step_end(self, *_, **__):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append((time.perf_counter(), time.process_time()))


def ids_of(texts: list[str], max_length: int) -> list[list[int]]:
    """Token ids by the shipped tokenizer."""
    return finetune.encode(finetune.load_tokenizer("models/gpt2-mini", max_length), texts)


def article(ids: list[list[int]], steps: int) -> dict:
    """Batch 2, left padding to 128 without mask or positions, Adam, eager attention, a linear layer
    on all states; accuracy each step."""
    where = "cuda" if torch.cuda.is_available() else "cpu"
    body = GPT2Model(GPT2Config(attn_implementation="eager")).to(where).train()
    head = torch.nn.Linear(WIDTH * 128, TOPICS).to(where)
    optimiser = torch.optim.Adam(
        [*body.parameters(), *head.parameters()], lr=1e-5, foreach=False, fused=False
    )
    stopwatch, right = Stopwatch(), 0
    for step in range(steps + 1):
        pair = ids[2 * step : 2 * step + 2]
        batch = torch.tensor([[50256] * (128 - len(row)) + row for row in pair]).to(where)
        labels = torch.zeros(2, dtype=torch.long, device=where)
        logits = head(body(input_ids=batch).last_hidden_state.flatten(1))
        loss = torch.nn.functional.cross_entropy(logits, labels)
        right += (logits.argmax(dim=1) == labels).sum().item()
        body.zero_grad()
        head.zero_grad()
        loss.backward()
        optimiser.step()
        stopwatch.on_step_end()
    real = sum(len(row) for row in ids[2 : 2 * steps + 2])
    return {"ends": stopwatch.ends, "docs": 2 * steps, "real": real, "tokens": 2 * 128 * steps}


def trainer(ids: list[list[int]], steps: int, max_length: int) -> dict:
    """`Trainer` as it comes: batch 8, fused AdamW, bf16 only when told (it is not), every text
    padded to `max_length` with its mask."""
    rows = []
    for row in ids[: 8 * (steps + 1)]:
        left = max_length - len(row)
        rows.append(
            {
                "input_ids": row + [50256] * left,
                "attention_mask": [1] * len(row) + [0] * left,
                "labels": 0,
            }
        )
    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps + 1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        model = GPT2ForSequenceClassification(GPT2Config(num_labels=TOPICS, pad_token_id=50256))
        Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[stopwatch]).train()
    real = sum(len(row) for row in ids[: 8 * steps])
    return {
        "ends": stopwatch.ends,
        "docs": 8 * steps,
        "real": real,
        "tokens": 8 * max_length * steps,
    }


def ours(
    texts: list[str], steps: int, max_length: int, freeze: int, kept: bool, batch: int
) -> dict:
    """`gpt2news.finetune.finetune` as a user calls it. Where texts differ in length, batches from
    short to long stand for the epoch."""
    stopwatch, seen, collate = Stopwatch(), [], TextDataset.collate

    class Chosen(LengthGroupedSampler):
        """Of all batches of the first epoch, `steps + 1` evenly from short to long; the longest,
        first, is the warm-up."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.picked = self.lengths
            every = list(super().__iter__())
            whole = [every[s : s + batch] for s in range(0, len(every) - batch + 1, batch)]
            whole.sort(key=lambda rows: max(self.lengths[i] for i in rows))
            picked = [whole[int((k + 0.5) * len(whole) / steps)] for k in range(steps)]
            self.picked = [i for rows in [whole[-1], *picked] for i in rows]

        def __len__(self):
            return len(self.picked)

        def __iter__(self):
            return iter(self.picked)

    class Timed(Resumable):
        def on_step_end(self, *arguments, **more):
            stopwatch.on_step_end()
            super().on_step_end(*arguments, **more)

    def counted(self, items):
        made = collate(self, items)
        seen.append(
            (sum(len(item["input_ids"]) for item in items), made["input_ids"].numel(), len(items))
        )
        return made

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        tokenizer = finetune.load_tokenizer("models/gpt2-mini", max_length)
        GPT2ForSequenceClassification(GPT2Config(num_labels=TOPICS)).base_model.save_pretrained(
            folder / "backbone"
        )
        tokenizer.save_pretrained(folder / "backbone")
        count = len(texts) if max_length > 128 else batch * (steps + 1)
        rows = pd.DataFrame(
            {"text": texts[:count], "topic": [f"topic {i % TOPICS}" for i in range(count)]}
        )
        for part, some in (("train", rows), ("val", rows[:TOPICS])):
            some.to_csv(folder / f"{part}.csv", index=False)
        train.Resumable, TextDataset.collate = Timed, counted
        if max_length > 128:
            train.LengthGroupedSampler = Chosen
        recipe = finetune.Recipe(
            backbone=str(folder / "backbone"),
            epochs=2 if kept else 1,
            batch_size=batch,
            max_length=max_length,
            learning_rate=1e-5,
            freeze=freeze,
        )
        finetune.finetune(recipe, folder, folder / "out", say=lambda _: None)
    measured = [entry for entry in seen if entry[2] == batch][-steps:]
    return {
        "ends": stopwatch.ends[-steps - 1 :],
        "docs": batch * steps,
        "real": sum(m[0] for m in measured),
        "tokens": sum(m[1] for m in measured),
    }


def one(kind: str, max_length: int, steps: int, batch: int) -> dict:
    """Measure one way of training in this process."""
    finetune.use_all_cores()
    torch.manual_seed(0)
    texts = explore.load_corpus("bbc-csv")["text"].sample(1780, random_state=0).tolist()
    dtype = choose_dtype() if kind.startswith("ours") else "fp32"
    if kind == "article":
        found = article(ids_of(texts, 128), 6 * steps)
    elif kind == "trainer":
        found = trainer(ids_of(texts, max_length), steps, max_length)
    else:
        found = ours(
            texts, steps, max_length, 9 if kind != "ours" else 0, kind == "ours-kept", batch
        )
    seconds, busy = np.subtract(found["ends"][-1], found["ends"][0]).tolist()
    # a forward and two backward products a weight;
    # a frozen block has the forward one, a kept one none
    products = {"ours-frozen": 12 + 2 * 3, "ours-kept": 3 * 3}.get(kind, 3 * LAYERS)
    gpu = torch.cuda.is_available()
    memory = (
        torch.cuda.max_memory_allocated()
        if gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        "kind": kind,
        "max_length": max_length,
        "dtype": dtype,
        "docs_per_s": found["docs"] / seconds,
        "tokens_per_s": found["tokens"] / seconds,
        "real_tokens_per_s": found["real"] / seconds,
        "peak_memory_gib": memory / 2**30,
        "flop_per_s": 2 * products * BLOCK * found["tokens"] / seconds,
        "steps": len(found["ends"]) - 1,
        "docs_per_core_s": found["docs"] / busy,
        "cores_had": busy / seconds / torch.get_num_threads(),
    }


def machine() -> str:
    """The processor or card, and how many cores."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    names = (
        [
            line.split(":")[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        if info.exists()
        else []
    )
    return f"{names[0] if names else platform.machine()}, {finetune.use_all_cores()} cores"


def table(found: list[dict], peak: float) -> str:
    """The measurements as a Markdown table, each against the first of its length."""
    lines = [
        "| tokens | | docs/s | against | tokens/s | real tokens/s | peak memory "
        "| of the matmul rate |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        first = next(r for r in found if r["max_length"] == row["max_length"])
        against = (
            "1"
            if row is first
            else f"{row['docs_per_s'] / first['docs_per_s']:.2f} x {ROWS[first['kind']][:3]}"
        )
        lines.append(
            f"| {row['max_length']} | {ROWS[row['kind']]} | {row['docs_per_s']:.2f} | {against} "
            f"| {row['tokens_per_s']:.0f} | {row['real_tokens_per_s']:.0f} "
            f"| {row['peak_memory_gib']:.1f} GiB | {row['flop_per_s'] / peak:.0%} |"
        )
    return "\n".join(lines)


def figure(found: list[dict]) -> plt.Figure:
    """Docs a second, a bar a way of training, a panel a length."""
    show.style()
    lengths = sorted({row["max_length"] for row in found})
    sizes = [sum(row["max_length"] == n for row in found) for n in lengths]
    drawn, axes = plt.subplots(
        len(lengths), 1, figsize=(8, 0.9 + 0.5 * len(found)), height_ratios=sizes, squeeze=False
    )
    for axis, length in zip(axes.flat, lengths, strict=True):
        rows = [row for row in found if row["max_length"] == length]
        colours = [show.MODEL if row["kind"].startswith("ours") else show.QUIET for row in rows]
        bars = axis.barh(
            [ROWS[row["kind"]] for row in rows], [row["docs_per_s"] for row in rows], color=colours
        )
        axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
        axis.set(
            title=f"{length} tokens",
            xlabel="texts a second",
            xlim=(0, 1.15 * max(row["docs_per_s"] for row in rows)),
        )
        axis.invert_yaxis()
        axis.grid(visible=False)
    return drawn


def time_to_accuracy(target: float, max_length: int) -> None:
    """Whole runs of 1, 2, 3, … epochs with the shipped backbone on bbc-csv, until one reaches
    `target` on test; each starts anew."""
    notebooks = ROOT / "notebooks"
    profile = yaml.safe_load((notebooks / "profiles" / "bbc.yaml").read_text(encoding="utf-8"))
    values = {**parameters_of(notebooks / "03_finetune.ipynb"), **profile["03_finetune"]}
    settings = {key: values[key] for key in ("backbone", "batch_size", "pooling")}
    settings["learning_rate"] = values["learning_rate"] or None  # 0: what suits the backbone
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        split.write_split(
            split.split_corpus(explore.load_corpus("bbc-csv"), 0), folder / "splits", {"seed": 0}
        )
        test = split.read_split(folder / "splits")["test"]
        for epochs in range(1, 7):
            began = time.monotonic()
            recipe = finetune.Recipe(
                normalise=True, epochs=epochs, max_length=max_length, **settings
            )
            finetune.finetune(recipe, folder / "splits", folder / "model")
            seconds = time.monotonic() - began
            model = finetune.Classifier(folder / "model")
            right = int(
                (
                    np.array(model.topics)[model.logits(test["text"].tolist()).argmax(axis=1)]
                    == test["topic"].to_numpy()
                ).sum()
            )
            score = evaluate.wilson(right, len(test))
            print(
                f"{machine()}: {epochs} epochs at {max_length} tokens, {seconds:.0f} s: "
                f"test accuracy {right / len(test):.3f} "
                f"({score['low']:.3f} to {score['high']:.3f}), {right} of {len(test)}",
                flush=True,
            )
            if right / len(test) >= target:
                break


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=3,
        help="measured steps a way of training (default: %(default)s)",
    )
    parser.add_argument(
        "--batch", type=int, default=16, help="our texts a step (default: %(default)s)"
    )
    parser.add_argument(
        "--time-to-accuracy", type=float, metavar="ACCURACY", help="measure that instead"
    )
    parser.add_argument(
        "--max-length",
        type=int,
        default=128,
        help="tokens, for --time-to-accuracy (default: %(default)s)",
    )
    parser.add_argument("--one", nargs=2, metavar=("KIND", "LENGTH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.time_to_accuracy:
        return time_to_accuracy(args.time_to_accuracy, args.max_length)
    if args.one:
        print(json.dumps(one(args.one[0], int(args.one[1]), args.steps, args.batch)))
        return None
    finetune.use_all_cores()
    dtype, found, peaks = choose_dtype(), [], []
    for kind, length in PLAN:
        peaks.append(matmul_rate(TORCH_DTYPE[dtype]))
        command = [
            sys.executable,
            __file__,
            "--one",
            kind,
            str(length),
            "--steps",
            str(args.steps),
            "--batch",
            str(args.batch),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        had = found[-1]["cores_had"]
        disturbed = (
            f"  DISTURBED: it had {had:.0%} of the cores"
            if had < 0.9 and not torch.cuda.is_available()
            else ""
        )
        print(
            f"{length:>4} tokens  {ROWS[kind]:<58} {found[-1]['docs_per_s']:.2f} docs/s, "
            f"{found[-1]['docs_per_core_s']:.2f} a core's second{disturbed}",
            flush=True,
        )
    peak, run = max(peaks), Run("bench-finetune")
    said = (
        f"{machine()}, torch {torch.__version__.split('+')[0]}; "
        f"{dtype} matrix product {peak / 1e9:.0f} GFLOP/s\n\n{table(found, peak)}\n"
    )
    run.write_json(
        "finetune.json", {"machine": machine(), "peak": peak, "peaks": peaks, "rows": found}
    )
    run.path("finetune.md").write_text(said, encoding="utf-8")
    figure(found).savefig(run.path("finetune.png"), dpi=show.DPI)
    print(f"\n{said}")
    return None


if __name__ == "__main__":
    main()
