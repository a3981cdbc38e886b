"""Fine-tune from a shell, under torchrun, or as a SageMaker training job: the same function that chapter 03 calls.

    python -m gpt2news.finetune --train splits --out model --backbone models/gpt2-mini --epochs 3

Run the same command again after a crash and it goes on from its last checkpoint.

several GPUs:      add --processes 4 (torchrun does the rest)
several machines:  on each: torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint FIRST:29500 -m gpt2news.finetune …
                   with --checkpoints and --out in a folder that all of them see
too big for one:   accelerate launch --config_file lib/gpt2news/finetune/fsdp.yaml --num_processes 4 -m gpt2news.finetune …
SageMaker:         the folders come from SM_CHANNEL_TRAIN, SM_CHANNEL_VAL and SM_MODEL_DIR, the processes from SM_NUM_GPUS, and the
                   other options also from the hyperparameters (SM_HPS); what stands on the command line wins
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from gpt2news.finetune.device import DTYPES, device_line
from gpt2news.finetune.heads import POOLINGS
from gpt2news.finetune.trainer import CheckpointError, DivergedError
from gpt2news.finetune.training import finetune


def _bool(word: str) -> bool:
    if word.lower() in ("true", "yes", "1"):
        return True
    if word.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{word!r}: true or false is needed")


def _path(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def _checkpoints() -> Path | None:
    """What SageMaker copies to S3 while a job runs (/opt/ml/checkpoints); None elsewhere."""
    model = _path("SM_MODEL_DIR")
    return model.parent / "checkpoints" if model else None


def parser() -> argparse.ArgumentParser:
    """The command line; `--batch_size` and `--batch-size` are the same option, since SageMaker passes the former."""
    description, _, more = __doc__.partition("\n\n")
    made = argparse.ArgumentParser(
        prog="python -m gpt2news.finetune",
        description=description,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def option(name: str, help_text: str, **settings) -> None:
        if settings.get("type") is _bool:
            settings |= {"nargs": "?", "const": True, "metavar": "BOOL"}
        shown = (
            f"{help_text} (default: {settings.get('default', 'none')})"
            if "required" not in settings
            else help_text
        )
        made.add_argument(
            f"--{name}",
            *([f"--{name.replace('-', '_')}"] if "-" in name else []),
            help=shown,
            **settings,
        )

    option(
        "train",
        "CSV file, or folder with train.csv: columns text and topic",
        type=Path,
        default=_path("SM_CHANNEL_TRAIN"),
    )
    option(
        "val",
        "CSV file, or folder with val.csv; else val.csv beside train.csv",
        type=Path,
        default=_path("SM_CHANNEL_VAL"),
    )
    option("out", "model folder to write", type=Path, default=_path("SM_MODEL_DIR"))
    option(
        "backbone",
        "a folder, or a hub name such as openai-community/gpt2",
        default="models/gpt2-mini",
    )
    option("from-scratch", "the backbone's shape with random weights", type=_bool, default=False)
    option(
        "normalise",
        "lower-case and so on, inside the tokenizer (for bbc-csv)",
        type=_bool,
        default=False,
    )
    option("epochs", "passes over the training texts", type=int, default=4)
    option("batch-size", "texts a step, over all processes", type=int, default=16)
    option("learning-rate", "peak; warmed up, then a cosine down to zero", type=float, default=5e-4)
    option("max-length", "tokens read of a text", type=int, default=512)
    option("pooling", "what the new layer reads", choices=list(POOLINGS), default="last")
    option("freeze", "keep the embeddings and so many of the first blocks", type=int, default=0)
    option(
        "lora",
        "rank of low-rank adapters, trained instead of the weights; 0: none",
        type=int,
        default=0,
    )
    option(
        "early-stopping",
        "stop after so many epochs without a lower validation loss; 0: never",
        type=int,
        default=0,
    )
    option("gradient-checkpointing", "less memory for more time", type=_bool, default=False)
    option("compile", "torch.compile", type=_bool, default=False)
    option(
        "dtype",
        "of the matrix products; auto: what the device is good at",
        choices=DTYPES,
        default="auto",
    )
    option("micro-batch", "texts at once a process; 0: all that fit", type=int, default=0)
    option(
        "checkpoints",
        "folder of the checkpoints; else OUT-checkpoints, or beside SM_MODEL_DIR",
        type=Path,
        default=_checkpoints(),
    )
    option(
        "checkpoint-steps",
        "save every so many steps; 0: about every five minutes",
        type=int,
        default=0,
    )
    option("price-per-hour", "of the machines, to show the cost", type=float, default=0.0)
    option(
        "processes",
        "processes on this machine, one a GPU",
        type=int,
        default=max(1, int(os.environ.get("SM_NUM_GPUS") or 1)),
    )
    option("seed", "of weights, order and dropout", type=int, default=0)
    return made


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 0, 1 for a run that stopped, 2 for an option, file or backbone that cannot be used."""
    made, argv = parser(), sys.argv[1:] if argv is None else argv
    try:
        from_job = json.loads(os.environ.get("SM_HPS") or "{}")
    except json.JSONDecodeError as error:
        made.error(f"SM_HPS is not JSON: {error}")
    settings = vars(
        made.parse_args([*(f"--{name}={value}" for name, value in from_job.items()), *argv])
    )
    train, val, out = settings.pop("train"), settings.pop("val"), settings.pop("out")
    if train is None or out is None:
        made.error("--train and --out are needed (on SageMaker: SM_CHANNEL_TRAIN and SM_MODEL_DIR)")
    wanted = settings.pop("processes")
    if wanted < 1:
        made.error(f"--processes {wanted}: 1 or more")
    if wanted > 1 and "RANK" not in os.environ:
        launcher = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={wanted}",
        ]
        return subprocess.call([*launcher, "-m", "gpt2news.finetune", *argv])
    first = os.environ.get("RANK", "0") == "0"

    def say(line: str) -> None:
        if first:
            print(line, flush=True)

    try:
        say(device_line(settings["dtype"]))
        record = finetune(
            train, out, val=val or (train if train.is_dir() else train.parent), say=say, **settings
        )
    except (ValueError, OSError) as error:
        if first:
            print(f"gpt2news.finetune: {error}", file=sys.stderr)
        return 1 if isinstance(error, (DivergedError, CheckpointError)) else 2
    say(f"{out}: {record['parameters'] / 1e6:.1f} M parameters, {record['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
