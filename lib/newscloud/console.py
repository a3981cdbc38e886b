"""`gpt2news sagemaker status`, `cleanup` and `app-url`."""

from __future__ import annotations

import argparse
import sys

from newscloud.account import SageMakerError, app_url, aws_errors, connect, dollars, mask, reason
from newscloud.cleanup import files, inventory, remove


def main(args: argparse.Namespace) -> int:
    """Returns the exit code: 0, 1 when cleanup was declined, 2 when AWS or the machine did not let us."""
    try:
        if args.part == "app-url":
            print(app_url(args.port))
            return 0
        return _status_or_cleanup(args)
    except SageMakerError as error:
        print(f"gpt2news sagemaker {args.part}: {error}", file=sys.stderr)
    except Exception as error:
        if not isinstance(error, aws_errors()):
            raise
        fix = "Is a region set (AWS_DEFAULT_REGION) and are you signed in (aws configure)?"
        print(f"gpt2news sagemaker {args.part}: {reason(error)}. {fix}", file=sys.stderr)
    return 2


def _status_or_cleanup(args: argparse.Namespace) -> int:
    aws = connect()
    things = inventory(aws)
    count, size = files(aws) if aws.bucket else (0, 0)
    for thing in things:
        print(f"{thing.kind:<16}{thing.name:<48}{thing.status:<12}{dollars(thing.an_hour)} an hour")
    if things:
        known = sum(thing.an_hour or 0 for thing in things)
        unknown = (
            " and what is not in our table"
            if any(thing.an_hour is None for thing in things)
            else ""
        )
        print(f"{len(things)} in all in {aws.region}, {dollars(known)} an hour{unknown}")
    else:
        print(
            f"Nothing of this project exists in {aws.region}: no job that runs, no endpoint, no endpoint config, no model."
        )
    if aws.bucket:
        print(
            mask(
                f"s3://{aws.bucket}/gpt2-news/: {count} objects, {size / 1e6:.1f} MB, about {dollars(size / 1e9 * 0.023)} a month"
            )
        )
    wanted = count if args.part == "cleanup" and args.files else 0
    if args.part == "status" or not (things or wanted):
        return 0
    if not args.yes:
        if not sys.stdin.isatty():
            raise SageMakerError("nobody to ask here; say --yes to remove all of the above")
        what = " and ".join(
            [
                *([f"{len(things)} at SageMaker"] if things else []),
                *([f"{wanted} objects in S3"] if wanted else []),
            ]
        )
        if input(f"Remove {what}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return 1
    for name in dict.fromkeys(thing.name for thing in things):
        remove(aws, name)
    if wanted:
        files(aws, delete=True)
        print(f"{wanted} objects deleted")
    return 0
