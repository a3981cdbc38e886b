"""Fine-tune from a shell.

    python -m gpt2news.finetune --train splits --out model --epochs 3

The same command again after a crash goes on from the last checkpoint. Several GPUs or machines:
docs/many-gpus.md. A SageMaker job: deploy/sagemaker/train.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from transformers import HfArgumentParser

from gpt2news.finetune import CheckpointError, DivergedError, Recipe, device_line, finetune


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0; 1 for a run that stopped; 2 for what cannot be used."""
    parser = HfArgumentParser(Recipe, description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="splits, or a file")
    parser.add_argument("--val", type=Path, help="the same; none: beside --train")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    recipe, places, unknown = parser.parse_args_into_dataclasses(
        argv, return_remaining_strings=True
    )
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    train, out = places.train, places.out

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
