"""Nothing left running: what exists, its removal, and a guard that removes it."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from newscloud.account import Account, SageMakerError, aws_errors, explain, tags

PROJECT = "gpt2-news"
# kind -> the verb that ends it, in the order in which they must go: AWS wants no configuration
# deleted under an endpoint.
KINDS = {
    "training job": "stop",
    "endpoint": "delete",
    "endpoint config": "delete",
    "model": "delete",
}
LONGEST = 1800.0  # seconds; an endpoint cannot be deleted before it is up or has failed


@dataclass(frozen=True)
class Resource:
    """Something of this project at SageMaker."""

    kind: str
    name: str
    status: str


def new_name(run: str) -> str:
    """A name that no earlier job has: gpt2-news-<run>-<date>-<time>-<four digits>."""
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", run).strip("-")[:24] or "run"
    return f"{PROJECT}-{plain}-{time.strftime('%m%d-%H%M%S')}-{uuid4().hex[:4]}"


def _key(kind: str) -> str:
    return kind.title().replace(" ", "")  # as AWS's keys begin: EndpointConfig


def call(aws: Account, verb: str, kind: str, name: str) -> dict:
    """`call(aws, "stop", "training job", name)` is `stop_training_job(TrainingJobName=name)`."""
    operation = getattr(aws.client("sagemaker"), f"{verb}_{kind.replace(' ', '_')}")
    return operation(**{f"{_key(kind)}Name": name})


def inventory(aws: Account, name: str = PROJECT, everyone: bool = False) -> list[Resource]:
    """Jobs that run, endpoints, configurations and models with `name` in theirs and our tags.

    `everyone`: also what others made with this project in the same account.
    """
    sagemaker, wanted = aws.client("sagemaker"), tags(aws)[: 1 if everyone else 2]
    found = []
    for kind in KINDS:
        key = _key(kind)
        listed = f"{key}Summaries" if kind == "training job" else f"{key}s"
        pages = sagemaker.get_paginator(f"list_{kind.replace(' ', '_')}s")
        for entry in pages.paginate(NameContains=name).search(f"{listed}[]"):
            status, arn = entry.get(f"{key}Status", ""), entry[f"{key}Arn"]
            # A job that has ended costs nothing and cannot be removed.
            if kind == "training job" and status not in ("InProgress", "Stopping"):
                continue
            carried = sagemaker.list_tags(ResourceArn=arn)["Tags"]
            if all(tag in carried for tag in wanted):
                found.append(Resource(kind, entry[f"{key}Name"], status))
    return found


def by_hand(aws: Account, found: list[Resource]) -> str:
    """The commands that remove what was found."""
    lines = []
    for each in found:
        kind = each.kind.replace(" ", "-")
        what = f"{KINDS[each.kind]}-{kind} --{kind}-name {each.name}"
        lines.append(f"  aws sagemaker {what} --region {aws.region}")
    return "\n".join(lines)


def remove(aws: Account, name: str, everyone: bool = False) -> None:
    """Stop or delete all that is called `name`; returns when AWS lists nothing of it any more.

    Raises:
        SageMakerError: something is left after `LONGEST` seconds, or the sign-in has expired;
            with the commands that remove it.
    """
    deadline, pause, refused = time.monotonic() + LONGEST, 0, ""
    left = [Resource(kind, name, "") for kind in KINDS]
    while time.monotonic() < deadline and "has expired" not in refused:
        try:
            left = [each for each in inventory(aws, name, everyone) if each.name == name]
            if not left:
                with suppress(*aws_errors()):  # it would find nothing to delete
                    aws.client("scheduler").delete_schedule(Name=name)
                print(f"{name}: nothing of it is left running")
                return
            # One kind at a time; what goes already is waited for.
            kind = left[0].kind
            if left[0].status not in ("Stopping", "Deleting"):
                call(aws, KINDS[kind], kind, name)
                print(f"{kind} {name}: {KINDS[kind]} asked for")
                pause = 0
        except aws_errors() as error:
            # No network, or an endpoint that is still being made: neither ends the removal.
            if explain(error) != refused:
                refused = explain(error)
                print(f"{name}: {refused}; trying again")
        time.sleep(pause)
        pause = min(pause + 1, 15)
    why = refused or "it is still there"
    way_out = "Run `gpt2news sagemaker cleanup`, delete it in SageMaker's console, or say"
    says = f"{name} is NOT removed, and may cost money ({why}). {way_out}"
    raise SageMakerError(f"{says}\n{by_hand(aws, left)}")


@contextmanager
def guard(aws: Account, name: str) -> Iterator[None]:
    """Whatever is called `name` is removed when the block ends: by its end, an error, an interrupt.

    A small process beside this one does the same should this one be killed, as a kernel is when a
    cell takes too long. Raises what `remove` raises.
    """
    watch = subprocess.Popen(
        [sys.executable, "-m", "newsreport", "sagemaker", "watch", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],  # where -m finds this package
        start_new_session=True,  # an interrupt from the keyboard does not reach it
    )
    try:
        yield
    finally:
        try:
            remove(aws, name)
            watch.communicate(b"done")
        finally:
            watch.stdin.close()  # without "done" the other process goes on removing
