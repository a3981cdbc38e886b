"""Fine-tune from a shell, under torchrun, or as a SageMaker training job: the same function that chapter 03 calls.

    python -m gpt2news.finetune --train splits --out model --backbone models/gpt2-mini --epochs 3

On SageMaker the folders come from SM_CHANNEL_TRAIN, SM_CHANNEL_VAL and SM_MODEL_DIR, and the other options also from the
hyperparameters (SM_HPS); what stands on the command line wins.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from gpt2news.finetune.backbone import BackboneError
from gpt2news.finetune.heads import POOLINGS
from gpt2news.finetune.training import finetune


def _bool(word: str) -> bool:
    if word.lower() in ("true", "yes", "1"):
        return True
    if word.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{word!r}: true or false is needed")


def _path(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def parser() -> argparse.ArgumentParser:
    """The command line; `--batch_size` and `--batch-size` are the same option, since SageMaker passes the former."""
    description, _, more = __doc__.partition("\n\n")
    made = argparse.ArgumentParser(
        prog="python -m gpt2news.finetune", description=description, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def option(name: str, help_text: str, **settings) -> None:
        if settings.get("type") is _bool:
            settings |= {"nargs": "?", "const": True, "metavar": "BOOL"}
        shown = f"{help_text} (default: {settings.get('default', 'none')})" if "required" not in settings else help_text
        made.add_argument(f"--{name}", *([f"--{name.replace('-', '_')}"] if "-" in name else []), help=shown, **settings)

    option("train", "CSV file, or folder with train.csv: columns text and topic", type=Path, default=_path("SM_CHANNEL_TRAIN"))
    option("val", "CSV file, or folder with val.csv; else val.csv beside train.csv", type=Path, default=_path("SM_CHANNEL_VAL"))
    option("out", "model folder to write", type=Path, default=_path("SM_MODEL_DIR"))
    option("backbone", "a folder, or a hub name such as openai-community/gpt2", default="models/gpt2-mini")
    option("from-scratch", "the backbone's shape with random weights", type=_bool, default=False)
    option("normalise", "lower-case and so on, inside the tokenizer (for bbc-csv)", type=_bool, default=False)
    option("epochs", "passes over the training texts", type=int, default=4)
    option("batch-size", "texts a step, over all processes", type=int, default=16)
    option("learning-rate", "peak; warmed up, then a cosine down to zero", type=float, default=5e-4)
    option("max-length", "tokens read of a text", type=int, default=512)
    option("pooling", "what the new layer reads", choices=list(POOLINGS), default="last")
    option("freeze", "keep the embeddings and so many of the first blocks", type=int, default=0)
    option("seed", "of weights, order and dropout", type=int, default=0)
    return made


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 0, or 2 for an option, file or backbone that cannot be used."""
    made = parser()
    from_job = json.loads(os.environ.get("SM_HPS") or "{}")
    options = made.parse_args([*(f"--{name}={value}" for name, value in from_job.items()), *(sys.argv[1:] if argv is None else argv)])
    settings = vars(options)
    train, val, out = settings.pop("train"), settings.pop("val"), settings.pop("out")
    if train is None or out is None:
        made.error("--train and --out are needed (on SageMaker: SM_CHANNEL_TRAIN and SM_MODEL_DIR)")
    if val is None:
        val = train if train.is_dir() else train.parent
    try:
        record = finetune(train, out, val=val, say=lambda line: print(line, flush=True), **settings)
    except (BackboneError, ValueError, FileNotFoundError) as error:
        print(f"gpt2news.finetune: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {record['parameters'] / 1e6:.1f} M parameters, {record['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
