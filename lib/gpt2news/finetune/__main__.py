"""Fine-tune from a shell, under torchrun, or as a SageMaker training job.

    python -m gpt2news.finetune --train splits --out model --epochs 3

The same command again after a crash goes on from the last checkpoint. Several GPUs: add
--processes 4. Several machines, or a model too big for one GPU: docs/many-gpus.md. In a SageMaker
job the folders come from SM_CHANNEL_TRAIN, SM_CHANNEL_VAL and SM_MODEL_DIR, the processes from
SM_NUM_GPUS, and other options also from the hyperparameters (SM_HPS); the command line wins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser

from gpt2news.finetune import CheckpointError, DivergedError, Recipe, device_line, finetune


def _path(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


@dataclass
class Places:
    """Folders and processes; a SageMaker job says them in its variables."""

    train: Path | None = field(default=None, metadata={"help": "CSV file, or folder of train.csv"})
    val: Path | None = field(default=None, metadata={"help": "the same of val; none: as train"})
    out: Path | None = field(default=None, metadata={"help": "model folder to write"})
    processes: int | None = field(default=None, metadata={"help": "processes here, one a GPU"})

    def __post_init__(self):
        self.train = self.train or _path("SM_CHANNEL_TRAIN")
        self.val = self.val or _path("SM_CHANNEL_VAL")
        self.out = self.out or _path("SM_MODEL_DIR")
        if self.processes is None:
            self.processes = int(os.environ.get("SM_NUM_GPUS") or 0) or 1


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0; 1 for a run that stopped; 2 for what cannot be used."""
    argv = sys.argv[1:] if argv is None else argv
    parser = HfArgumentParser(
        (Places, Recipe), prog="python -m gpt2news.finetune", description=__doc__
    )
    try:
        job = json.loads(os.environ.get("SM_HPS") or "{}")
    except json.JSONDecodeError as error:
        parser.error(f"SM_HPS is not JSON: {error}")
    given = [*(f"--{name}={value}" for name, value in job.items()), *argv]
    places, recipe, unknown = parser.parse_args_into_dataclasses(
        given, return_remaining_strings=True
    )
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if places.train is None or places.out is None:
        parser.error("--train and --out are needed (in a job: SM_CHANNEL_TRAIN, SM_MODEL_DIR)")
    if places.processes < 1:
        parser.error(f"--processes {places.processes}: 1 or more")
    if places.processes > 1 and "RANK" not in os.environ:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        launcher += [f"--nproc-per-node={places.processes}", "-m", "gpt2news.finetune"]
        return subprocess.call([*launcher, *argv])
    if recipe.checkpoints is None and _path("SM_MODEL_DIR"):
        # What SageMaker copies to S3 while a job runs.
        recipe.checkpoints = _path("SM_MODEL_DIR").parent / "checkpoints"
    first = os.environ.get("RANK", "0") == "0"

    def say(line: str) -> None:
        if first:
            print(line, flush=True)

    folder = places.train if places.train.is_dir() else places.train.parent
    try:
        say(device_line(recipe.dtype))
        record = finetune(recipe, places.train, places.out, val=places.val or folder, say=say)
    except (ValueError, OSError) as error:
        if first:
            print(f"gpt2news.finetune: {error}", file=sys.stderr)
        return 1 if isinstance(error, (DivergedError, CheckpointError)) else 2
    say(f"{places.out}: {record['parameters'] / 1e6:.1f} M parameters, {record['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
