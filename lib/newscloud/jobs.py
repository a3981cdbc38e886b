"""A job: pack files, follow it, fetch its model. notebooks/cloud/training.py starts one."""

import json
import math
import tarfile
import tempfile
import time
from pathlib import Path

from gpt2news.run import ROOT, Run, atomic
from newscloud import account
from newscloud.account import Account, SageMakerError
from newscloud.cleanup import call

LIBRARY = Path(__file__).resolve().parents[1]  # the packages beside this one
DEPLOY = ROOT / "deploy" / "sagemaker"
LOGS = "/aws/sagemaker/TrainingJobs"
NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "training.json")
LARGEST = 8 * 10**9  # bytes that a model may unpack to; the largest GPT-2 takes 6
POLL = 15.0  # seconds from look to look


def pack(out: Path, files: dict[str, Path]) -> Path:
    """Write `files` (name inside -> file) as a tar.gz."""
    # A file of a hub's cache is a link.
    with atomic(out) as part, tarfile.open(part, "w:gz", dereference=True) as tar:
        for name, path in files.items():
            tar.add(path, name)
    return out


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a model.tar.gz into `folder`, whole or not at all.

    Raises:
        SageMakerError: no tar.gz, leads out of the folder, too large, or no whole model.
    """
    try:
        with atomic(folder) as part, tarfile.open(archive, "r:gz") as tar:
            _check_size(tar)
            tar.extractall(part, filter="data")  # refuses what leads out, and devices
            missing = [name for name in NEEDED if not (part / name).is_file()]
            if missing:
                raise tarfile.TarError(f"it has no {', '.join(missing)}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SageMakerError(f"{archive.name} cannot be used: {error}") from error


def _check_size(tar: tarfile.TarFile) -> None:
    # Headers only: what is too large is refused before anything is written.
    size = 0
    for member in tar:
        size += member.size
        if size > LARGEST:
            raise tarfile.TarError(f"it unpacks to more than {LARGEST:,} bytes")


def fetch(aws: Account, run: Run, name: str) -> dict:
    """Wait for a job, and leave the same `model/` folder as a local run.

    Returns:
        What training.json holds, and `job`: its name, machine, seconds_billed and usd.

    Raises:
        SageMakerError: AWS refused, the job failed, was stopped, or left no whole model.
    """
    with account.explained(), tempfile.TemporaryDirectory() as temporary:
        job = follow(aws, "training job", name)
        uri, archive = job["ModelArtifacts"]["S3ModelArtifacts"], Path(temporary, "model.tar.gz")
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        with account.explained(f"the job left no model that we can fetch at {uri}: "):
            aws.client("s3").download_file(bucket, key, str(archive))
        unpack(archive, run.path("model"))
    machine, seconds = job["ResourceConfig"], job.get("BillableTimeInSeconds", 0)
    facts = {"name": name, "instance": machine["InstanceType"]}
    facts |= {"instances": machine["InstanceCount"], "spot": job["EnableManagedSpotTraining"]}
    usd = account.cost(facts["instance"], seconds / 3600, facts["instances"])
    training = json.loads(run.path("model", "training.json").read_text(encoding="utf-8"))
    return training | {"job": {**facts, "seconds_billed": seconds, "usd": usd}}


def follow(aws: Account, kind: str, name: str, minutes: float = math.inf) -> dict:
    """Wait for a training job or an endpoint; returns AWS's last description of it.

    Shows its stages and a job's log.

    Raises:
        SageMakerError: it failed, was stopped, or is late; with the last lines of a job's log.
    """
    from botocore.exceptions import BotoCoreError

    deadline = time.monotonic() + minutes * 60
    stage, log, shown = "", [], 0
    while True:
        time.sleep(POLL)
        try:
            found = call(aws, "describe", kind, name)
            if kind == "training job":
                log = _log(aws, name) or log
        except BotoCoreError as error:  # a laptop's closed lid must not end a job
            print(f"no answer from AWS, trying again: {account.explain(error)}")
            continue
        for line in log[shown:]:
            print(f"  | {line}")
        shown = len(log)
        status = found.get("TrainingJobStatus") or found["EndpointStatus"]
        before, stage = stage, found.get("SecondaryStatus", status)
        if stage != before:
            print(f"{name}: {stage}")
        if status in ("Completed", "InService"):
            return found
        if status in ("Failed", "Stopped"):
            why = f"{found.get('FailureReason', stage)}. {account.WAYS_OUT.get(stage, '')}"
        elif time.monotonic() > deadline:
            why = f"still {status} after {minutes:.0f} minutes."
        else:
            continue
        last = " / ".join(log[-12:]) or "see CloudWatch, log groups, /aws/sagemaker/"
        raise SageMakerError(f"{kind} {name} {status.lower()}: {why} Its log: {last}")


def _log(aws: Account, name: str) -> list[str]:
    pages = aws.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=LOGS, logStreamNamePrefix=f"{name}/").search("events[]")
    try:
        return [account.mask(event["message"].rstrip()) for event in found]
    except account.aws_errors():  # no log yet, or none that we may read
        return []
