"""The command `gpt2news`. Each part imports what it needs when it is called: answering never loads
torch, pandas or papermill."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path


def _report(args: argparse.Namespace) -> int:
    """0, 1 for a failed chapter, 3 for a gate that is not met."""
    from gpt2news.explore import locate
    from newsreport.profiles import load_profile

    profile = load_profile(args.profile, tuple(args.set))
    named = {values.get("dataset") for values in profile.parameters.values()}
    # A download, or its failure, belongs before the first chapter.
    corpora = {name: locate(name) for name in named if name}
    from newsreport.run import run_report

    # Whoever reads a pipe wants to know at once.
    return run_report(profile, args.name, args.fresh, corpora, partial(print, flush=True))


def _doctor(args: argparse.Namespace) -> int:
    """`doctor` and `new-profile`: the first shows a profile, the second writes it."""
    from gpt2news.run import companion

    return companion("doctor", "01_explore").main(**vars(args))


def _backbone(args: argparse.Namespace) -> int:
    from gpt2news.run import ROOT

    sys.path.insert(0, str(ROOT / "models"))
    from packages import main

    return main([args.model])


def parser() -> argparse.ArgumentParser:
    """The command line: what is run here, and what newsserve and newscloud add to it."""
    from newscloud import commands as cloud
    from newsserve import __main__ as serving

    main_parser = argparse.ArgumentParser(
        prog="gpt2news", description="Sort news articles into topics with GPT-2."
    )
    commands = main_parser.add_subparsers(dest="command", required=True)

    calls = {"report": {"run": _report}, "doctor": {"run": _doctor, "name": None}}
    calls |= {"new-profile": {"run": _doctor}, "backbone": {"run": _backbone}}
    serving.add_options(commands, Path(__file__).with_name("commands.json"), calls)
    serving.add_commands(commands)
    cloud.add_commands(commands)
    return main_parser


def main(argv: list[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code, 2 for what cannot be done."""
    args = parser().parse_args(argv)
    sys.stdout.reconfigure(errors="replace")  # a pipe on Windows has not every letter
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print(f"\ngpt2news {args.command}: stopped; the same command goes on", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"gpt2news {args.command}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
