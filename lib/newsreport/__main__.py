"""The command `gpt2news`. Each part imports what it needs when it is called: answering never loads
torch, pandas or papermill."""

from __future__ import annotations

import argparse
import sys
from functools import partial


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


def _new_profile(args: argparse.Namespace) -> int:
    from gpt2news.explore import SOURCES, load_corpus, locate, unread
    from newsreport.profiles import (
        BACKBONE,
        NOTEBOOKS,
        TEMPLATES,
        ReportError,
        check_new,
        new_profile,
    )

    target = check_new(args.name, NOTEBOOKS / "profiles")
    if args.data in ("sample", *SOURCES):
        raise ReportError(f"{args.data} has a profile of its own already; --data takes a file")
    corpus = load_corpus(args.data, args.text, args.label)
    new_profile(target, corpus, locate(args.data).resolve(), args.text, args.label)
    print(
        TEMPLATES.get_template("new.txt.j2").render(
            target=target,
            corpus=corpus,
            label=args.label,
            backbone=BACKBONE,
            foreign=corpus["text"].map(unread).mean(),
        )
    )
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line: what is run here, and what newsserve and newscloud add to it."""
    from newscloud import __main__ as cloud
    from newsserve import __main__ as serving

    main_parser = argparse.ArgumentParser(
        prog="gpt2news", description="Sort news articles into topics with GPT-2."
    )
    commands = main_parser.add_subparsers(dest="command", required=True)

    report = commands.add_parser("report", help="run the five notebooks and make the report")
    report.add_argument("--profile", default="quick", help="of notebooks/profiles (%(default)s)")
    report.add_argument("--name", help="folder under reports/ (default: the profile's name)")
    report.add_argument("--fresh", action="store_true", help="run every chapter, changed or not")
    form = "CHAPTER.PARAMETER=VALUE"
    report.add_argument("--set", action="append", default=[], metavar=form, help="can be repeated")
    report.set_defaults(run=_report)

    own = commands.add_parser("new-profile", help="write a profile for a corpus of your own")
    own.add_argument("name", help="of the profile, and of its folder under reports/")
    own.add_argument("--data", required=True, help="a .csv, .jsonl or .parquet file")
    own.add_argument("--text", default="text", help="column of the texts (%(default)s)")
    own.add_argument("--label", default="topic", help="column of the topics (%(default)s)")
    own.set_defaults(run=_new_profile)

    serving.add_commands(commands)
    cloud.add_commands(commands)
    return main_parser


def main(argv: list[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code, 2 for what cannot be done."""
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"gpt2news {args.command}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
