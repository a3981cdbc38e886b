"""The ladder and the few-label study, from the cheap rungs to the dear ones.

    make ladder                     # everything that is not yet on record, then the tables
    make ladder ARGS="labels next"  # some parts: labels, next, tuned, masks, lora, prompt
    make ladder ARGS=tables         # README's tables and its figure, from the records alone

Each unit is a line of `benchmarks/results/`, written when it ends: stop whenever you like, the
same command goes on. BBC News and AG News are found or downloaded as chapter 01 does. What brings
the models: `gpt2news backbone smollm2`, `gpt2news backbone minilm`, and
`pip install wordllama==0.4.0.post1`. A rung whose model is missing is left out, and says so.
"""

from __future__ import annotations

import argparse
import sys

from ladder import studies, tables

PARTS = ("labels", "next", "tuned", "masks", "lora", "prompt", "tables")


def say(line: str) -> None:
    """A line at once, also into a file."""
    print(line, flush=True)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code, 2 for what cannot be run as asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--corpus", choices=studies.CORPORA, help="of labels and tuned; else both")
    parser.add_argument("--rung", action="append", default=[], help="of tuned; else all of them")
    args = parser.parse_args(argv)
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no part {min(unknown)!r}; there are {', '.join(PARTS)}")
    chosen = args.parts or PARTS
    names = (args.corpus,) if args.corpus else studies.CORPORA
    try:
        for part in chosen:
            if part in ("labels", "tuned"):
                for name in names:
                    if part == "labels":
                        studies.cheap_ladder(name, say)
                    else:
                        studies.tuned_ladder(name, say, tuple(args.rung))
            elif part == "lora":
                for model in studies.LORA_MODELS:
                    studies.lora(say, model)
            else:
                run = {
                    "next": studies.which_next,
                    "masks": studies.masks,
                    "prompt": studies.prompts,
                    "tables": tables.write,
                }[part]
                run(say)
    except (FileNotFoundError, ValueError) as error:
        print(f"ladder: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
