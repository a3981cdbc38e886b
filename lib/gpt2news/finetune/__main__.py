"""Fine-tune from a shell, under torchrun, or as a SageMaker training job.

    python -m gpt2news.finetune --train splits --out model --epochs 3

The same command again after a crash goes on from the last checkpoint. Several GPUs: add
--processes 4. Several machines: docs/many-gpus.md. In a SageMaker
job the folders come from SM_CHANNEL_TRAIN, SM_CHANNEL_VAL and SM_MODEL_DIR, the processes from
SM_NUM_GPUS, and other options also from the hyperparameters (SM_HPS); the command line wins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from transformers import HfArgumentParser

from gpt2news.finetune import CheckpointError, DivergedError, Recipe, device_line, finetune


def _parser() -> HfArgumentParser:
    parser, job = HfArgumentParser(Recipe, description=__doc__), os.environ.get("SM_MODEL_DIR")
    for name in ("train", "val"):
        folder = os.environ.get(f"SM_CHANNEL_{name.upper()}")
        text = f"file, or folder of {name}.csv"
        parser.add_argument(f"--{name}", type=Path, default=folder, help=text)
    parser.add_argument("--out", type=Path, default=job, help="model folder to write")
    gpus = os.environ.get("SM_NUM_GPUS") or 0
    parser.add_argument("--processes", type=int, default=int(gpus) or 1, help="one a GPU")
    if job:  # SageMaker copies this folder to S3 while a job runs
        parser.set_defaults(checkpoints=Path(job).parent / "checkpoints")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0; 1 for a run that stopped; 2 for what cannot be used."""
    argv, parser = sys.argv[1:] if argv is None else argv, _parser()
    try:
        given = json.loads(os.environ.get("SM_HPS") or "{}")
    except json.JSONDecodeError as error:
        parser.error(f"SM_HPS is not JSON: {error}")
    words = [*(f"--{name}={value}" for name, value in given.items()), *argv]
    recipe, places, unknown = parser.parse_args_into_dataclasses(
        words, return_remaining_strings=True
    )
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    train, out = places.train, places.out
    if train is None or out is None:
        parser.error("--train and --out are needed (in a job: SM_CHANNEL_TRAIN, SM_MODEL_DIR)")
    if places.processes < 1:
        parser.error(f"--processes {places.processes}: 1 or more")
    if places.processes > 1 and "RANK" not in os.environ:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        torchrun += [f"--nproc-per-node={places.processes}", "-m", "gpt2news.finetune"]
        return subprocess.call([*torchrun, *argv])

    def say(line: str, where=None) -> None:
        if os.environ.get("RANK", "0") == "0":
            print(line, file=where, flush=True)

    try:
        say(device_line(recipe.dtype))
        val = places.val or (train if train.is_dir() else train.parent)
        record = finetune(recipe, train, out, val, say)
    except (ValueError, OSError) as error:
        say(f"gpt2news.finetune: {error}", sys.stderr)
        return 1 if isinstance(error, (DivergedError, CheckpointError)) else 2
    say(f"{out}: {record['parameters'] / 1e6:.1f} M parameters, {record['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
