"""A training job: pack the library, upload the splits, start, follow, fetch the model."""

from __future__ import annotations

import json
import tarfile
import tempfile
import time
from collections import deque
from datetime import datetime, timezone
from pathlib import Path

from gpt2news.run import ROOT, Run, atomic
from newscloud.account import (
    GPUS,
    TRAINING_IMAGE,
    Account,
    SageMakerError,
    aws_errors,
    cost,
    dollars,
    explain,
    explained,
    image_uri,
    mask,
)
from newscloud.cleanup import PROJECT, TAGS, guard, new_name

LIBRARY = Path(__file__).resolve().parents[1]  # the packages beside this one
DEPLOY = ROOT / "deploy" / "sagemaker"
LOGS = "/aws/sagemaker/TrainingJobs"
NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "training.json")
POLL = 15.0  # seconds from look to look
PATIENCE = 40  # looks in a row without an answer: a laptop's closed lid must not end a job


def pack(out: Path, files: dict[str, Path]) -> Path:
    """Write `files` (name inside -> file) as a tar.gz."""
    # A file of a hub's cache is a link; the archive holds what it leads to.
    with atomic(out) as part, tarfile.open(part, "w:gz", dereference=True) as tar:
        for name, path in files.items():
            tar.add(path, name)
    return out


