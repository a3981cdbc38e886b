"""Nothing left running: what exists and what it costs, its removal, and a guard that removes it however a block ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newscloud.account import PROJECT, TAGS, Account, SageMakerError, aws_errors, price, reason

# kind -> list call, its answer's key, prefix of the name's key, call that ends it. In the order in which they must go:
# AWS wants no configuration deleted under an endpoint, and no model under a job.
KINDS = {
    "training job": (
        "list_training_jobs",
        "TrainingJobSummaries",
        "TrainingJob",
        "stop_training_job",
    ),
    "transform job": (
        "list_transform_jobs",
        "TransformJobSummaries",
        "TransformJob",
        "stop_transform_job",
    ),
    "endpoint": ("list_endpoints", "Endpoints", "Endpoint", "delete_endpoint"),
    "endpoint config": (
        "list_endpoint_configs",
        "EndpointConfigs",
        "EndpointConfig",
        "delete_endpoint_config",
    ),
    "model": ("list_models", "Models", "Model", "delete_model"),
}
GOING = ("Stopping", "Deleting")
LONGEST = 1800.0  # seconds; an endpoint that is still being made cannot be deleted before it is up or has failed
# Waits for "done"; an end of the pipe without it means that the process at its other end is no more.
BESIDE = """
import sys
if sys.stdin.buffer.read() != b"done":
    from newscloud import connect, remove
    remove(connect(), sys.argv[1])
"""


@dataclass(frozen=True)
class Thing:
    """Something of this project that exists at SageMaker; `an_hour` in US dollars, None when the price is not known."""

    kind: str
    name: str
    status: str
    an_hour: float | None


def inventory(aws: Account, name: str = PROJECT) -> list[Thing]:
    """Jobs that run, endpoints, configurations and models whose name holds `name` and that are tagged project=gpt2-news.

    Raises:
        what `account.aws_errors` lists: AWS does not answer, or not to us.
    """
    sagemaker = aws.client("sagemaker")
    found = []
    for kind, (call, key, prefix, _) in KINDS.items():
        wanted = (
            [{"StatusEquals": status} for status in ("InProgress", "Stopping")]
            if kind.endswith("job")
            else [{}]
        )
        for page in (
            page
            for more in wanted
            for page in sagemaker.get_paginator(call).paginate(NameContains=name, **more)
        ):
            for entry in (entry for entry in page[key] if name in entry[f"{prefix}Name"]):
                tags = sagemaker.list_tags(ResourceArn=entry[f"{prefix}Arn"])["Tags"]
                if TAGS[0] in tags:
                    status = entry.get(f"{prefix}Status", "")
                    found.append(
                        Thing(
                            kind,
                            entry[f"{prefix}Name"],
                            status,
                            _an_hour(sagemaker, kind, entry[f"{prefix}Name"]),
                        )
                    )
    return found


def _an_hour(sagemaker, kind: str, name: str) -> float | None:
    if kind == "training job":
        used = sagemaker.describe_training_job(TrainingJobName=name)["ResourceConfig"]
        return price(used["InstanceType"], used["InstanceCount"])
    if kind == "transform job":
        used = sagemaker.describe_transform_job(TransformJobName=name)["TransformResources"]
        return price(used["InstanceType"], used["InstanceCount"])
    if kind != "endpoint":
        return 0.0
    config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    costs = [
        price(v["InstanceType"], v["InitialInstanceCount"]) if v.get("InstanceType") else 0.0
        for v in variants
    ]
    return None if None in costs else sum(costs)


def remove(aws: Account, name: str, say=print) -> None:
    """Stop the jobs and delete endpoint, configuration and model called `name`; returns when AWS lists none of them.

    Raises:
        SageMakerError: something is left after `LONGEST` seconds; the message has the commands that remove it.
    """
    deadline, pause, left, refused, asked = time.monotonic() + LONGEST, 0.0, None, "", 0
    while True:
        before = asked
        try:
            left = [thing for thing in inventory(aws, name) if thing.name == name]
            if not left:
                if asked:
                    say(f"{name}: removed, AWS lists nothing of it any more")
                return
            for thing in left:
                if thing.kind == left[0].kind and thing.status not in GOING:
                    _, _, prefix, call = KINDS[thing.kind]
                    getattr(aws.client("sagemaker"), call)(**{f"{prefix}Name": thing.name})
                    asked += 1
                    say(f"{thing.kind} {thing.name}: {call.split('_')[0]} asked for")
        except aws_errors() as error:
            if reason(error) != refused:
                refused = reason(error)
                say(f"{name}: {refused}; trying again")
        if time.monotonic() > deadline:
            why = refused or "it is still there"
            raise SageMakerError(
                f"{name} is NOT removed, and may cost money ({why}). Run: {_commands(left, name)}"
            )
        pause = 0.0 if asked > before else min(pause + 1, 15)
        time.sleep(pause)


def _commands(left: list[Thing] | None, name: str) -> str:
    kinds = [thing.kind for thing in left] if left else ["training job", "endpoint"]
    return "; ".join(
        f"aws sagemaker {KINDS[k][3].replace('_', '-')} --{k.replace(' ', '-')}-name {name}"
        for k in kinds
    )


@contextmanager
def guard(aws: Account, name: str, say=print) -> Iterator[None]:
    """Whatever is called `name` is removed when the block ends: by its end, an exception or an interrupt.

    A small process waits beside this one and does the same should this one be killed, as a notebook's kernel is when a cell
    takes longer than it may.

    Raises:
        SageMakerError: see `remove`.
    """
    path = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])
    )
    environment = {**os.environ, "AWS_DEFAULT_REGION": aws.region, "PYTHONPATH": path}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-c", BESIDE, name]
    beside = subprocess.Popen(
        command, stdin=subprocess.PIPE, start_new_session=True, env=environment, **quiet
    )
    try:
        yield
    finally:
        try:
            remove(aws, name, say=say)
            beside.communicate(b"done")
        finally:
            beside.stdin.close()  # without "done" the other process goes on removing


def files(aws: Account, delete: bool = False) -> tuple[int, int]:
    """Number and bytes of this project's objects in the bucket; they are deleted when asked."""
    count = size = 0
    s3 = aws.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=aws.bucket, Prefix=f"{PROJECT}/"
    ):
        entries = page.get("Contents", [])
        count, size = count + len(entries), size + sum(entry["Size"] for entry in entries)
        if delete and entries:
            s3.delete_objects(
                Bucket=aws.bucket,
                Delete={"Objects": [{"Key": entry["Key"]} for entry in entries], "Quiet": True},
            )
    return count, size
