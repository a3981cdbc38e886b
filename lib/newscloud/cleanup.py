"""Nothing left running: what exists and what it costs, its removal, and a guard that removes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

from newscloud.account import Account, SageMakerError, aws_errors, cost, explain

# By these all that we make is found again.
PROJECT = "gpt2-news"
TAGS = [{"Key": "project", "Value": PROJECT}]
# kind -> the verb that ends it, in the order in which they must go: AWS wants no configuration
# deleted under an endpoint, and no model under a job.
KINDS = {
    "training job": "stop",
    "transform job": "stop",
    "endpoint": "delete",
    "endpoint config": "delete",
    "model": "delete",
}
LONGEST = 1800.0  # seconds; an endpoint cannot be deleted before it is up or has failed


@dataclass(frozen=True)
class Resource:
    """Something of this project at SageMaker; `usd_per_hour` is None for an unknown price."""

    kind: str
    name: str
    status: str
    usd_per_hour: float | None


def new_name(run: str) -> str:
    """A name that no earlier job has: gpt2-news-<run>-<date>-<time>-<four digits>."""
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", run).strip("-")[:24] or "run"
    return f"{PROJECT}-{plain}-{datetime.now(timezone.utc):%m%d-%H%M%S}-{uuid4().hex[:4]}"


def _key(kind: str) -> str:
    return kind.title().replace(" ", "")  # as AWS's keys begin: EndpointConfig


def _call(aws: Account, verb: str, kind: str, name: str) -> dict:
    """`_call(aws, "stop", "training job", name)` is `stop_training_job(TrainingJobName=name)`."""
    operation = getattr(aws.client("sagemaker"), f"{verb}_{kind.replace(' ', '_')}")
    return operation(**{f"{_key(kind)}Name": name})


def inventory(aws: Account, name: str = PROJECT) -> list[Resource]:
    """Jobs that run, endpoints, configurations and models with `name` in theirs and our tag.

    Raises what `account.aws_errors` lists.
    """
    sagemaker = aws.client("sagemaker")
    found = []
    for kind in KINDS:
        key, filters, several = _key(kind), [{}], "s"
        if kind.endswith("job"):
            # A job that has ended costs nothing and cannot be removed.
            filters = [{"StatusEquals": status} for status in ("InProgress", "Stopping")]
            several = "Summaries"
        pages = sagemaker.get_paginator(f"list_{kind.replace(' ', '_')}s")
        for only in filters:
            for entry in pages.paginate(NameContains=name, **only).search(f"{key}{several}[]"):
                if TAGS[0] in sagemaker.list_tags(ResourceArn=entry[f"{key}Arn"])["Tags"]:
                    full, status = entry[f"{key}Name"], entry.get(f"{key}Status", "")
                    found.append(Resource(kind, full, status, _usd_per_hour(aws, kind, full)))
    return found


def _usd_per_hour(aws: Account, kind: str, name: str) -> float | None:
    if kind in ("endpoint config", "model"):
        return 0.0
    found = _call(aws, "describe", kind, name)
    if kind != "endpoint":
        used = found.get("ResourceConfig") or found["TransformResources"]
        return cost(used["InstanceType"], 1, used["InstanceCount"])
    config = _call(aws, "describe", "endpoint config", found["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]  # ours have one
    if "ServerlessConfig" in variant:
        return 0.0  # while it is idle
    return cost(variant["InstanceType"], 1, variant["InitialInstanceCount"])


def remove(aws: Account, name: str) -> None:
    """Stop or delete all that is called `name`; returns when AWS lists nothing of it any more.

    Raises:
        SageMakerError: something is left after `LONGEST` seconds; the message has the commands.
    """
    deadline, pause = time.monotonic() + LONGEST, 0
    left, refused, asked = [], "", False
    while True:
        pause = min(pause + 1, 15)
        try:
            left = [each for each in inventory(aws, name) if each.name == name]
            if not left:
                if asked:
                    print(f"{name}: removed, AWS lists nothing of it any more")
                return
            # One kind at a time; what goes already is waited for.
            kind, status = left[0].kind, left[0].status
            if status not in ("Stopping", "Deleting"):
                _call(aws, KINDS[kind], kind, name)
                print(f"{kind} {name}: {KINDS[kind]} asked for")
                asked, pause = True, 0
        except aws_errors() as error:
            # No network, or an endpoint that is still being made: neither ends the removal.
            if explain(error) != refused:
                refused = explain(error)
                print(f"{name}: {refused}; trying again")
        if time.monotonic() > deadline:
            break
        time.sleep(pause)
    commands = []
    # Where AWS never answered, the two that cost money.
    for kind in [each.kind for each in left] or ["training job", "endpoint"]:
        dashed = kind.replace(" ", "-")
        commands.append(f"aws sagemaker {KINDS[kind]}-{dashed} --{dashed}-name {name}")
    why, commands = refused or "it is still there", "; ".join(commands)
    raise SageMakerError(f"{name} is NOT removed, and may cost money ({why}). Run: {commands}")


@contextmanager
def guard(aws: Account, name: str) -> Iterator[None]:
    """Whatever is called `name` is removed when the block ends: by its end, an error, an interrupt.

    A small process waits beside this one (`python -m newscloud watch`) and does the same should
    this one be killed, as a notebook's kernel is when a cell takes longer than it may.

    Raises:
        SageMakerError: see `remove`.
    """
    paths = f"{Path(__file__).parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    watch = subprocess.Popen(
        [sys.executable, "-m", "newscloud", "watch", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"AWS_DEFAULT_REGION": aws.region, "PYTHONPATH": paths},
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
