"""`gpt2news sagemaker status` and `cleanup`; also `python -m newscloud …`."""

import argparse
import sys

from newscloud.account import SageMakerError, connect, explained
from newscloud.cleanup import PROJECT, inventory, remove


def add_commands(subparsers) -> None:
    """Add `sagemaker` to the subparsers of `gpt2news`; `args.run(args)` returns its exit code."""
    parser = subparsers.add_parser("sagemaker", help="what runs at AWS, and its removal")
    parser.set_defaults(run=_run)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("status", help="list what exists")
    cleanup = parts.add_parser("cleanup", help="remove it, after asking")
    cleanup.add_argument("--yes", action="store_true", help="do not ask")
    watch = parts.add_parser("watch", help='remove NAME unless "done" comes in')
    watch.add_argument("name")


def _run(args: argparse.Namespace) -> int:
    """The exit code: 0, 1 when clean-up was declined, 2 when AWS or the machine refused."""
    try:
        if args.part == "watch":
            # An end of the input without "done": the process at its other end is no more.
            if sys.stdin.buffer.read() != b"done":
                remove(connect(), args.name)
        else:
            return _status(args)
    except SageMakerError as error:
        print(f"gpt2news sagemaker {args.part}: {error}", file=sys.stderr)
        return 2
    return 0


def _status(args: argparse.Namespace) -> int:
    aws = connect()
    with explained():
        found = inventory(aws)
    for each in found:
        print(f"{each.kind:<16}{each.name:<48}{each.status}")
    if aws.bucket:
        print(f"Files stay until `aws s3 rm --recursive s3://{aws.bucket}/{PROJECT}/`.")
    if not found:
        print(f"Nothing of this project exists in {aws.region}.")
    if args.part == "status" or not found:
        return 0
    if not args.yes:
        if not sys.stdin.isatty():
            raise SageMakerError("nobody to ask here: say --yes to remove them")
        if input(f"Remove {len(found)}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return 1
    for name in dict.fromkeys(each.name for each in found):
        remove(aws, name)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`python -m newscloud`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m newscloud")
    add_commands(parser.add_subparsers())
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(["sagemaker", *words])
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