def pack_source(out: Path) -> Path:
    """What the training container runs: train.py, its requirements, and what it imports of ours."""
    files = {name: DEPLOY / name for name in ("train.py", "requirements.txt")}
    for package in ("gpt2news", "newsserve"):
        for path in sorted((LIBRARY / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(LIBRARY).as_posix()] = path
    return pack(out, files)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a model.tar.gz into `folder`, whole or not at all.

    Raises:
        SageMakerError: it is no tar.gz, leads out of the folder, or holds no whole model.
    """
    try:
        with atomic(folder) as part, tarfile.open(archive, "r:gz") as tar:
            tar.extractall(part, filter="data")  # refuses what leads out of it
            missing = [name for name in NEEDED if not (part / name).is_file()]
            if missing:
                raise tarfile.TarError(f"it has no {', '.join(missing)}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SageMakerError(f"{archive.name} cannot be used: {error}") from error
    return folder


def request(
    aws: Account,
    name: str,
    settings: dict,
    channels: list[str],
    *,
    instance: str,
    instances: int = 1,
    spot: bool = True,
    hours: float = 1.0,
    image: str = TRAINING_IMAGE,
) -> dict:
    """The arguments of `create_training_job`.

    Args:
        settings: the fields of a `finetune.Recipe`, as hyperparameters.
        channels: what is under the job's folder in the bucket: train, val, perhaps backbone.
        instance, instances, hours: type, number, and how long at most.
        spot: use spare capacity: cheaper; an interrupted job goes on from its last checkpoint.
    """
    here = f"s3://{aws.bucket}/{PROJECT}/{name}"
    parameters = settings | {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"{here}/source/sourcedir.tar.gz",
        "sagemaker_region": aws.region,
    }
    if instances > 1 or GPUS.get(instance, 0) > 1:
        parameters["sagemaker_torch_distributed_enabled"] = True  # torchrun, a process a GPU
    inputs = []
    for channel in channels:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"{here}/{channel}/"}
        inputs.append({"ChannelName": channel, "DataSource": {"S3DataSource": source}})
    limits = {"MaxRuntimeInSeconds": round(hours * 3600)}
    if spot:
        limits["MaxWaitTimeInSeconds"] = 2 * limits["MaxRuntimeInSeconds"]
    machine = {"InstanceType": instance, "InstanceCount": instances, "VolumeSizeInGB": 50}
    container = {"TrainingImage": image_uri(aws.region, image), "TrainingInputMode": "File"}
    return {
        "TrainingJobName": name,
        "RoleArn": aws.role,
        "AlgorithmSpecification": container,
        # Each is JSON, as the container's toolkit reads it.
        "HyperParameters": {key: json.dumps(value) for key, value in parameters.items()},
        "InputDataConfig": inputs,
        "OutputDataConfig": {"S3OutputPath": f"{here}/output"},
        "ResourceConfig": machine,
        "StoppingCondition": limits,
        "EnableManagedSpotTraining": spot,
        "CheckpointConfig": {"S3Uri": f"{here}/checkpoints/", "LocalPath": "/opt/ml/checkpoints"},
        "Tags": TAGS,
    }


def train(aws: Account, run: Run, settings: dict, **machine) -> dict:
    """Fine-tune in a SageMaker training job; leaves the same `model/` folder as a local run.

    The test part stays at home. Nothing is left running, however it ends.

    Args:
        settings: the fields of a `finetune.Recipe`; a backbone that is a folder is uploaded, a hub
            name is fetched by the job.
        machine: `instance`, `instances`, `spot`, `hours`, `image`, as `request` takes them.

    Returns:
        What training.json holds, and `job`: its name, machine, seconds_billed and usd.

    Raises:
        SageMakerError: AWS refused the job, it failed, was stopped, or left no whole model.
    """
    name, channels = new_name(run.name), ["train", "val"]
    uploads = {f"{part}/{part}.csv": run.path("splits", f"{part}.csv") for part in channels}
    # What is not set is left to the job; a folder of this machine means nothing there.
    settings = {key: value for key, value in settings.items() if value is not None}
    settings.pop("checkpoints", None)
    for folder in (Path(settings["backbone"]), ROOT / settings["backbone"]):
        if (folder / "config.json").exists():
            uploads |= {
                f"backbone/{file.name}": file for file in folder.iterdir() if file.is_file()
            }
            channels.append("backbone")
            del settings["backbone"]
            break
    wanted = request(aws, name, settings, channels, **machine)
    with explained(), tempfile.TemporaryDirectory() as temporary:
        uploads["source/sourcedir.tar.gz"] = pack_source(Path(temporary, "sourcedir.tar.gz"))
        for key, file in uploads.items():
            aws.client("s3").upload_file(str(file), aws.bucket, f"{PROJECT}/{name}/{key}")
        print(mask(f"uploaded {len(uploads)} files to s3://{aws.bucket}/{PROJECT}/{name}/"))
        with guard(aws, name):
            aws.client("sagemaker").create_training_job(**wanted)
            job = follow(aws, name)
        archive, uri = Path(temporary, "model.tar.gz"), job["ModelArtifacts"]["S3ModelArtifacts"]
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            aws.client("s3").download_file(bucket, key, str(archive))
        except aws_errors() as error:
            says = f"the job left no model that we can fetch at {uri} ({explain(error)})"
            raise SageMakerError(says) from error
        unpack(archive, run.path("model"))
    facts = {"name": name, "instances": 1, "spot": True, **machine, "usd": cost_of(job)}
    facts["seconds_billed"] = job.get("BillableTimeInSeconds", 0)
    training = json.loads(run.path("model", "training.json").read_text(encoding="utf-8"))
    return training | {"job": facts}


def follow(aws: Account, name: str) -> dict:
    """Show a training job's log and its cost so far until it ends; returns its last description.

    AWS's own waiter would show neither.

    Raises:
        SageMakerError: it failed or was stopped, why, and the last lines of its log.
    """
    from botocore.exceptions import BotoCoreError

    stage, told, misses = "", time.monotonic(), 0
    seen, tail = set(), deque(maxlen=12)
    while True:
        try:
            job = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
            lines = _new_lines(aws, name, seen)
            misses = 0
        except BotoCoreError as error:  # no network, say
            misses += 1
            if misses > PATIENCE:
                raise
            print(f"no answer from AWS ({type(error).__name__}), trying again")
            time.sleep(POLL)
            continue
        tail.extend(lines)
        for line in lines:
            print(f"  | {line}")
        status = job["TrainingJobStatus"]
        if job.get("SecondaryStatus", status) != stage or time.monotonic() - told > 60:
            stage, told = job.get("SecondaryStatus", status), time.monotonic()
            print(f"{name}: {stage}, about {dollars(cost_of(job))} so far")
        if status == "Completed":
            return job
        if status in ("Failed", "Stopped"):
            why = job.get("FailureReason", stage)
            hint = "It took longer than it may: raise the hours. " if "Exceeded" in stage else ""
            raise SageMakerError(
                f"training job {name} {status.lower()}: {why}. {hint}Last lines of its log "
                f"(CloudWatch, {LOGS}): {' / '.join(tail) or 'none'}"
            )
        time.sleep(POLL)


def _new_lines(aws: Account, name: str, seen: set[str]) -> list[str]:
    """What the job's log has besides the events in `seen`, which grows."""
    from botocore.exceptions import ClientError

    pages = aws.client("logs").get_paginator("filter_log_events")
    lines = []
    try:
        for page in pages.paginate(logGroupName=LOGS, logStreamNamePrefix=f"{name}/"):
            new = [event for event in page["events"] if event["eventId"] not in seen]
            seen.update(event["eventId"] for event in new)
            lines += [event["message"].rstrip() for event in new]
    except ClientError:  # no log yet, or none that we may read: the job's description has the rest
        pass
    return lines


def cost_of(job: dict) -> float | None:
    """US dollars of a job so far: of its billed seconds; while it runs, of those since it began."""
    seconds = job.get("BillableTimeInSeconds")
    if seconds is None:
        end = job.get("TrainingEndTime") or datetime.now(timezone.utc)
        seconds = (end - job.get("TrainingStartTime", end)).total_seconds()
    used = job["ResourceConfig"]
    return cost(used["InstanceType"], seconds / 3600, used["InstanceCount"])
