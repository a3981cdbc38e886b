"""What pretraining bought: one shape pretrained and from scratch, and TF-IDF beside them.

    python benchmarks/pretraining.py --dataset bbc --seeds 5
    python benchmarks/pretraining.py --dataset bbc-csv --article-split article_split.csv --seeds 1
    # does a score fall where matrix products are in bf16? (--kinds in full: see --help)
    python benchmarks/pretraining.py --kinds "pretrained, fp32" "pretrained, bf16"

On the same splits, over several seeds: each draws its own leak-free split and its own weights and
order. Results are kept one by one in `reports/bench-pretraining/`, and a second run goes on from
there. Accuracy is on test; the interval of a mean is Student's t over the seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from article_split import article_split
from gpt2news import explore, finetune, split
from gpt2news.run import ROOT, Run, parameters_of
from rival import baseline

RIVAL = "TF-IDF + linear SVM"
KINDS = ("pretrained", "from scratch", RIVAL)
FORMATS = ("pretrained, fp32", "pretrained, bf16")  # auto takes one of these
SETTINGS = ("backbone", "epochs", "batch_size", "learning_rate", "max_length", "pooling")


def mean_and_interval(values: list[float]) -> str:
    """`mean (low to high)`, 95 %, Student's t; the mean alone for fewer than two values."""
    mean = np.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"


def settings_of(profile: str) -> dict:
    """The settings of chapter 03 under a profile; 0 stands for what suits the backbone."""
    import yaml

    values = parameters_of(ROOT / "notebooks" / "03_finetune.ipynb")
    file = ROOT / "notebooks" / "profiles" / f"{profile}.yaml"
    values |= yaml.safe_load(file.read_text(encoding="utf-8"))["03_finetune"]
    return {name: values[name] or None for name in SETTINGS}


def says(kind: str, parts: dict, folder: Path, recipe: dict) -> np.ndarray:
    """The topics that a newly trained model of this kind gives the test texts."""
    train, texts = parts["train"], parts["test"]["text"].tolist()
    if kind == RIVAL:
        model = baseline(train["text"].tolist(), train["topic"].tolist())
        return model.predict(texts)
    dtype = kind.rpartition(", ")[2] if kind in FORMATS else "auto"
    recipe = finetune.Recipe(**recipe, from_scratch=kind == "from scratch", dtype=dtype)
    finetune.finetune(recipe, folder / "splits", folder / "model")
    model = finetune.Classifier(folder / "model")
    return np.array(model.topics)[model.logits(texts).argmax(axis=1)]


def one(frame: pd.DataFrame, seed: int, kind: str, args, settings: dict) -> dict:
    """Right test texts and seconds of one kind of model on one seed's split."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if args.article_split:
            parted = article_split(frame, args.article_split)
        else:
            parted = split.split_corpus(frame, seed)
        split.write_split(parted, folder / "splits", {"seed": seed})
        parts = split.read_split(folder / "splits")
        truth = parts["test"]["topic"].to_numpy()
        began = time.monotonic()
        recipe = settings | {"seed": seed, "normalise": args.dataset == "bbc-csv"}
        right = int((says(kind, parts, folder, recipe) == truth).sum())
        seconds = round(time.monotonic() - began, 1)
    return {"seed": seed, "kind": kind, "right": right, "n": len(truth), "seconds": seconds}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", default="bbc", help="default: %(default)s")
    add("--profile", default="bbc", help="whose settings of chapter 03 (default: %(default)s)")
    add("--seeds", type=int, default=5, help="default: %(default)s")
    add("--article-split", type=Path, help="the article's row,split file, for bbc-csv; it leaks")
    add("--kinds", nargs="+", default=KINDS, choices=KINDS + FORMATS, help="default: the three")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    settings = settings_of(args.profile)
    frame = explore.load_corpus(args.dataset)
    run = Run("bench-pretraining")
    name = f"{args.dataset}{'-article' if args.article_split else ''}.json"
    path = run.path(name)
    done = {"settings": settings, "runs": []}
    if path.exists():
        done = json.loads(path.read_text(encoding="utf-8"))
    if done["settings"] != settings:
        raise SystemExit(f"{path}: made with other settings; delete it to start afresh")
    rows = {(row["kind"], row["seed"]): row for row in done["runs"]}
    for seed in range(args.seeds):
        for kind in args.kinds:
            if (kind, seed) not in rows:
                rows[kind, seed] = one(frame, seed, kind, args, settings)
                run.write_json(name, done | {"runs": list(rows.values())})
            row = rows[kind, seed]
            share = f"{row['right']}/{row['n']} = {row['right'] / row['n']:.3f}"
            print(f"seed {seed}  {kind:<22} {share}  {row['seconds']:.0f} s", flush=True)
    print(f"\n{args.dataset}, {settings}")
    print(f"| model | test accuracy, mean of {args.seeds} seeds | seconds to fit |\n|---|---|---|")
    for kind in args.kinds:
        these = [rows[kind, seed] for seed in range(args.seeds)]
        accuracy = mean_and_interval([row["right"] / row["n"] for row in these])
        print(f"| {kind} | {accuracy} | {np.median([row['seconds'] for row in these]):.0f} |")


if __name__ == "__main__":
    main()
