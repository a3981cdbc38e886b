"""`gpt2news sagemaker submit`, `status`, `fetch` and `cleanup`."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from gpt2news.run import Run, companion
from newscloud import account, jobs
from newscloud.account import Account, SageMakerError, aws_errors, connect, explained
from newscloud.cleanup import PROJECT, Resource, call, inventory, remove


def add_commands(subparsers) -> None:
    """Add `sagemaker` to the subparsers of `gpt2news`; `args.run(args)` returns its exit code."""
    parser = subparsers.add_parser("sagemaker", help="jobs at AWS, what runs there, its removal")
    parser.set_defaults(run=_run)
    parts = parser.add_subparsers(dest="part", required=True)
    submit = parts.add_parser("submit", help="start chapter 03's training job, without waiting")
    status = parts.add_parser("status", help="list what exists, in all regions; or one job")
    status.add_argument("job", nargs="?")
    fetch = parts.add_parser("fetch", help="wait for a job, bring its model into the run")
    fetch.add_argument("job")
    cleanup = parts.add_parser("cleanup", help="remove what exists, after asking")
    cleanup.add_argument("--yes", action="store_true", help="do not ask")
    for part in (submit, fetch):
        part.add_argument("--report", default="sagemaker", help="of reports/ (%(default)s)")
    for part in (status, cleanup):
        part.add_argument("--everyone", action="store_true", help="also what others made")
    watch = parts.add_parser("watch", help='remove NAME unless "done" comes in')
    watch.add_argument("name")


def _run(args: argparse.Namespace) -> int:
    """The exit code: 0, 1 when clean-up was declined, 2 when AWS or the machine refused."""
    try:
        if args.part == "submit":
            companion("cloud", "03_finetune").submit(Run(args.report))
        elif args.part == "fetch":
            model = jobs.fetch(connect(), Run(args.report), args.job)
            print(f"{model['job']}\nNext: gpt2news report --profile {args.report}")
        elif args.part == "watch":
            # An end of the input without "done": the process at its other end is no more.
            if sys.stdin.buffer.read() != b"done":
                remove(connect(), args.name)
        elif args.part == "status" and args.job:
            with explained():
                job = call(connect(), "describe", "training job", args.job)
            print(f"{args.job}: {job['TrainingJobStatus']} ({job['SecondaryStatus']})")
        else:
            return _status(args)
    except SageMakerError as error:
        print(f"gpt2news sagemaker {args.part}: {error}", file=sys.stderr)
        return 2
    return 0


def _look(aws: Account, everyone: bool) -> list[tuple[Account, Resource]]:
    return [(aws, each) for each in inventory(aws, everyone=everyone)]


def _elsewhere(aws: Account, everyone: bool) -> list[tuple[Account, Resource]]:
    try:
        return _look(aws, everyone)
    except aws_errors():  # a region that this account has not switched on
        return []


def _status(args: argparse.Namespace) -> int:
    here, *others = account.everywhere()
    with explained():
        found = _look(here, args.everyone)
    with ThreadPoolExecutor(12) as pool:
        for more in pool.map(_elsewhere, others, [args.everyone] * len(others)):
            found += more
    for aws, each in found:
        print(f"{each.kind:<16}{each.name:<48}{each.status:<12}{aws.region}")
    if here.bucket:
        print(f"Files stay until `aws s3 rm --recursive s3://{here.bucket}/{PROJECT}/`.")
    if not found:
        print("Nothing of yours exists, in any region.")
    if args.part == "status" or not found:
        return 0
    if not args.yes:
        if not sys.stdin.isatty():
            raise SageMakerError("nobody to ask here: say --yes to remove them")
        if input(f"Remove {len(found)}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return 1
    for aws, name in dict.fromkeys((aws, each.name) for aws, each in found):
        remove(aws, name, args.everyone)
    return 0
