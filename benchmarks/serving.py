"""How fast is answering, side by side in one run: the article's app path against what this
project serves.

python benchmarks/serving.py --folder FOLDER [--texts 1000] [--only gpt2-12]

Models: a GPT-2 of 12 layers with random weights (speed does not depend on them) and `gpt2-mini`.
Variants, each in a process of its own:

    article   eager torch, fp32, every text padded to 128 tokens, one at a time (what the
    article's app did) torch     eager torch, fp32, nothing padded
    fp32      our export in ONNX Runtime
    int8      the same with int8 weights and activations, what is served

Writes `serving.json` into FOLDER (the models are kept there and used again) and prints the tables
of benchmarks/serving.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = ("article", "torch", "fp32", "int8")
LENGTHS = (40, 128, 512)
READ = 128  # tokens that each variant reads of a real text, as the article did


def make(name: str, folder: Path) -> None:
    """`folder/model` (torch) and `folder/onnx`, when they are not there yet."""
    import torch
    from transformers import GPT2Config, GPT2ForSequenceClassification

    from gpt2news import deploy, finetune

    tokenizer = finetune.load_tokenizer("models/gpt2-mini", 512)
    torch.manual_seed(0)
    topics = ["business", "entertainment", "politics", "sport", "tech"]
    if name == "gpt2-12":
        config = GPT2Config(
            num_labels=5, id2label=dict(enumerate(topics)), pad_token_id=tokenizer.pad_token_id
        )
        model = GPT2ForSequenceClassification(config)
    else:
        model = finetune.load_model("models/gpt2-mini", topics, tokenizer.pad_token_id, 512)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    deploy.export(folder / "model", folder / "onnx")


def resident() -> float:
    """Megabytes that this process holds in memory."""
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


def load(variant: str, folder: Path, threads: int):
    """A function from rows of token ids to scores."""
    if variant in ("article", "torch"):
        import torch
        from transformers import GPT2ForSequenceClassification

        model = GPT2ForSequenceClassification.from_pretrained(folder / "model").eval()
        torch.set_num_threads(threads)

        def score(rows):
            with torch.inference_mode():
                for row in rows:
                    padded = [1] * (READ - len(row)) + row[:READ] if variant == "article" else row
                    model(input_ids=torch.tensor([padded]))

        return score
    from newsserve.predictor import Predictor

    return Predictor(
        folder / "onnx", f"model{'.int8' if variant == 'int8' else ''}.onnx", threads=threads
    )._score


def measure(variant: str, folder: Path, texts: int, repeats: int, threads: int) -> dict:
    """The figures of one variant. One thread is timed by the CPU seconds that it used, which
    others on the machine hardly change."""
    now = time.process_time if threads == 1 else time.perf_counter
    random = np.random.default_rng(0)
    before, began = resident(), now()
    score = load(variant, folder, threads)
    score([[5] * 8])
    figures = {"load_s": now() - began}
    for length in LENGTHS:
        row, spent = random.integers(5, 16_000, length).tolist(), []
        for _ in range(repeats):
            began = now()
            score([row])
            spent.append((now() - began) * 1000)
        figures[f"{length}_p50_ms"], figures[f"{length}_p95_ms"] = np.percentile(
            spent[2:], [50, 95]
        ).tolist()
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "onnx" / "tokenizer.json"))
    with open(ROOT / "data" / "sample" / "articles.csv", encoding="utf-8", newline="") as file:
        real = [
            encoding.ids[:READ]
            for encoding in tokenizer.encode_batch([row["text"] for row in csv.DictReader(file)])
        ]
    rows = [real[i % len(real)] for i in range(texts)]
    score(rows[:4])
    began = now()
    for start in range(0, len(rows), 64):
        score(rows[start : start + 64])
    figures["docs_s"] = len(rows) / (now() - began)
    file = folder / "model" / "model.safetensors" if variant in ("article", "torch") else None
    file = file or folder / "onnx" / f"model{'.int8' if variant == 'int8' else ''}.onnx"
    return figures | {"rss_mb": resident() - before, "file_mb": file.stat().st_size / 1e6}


def table(name: str, results: dict[str, dict], texts: int) -> str:
    """Markdown; in brackets how many times faster than the article's path."""
    base = results["article"]
    lines = [
        f"### {name}\n",
        "| | " + " | ".join(f"one text of {n} tokens, p50 / p95 ms" for n in LENGTHS)
        + f" | texts a second ({texts} texts, at most {READ} tokens) "
        "| load s | memory MB | file MB |",
        "|---" * 8 + "|",
    ]  # fmt: skip
    for variant, r in results.items():
        cells = [f"{r[f'{n}_p50_ms']:.1f} / {r[f'{n}_p95_ms']:.1f}" for n in LENGTHS]
        if variant != "article":
            cells = [
                f"{cell} ({base[f'{n}_p50_ms'] / r[f'{n}_p50_ms']:.1f} x)" if n <= READ else cell
                for n, cell in zip(LENGTHS, cells, strict=True)
            ]
        docs = f"{r['docs_s']:.1f}" + (
            "" if variant == "article" else f" ({r['docs_s'] / base['docs_s']:.1f} x)"
        )
        lines.append(
            f"| {variant} | "
            + " | ".join(cells)
            + f" | {docs} | {r['load_s']:.1f} | {r['rss_mb']:.0f} | {r['file_mb']:.0f} |"
        )
    return (
        "\n".join(lines)
        + "\n\nThe article's path reads 128 tokens of a text of 512; no ratio there.\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "reports" / "bench-serving")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument(
        "--threads",
        type=int,
        default=2,
        help="1: CPU seconds are measured, for a machine that others use",
    )
    parser.add_argument("--only", choices=["gpt2-12", "gpt2-mini"])
    parser.add_argument("--make", action="store_true", help="make the models and stop")
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.folder, args.texts, args.repeats, args.threads)))
        return 0
    found = {}
    for name in [args.only] if args.only else ["gpt2-12", "gpt2-mini"]:
        folder = args.folder / name
        if not (folder / "onnx" / "serving.json").exists():
            make(name, folder)
        if args.make:
            continue
        found[name] = {}
        for variant in VARIANTS:
            command = [
                sys.executable,
                __file__,
                "--one",
                variant,
                "--folder",
                str(folder),
                "--texts",
                str(args.texts),
            ]
            done = subprocess.run(
                [*command, "--repeats", str(args.repeats), "--threads", str(args.threads)],
                capture_output=True,
                text=True,
                check=True,
            )
            found[name][variant] = json.loads(done.stdout.splitlines()[-1])
        print(table(name, found[name], args.texts), flush=True)
        (args.folder / "serving.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
