"""`gpt2news sagemaker status`, `cleanup` and `app-url`; also `python -m newscloud …`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from newscloud.account import SageMakerError, connect, dollars, explained
from newscloud.cleanup import PROJECT, inventory, remove

METADATA = Path("/opt/ml/metadata/resource-metadata.json")  # on SageMaker's own machines


def add_commands(subparsers) -> None:
    """Add `sagemaker` to the subparsers of `gpt2news`; `args.run(args)` returns its exit code."""
    about = "what this project has running at AWS, its removal, the app's address there"
    _add_parts(subparsers.add_parser("sagemaker", help=about))


def _add_parts(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("status", help="list what exists and what it costs an hour")
    cleanup = parts.add_parser("cleanup", help="remove it, after asking")
    cleanup.add_argument("--yes", action="store_true", help="do not ask")
    url = parts.add_parser("app-url", help="the app's address on a SageMaker notebook instance")
    url.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    watch = parts.add_parser("watch", help='remove NAME, unless "done" comes in: what jobs start')
    watch.add_argument("name")


def _run(args: argparse.Namespace) -> int:
    """The exit code: 0, 1 when clean-up was declined, 2 when AWS or the machine did not let us."""
    try:
        if args.part == "app-url":
            print(app_url(args.port))
        elif args.part == "watch":
            # An end of the input without "done": the process at its other end is no more.
            if sys.stdin.buffer.read() != b"done":
                remove(connect(), args.name)
        else:
            with explained():
                return _status(args)
    except SageMakerError as error:
        print(f"gpt2news sagemaker {args.part}: {error}", file=sys.stderr)
        return 2
    return 0


def app_url(port: int = 8501, metadata: Path = METADATA) -> str:
    """The browser address of an app on `port` of this SageMaker notebook instance or Studio space.

    Raises:
        SageMakerError: this machine is neither.
    """
    try:
        facts = json.loads(metadata.read_text(encoding="utf-8"))
        region = facts["ResourceArn"].split(":")[3]
        if "DomainId" in facts:
            host = f"{facts['DomainId']}.studio.{region}.sagemaker.aws/jupyterlab/default"
        else:
            host = f"{facts['ResourceName']}.notebook.{region}.sagemaker.aws"
    except (OSError, ValueError, LookupError, TypeError) as error:
        says = "this is not a SageMaker notebook instance or Studio space"
        raise SageMakerError(f"{says} ({metadata}: {error!r})") from error
    return f"https://{host}/proxy/{port}/"


def _status(args: argparse.Namespace) -> int:
    aws = connect()
    found = inventory(aws)
    for each in found:
        hourly = dollars(each.usd_per_hour)
        print(f"{each.kind:<16}{each.name:<48}{each.status:<12}{hourly} an hour")
    if aws.bucket:
        print(f"Files stay until `aws s3 rm --recursive s3://{aws.bucket}/{PROJECT}/`.")
    if not found:
        print(f"Nothing of this project exists in {aws.region} that could cost money.")
        return 0
    total = dollars(sum(each.usd_per_hour or 0 for each in found))
    unknown = any(each.usd_per_hour is None for each in found)
    more = " and what is not in our table" if unknown else ""
    print(f"{len(found)} in all in {aws.region}, {total} an hour{more}")
    if args.part == "status":
        return 0
    if not args.yes:
        if not sys.stdin.isatty():
            raise SageMakerError("nobody to ask here; say --yes to remove all of the above")
        if input(f"Remove {len(found)}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return 1
    for name in dict.fromkeys(each.name for each in found):
        remove(aws, name)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`python -m newscloud`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m newscloud", description=__doc__)
    _add_parts(parser)
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
