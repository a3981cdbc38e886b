"""What pretraining bought: the same shape pretrained and from scratch, and TF-IDF beside them, on the same splits, over several seeds.

    python benchmarks/pretraining.py --dataset bbc --seeds 5
    python benchmarks/pretraining.py --dataset bbc-csv --article-split article_split.csv --seeds 1

Each seed draws its own leak-free split and its own weights and order. Results are kept one by one in `reports/bench-pretraining/`
and a second run goes on from there. Accuracy is on test; the interval of a mean is Student's t over the seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import newsreport as reports
import numpy as np
from article_split import article_split
from scipy import stats

from gpt2news import evaluate, explore, finetune, run, split


def mean_and_interval(values: list[float]) -> str:
    """`mean (low to high)`, 95 %, Student's t; the mean alone for fewer than two values."""
    mean = np.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"


def one(frame, seed: int, kind: str, args, settings: dict) -> dict:
    """Test accuracy and seconds of one kind of model on one seed's split."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        parted = (
            article_split(frame, args.article_split)
            if args.article_split
            else split.split_corpus(frame, seed)
        )
        split.write_split(parted, folder / "splits", {"seed": seed})
        parts = split.read_split(folder / "splits")
        texts, truth = parts["test"]["text"].tolist(), parts["test"]["topic"].to_numpy()
        began = time.monotonic()
        if kind == evaluate.BASELINE:
            says = evaluate.baseline(
                parts["train"]["text"].tolist(), parts["train"]["topic"].tolist()
            ).predict(texts)
        else:
            lower = args.dataset == "bbc-csv"
            scratch = kind == "from scratch"
            finetune.finetune(
                folder / "splits",
                folder / "model",
                from_scratch=scratch,
                normalise=lower,
                seed=seed,
                **settings,
            )
            model = finetune.Classifier(folder / "model")
            says = np.array(model.topics)[model.logits(texts).argmax(axis=1)]
        right = int((says == truth).sum())
        return {
            "seed": seed,
            "kind": kind,
            "right": right,
            "n": len(truth),
            "seconds": round(time.monotonic() - began, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="bbc", help="default: %(default)s")
    parser.add_argument(
        "--profile",
        default="bbc",
        help="whose 03_finetune settings are used (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--article-split",
        type=Path,
        help="row,split file of the article of 2022, for bbc-csv (it leaks)",
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        default=["pretrained", "from scratch", evaluate.BASELINE],
        help="default: all three",
    )
    args = parser.parse_args()
    defaults = reports.parameters_of(reports.NOTEBOOKS / "03_finetune.ipynb")
    values = {**defaults, **reports.load_profile(args.profile)["03_finetune"]}
    settings = {
        key: values[key]
        for key in ("backbone", "epochs", "batch_size", "learning_rate", "max_length", "pooling")
    }
    frame = explore.load_corpus(args.dataset)
    run = run.Run("bench-pretraining")
    name = f"{args.dataset}{'-article' if args.article_split else ''}.json"
    path = run.path(name)
    done = json.loads(path.read_text()) if path.exists() else {"settings": settings, "runs": []}
    if done["settings"] != settings:
        raise SystemExit(f"{path}: made with other settings; delete it to start afresh")
    for seed in range(args.seeds):
        for kind in args.kinds:
            if not any(r["seed"] == seed and r["kind"] == kind for r in done["runs"]):
                done["runs"].append(one(frame, seed, kind, args, settings))
                run.write_json(name, done)
            row = next(r for r in done["runs"] if r["seed"] == seed and r["kind"] == kind)
            print(
                f"seed {seed}  {kind:<22} {row['right']}/{row['n']} = {row['right'] / row['n']:.3f}  {row['seconds']:.0f} s",
                flush=True,
            )
    print(
        f"\n{args.dataset}, {settings}\n| model | test accuracy, mean of {args.seeds} seeds | seconds to fit |\n|---|---|---|"
    )
    for kind in args.kinds:
        rows = [r for r in done["runs"] if r["kind"] == kind and r["seed"] < args.seeds]
        print(
            f"| {kind} | {mean_and_interval([r['right'] / r['n'] for r in rows])} | {np.median([r['seconds'] for r in rows]):.0f} |"
        )


if __name__ == "__main__":
    main()
