"""A training job: pack the library, upload the splits, start, follow, fetch the model into the folder that a local run fills."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from gpt2news.run import ROOT
from gpt2news.run import Run, atomic
from newscloud.account import (
    INSTANCES,
    PROJECT,
    TAGS,
    TRAINING_IMAGE,
    Account,
    SageMakerError,
    aws_errors,
    dollars,
    image_uri,
    mask,
    new_name,
    price,
    reason,
)
from newscloud.cleanup import guard

LOGS = "/aws/sagemaker/TrainingJobs"
NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "training.json")
LARGEST = 20 * 2**30  # bytes that a model.tar.gz may unpack to
PATIENCE = 40  # polls in a row that may go without an answer: a laptop's lid must not end a job


def pack(
    out: Path, files: dict[str, Path], modules: tuple[str, ...] = ("**/*.py",), prefix: str = ""
) -> Path:
    """Write a tar.gz of `files` (name inside -> file) and of the library's `modules`; the same content gives the same bytes."""
    library = Path(__file__).resolve().parents[1]
    found = sorted({path for pattern in modules for path in library.glob(pattern)})
    inside = files | {
        f"{prefix}gpt2news/{path.relative_to(library).as_posix()}": path for path in found
    }
    with (
        atomic(out) as part,
        part.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, path in inside.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)
    return out


def pack_source(out: Path) -> Path:
    """What the training container runs: deploy/sagemaker's train.py and requirements.txt, and this library."""
    return pack(
        out,
        {name: ROOT / "deploy" / "sagemaker" / name for name in ("train.py", "requirements.txt")},
    )


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a model.tar.gz into `folder`, whole or not at all.

    Raises:
        SageMakerError: it is not a tar.gz, has a link, a device or a path that leads out of the folder, or lacks a file of `NEEDED`.
    """
    try:
        with atomic(folder) as part, tarfile.open(archive, "r:gz") as tar:
            part.mkdir()
            room = LARGEST
            for member in tar:
                target, room = (part / member.name).resolve(), room - member.size
                if (
                    not (member.isfile() or member.isdir())
                    or not target.is_relative_to(part.resolve())
                    or room < 0
                ):
                    raise SageMakerError(
                        f"{archive.name}: {member.name!r} is a link, leads out of the folder or is too large"
                    )
                if member.isfile():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        shutil.copyfileobj(tar.extractfile(member), file)
            missing = [name for name in NEEDED if not (part / name).is_file()]
            if missing:
                raise SageMakerError(
                    f"{archive.name} has no {', '.join(missing)}: the job did not end with a whole model"
                )
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SageMakerError(
            f"{archive.name} cannot be unpacked ({type(error).__name__}: {error}); fetch it again"
        ) from error
    return folder


def request(
    aws: Account,
    name: str,
    settings: dict,
    *,
    instance: str,
    instances: int,
    spot: bool,
    hours: float,
    image: str,
    channels: list[str],
) -> dict:
    """The arguments of `create_training_job`.

    Each hyperparameter is JSON, as the container's toolkit reads it. torchrun starts one process a GPU when there is more than one.
    """
    here = f"s3://{aws.bucket}/{PROJECT}/{name}"
    many = instances > 1 or INSTANCES.get(instance, (0, 0))[1] > 1
    own = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"{here}/source/sourcedir.tar.gz",
        "sagemaker_region": aws.region,
        **({"sagemaker_torch_distributed_enabled": True} if many else {}),
    }
    source = lambda channel: {
        "S3DataType": "S3Prefix",
        "S3Uri": f"{here}/{channel}/",
        "S3DataDistributionType": "FullyReplicated",
    }  # noqa: E731
    seconds = round(hours * 3600)
    return {
        "TrainingJobName": name,
        "RoleArn": aws.role,
        "AlgorithmSpecification": {
            "TrainingImage": image_uri(aws.region, image),
            "TrainingInputMode": "File",
        },
        "HyperParameters": {key: json.dumps(value) for key, value in {**settings, **own}.items()},
        "InputDataConfig": [
            {"ChannelName": channel, "DataSource": {"S3DataSource": source(channel)}}
            for channel in channels
        ],
        "OutputDataConfig": {"S3OutputPath": f"{here}/output"},
        "ResourceConfig": {
            "InstanceType": instance,
            "InstanceCount": instances,
            "VolumeSizeInGB": 50,
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": seconds,
            **({"MaxWaitTimeInSeconds": 2 * seconds} if spot else {}),
        },
        "EnableManagedSpotTraining": spot,
        "CheckpointConfig": {"S3Uri": f"{here}/checkpoints/", "LocalPath": "/opt/ml/checkpoints"},
        "Tags": TAGS,
    }


def train(
    aws: Account, run: Run, settings: dict, *, instance: str, instances: int = 1, spot: bool = True, hours: float = 1.0,
    image: str = TRAINING_IMAGE, say=print, poll: float = 15,
) -> dict:  # fmt: skip
    """Fine-tune in a SageMaker training job; leaves the same `model/` folder as a local run. The test part stays at home.

    Args:
        settings: as `finetune.finetune` takes them; a backbone that is a folder is uploaded, a hub name is fetched by the job.
        instance, instances, hours: type, number, and how long at most.
        spot: use spare capacity: cheaper; an interrupted job goes on from its last checkpoint.

    Returns:
        What training.json holds, and `job`: name, instance, instances, spot, seconds billed, usd.

    Raises:
        SageMakerError: AWS refused the job, it failed, was stopped, or left no whole model. Nothing is left running.
    """
    name = new_name(run.name)
    uploads = {f"{part}/{part}.csv": run.path("splits", f"{part}.csv") for part in ("train", "val")}
    backbone = next(
        (
            f
            for f in (Path(settings["backbone"]), ROOT / settings["backbone"])
            if (f / "config.json").exists()
        ),
        None,
    )
    if backbone:
        uploads |= {f"backbone/{file.name}": file for file in backbone.iterdir() if file.is_file()}
        settings = {key: value for key, value in settings.items() if key != "backbone"}
    try:
        with tempfile.TemporaryDirectory() as folder:
            uploads["source/sourcedir.tar.gz"] = pack_source(Path(folder) / "sourcedir.tar.gz")
            for key, file in uploads.items():
                aws.client("s3").upload_file(str(file), aws.bucket, f"{PROJECT}/{name}/{key}")
        say(mask(f"uploaded {len(uploads)} files to s3://{aws.bucket}/{PROJECT}/{name}/"))
        channels = ["train", "val", *(["backbone"] if backbone else [])]
        machine = {
            "instance": instance,
            "instances": instances,
            "spot": spot,
            "hours": hours,
            "image": image,
        }
        wanted = request(aws, name, settings, channels=channels, **machine)
        with guard(aws, name, say):
            aws.client("sagemaker").create_training_job(**wanted)
            job = follow(aws, name, say, poll)
        with tempfile.TemporaryDirectory() as folder:
            unpack(
                _fetch(aws, job["ModelArtifacts"]["S3ModelArtifacts"], Path(folder)),
                run.path("model"),
            )
    except aws_errors() as error:
        raise explain(error, instance) from error
    seconds = job.get("BillableTimeInSeconds", 0)
    facts = {
        "name": name,
        "instance": instance,
        "instances": instances,
        "spot": spot,
        "seconds_billed": seconds,
        "usd": cost(job),
    }
    return {
        **json.loads(run.path("model", "training.json").read_text(encoding="utf-8")),
        "job": facts,
    }


def _fetch(aws: Account, uri: str, folder: Path) -> Path:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        aws.client("s3").download_file(bucket, key, str(folder / "model.tar.gz"))
    except aws_errors() as error:
        raise SageMakerError(
            mask(f"the job left no model that we can fetch at {uri} ({reason(error)})")
        ) from error
    return folder / "model.tar.gz"


def explain(error: Exception, instance: str) -> SageMakerError:
    """A botocore error with the way out, where it is a known one."""
    says = reason(error)
    if says.startswith("ResourceLimitExceeded"):
        says += f" A new account's quota for {instance} is often 0: ask for more in the Service Quotas console (Amazon SageMaker)."
    elif "AccessDenied" in says or "not authorized" in says:
        says += " Let the policy of the user or role that you are allow this call; deploy/sagemaker/README.md has one."
    return SageMakerError(says)


def follow(aws: Account, name: str, say=print, poll: float = 15) -> dict:
    """Show a training job's log and its cost so far until it ends; returns its last description.

    Raises:
        SageMakerError: it failed or was stopped; the message has its reason and the last lines of its log.
    """
    from botocore.exceptions import BotoCoreError

    stage, tokens, tail, told, misses = "", {}, [], time.monotonic(), 0
    while True:
        try:
            job = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
            lines = _new_lines(aws, name, tokens)
            misses = 0
        except BotoCoreError as error:  # no network, say
            misses += 1
            if misses > PATIENCE:
                raise
            say(f"no answer from AWS ({type(error).__name__}), trying again")
            time.sleep(poll)
            continue
        tail = [*tail, *lines][-12:]
        for line in lines:
            say(f"  | {line}")
        if job.get("SecondaryStatus", "") != stage or time.monotonic() - told > 60:
            stage, told = job.get("SecondaryStatus", ""), time.monotonic()
            say(f"{name}: {stage or job['TrainingJobStatus']}, about {dollars(cost(job))} so far")
        if job["TrainingJobStatus"] == "Completed":
            return job
        if job["TrainingJobStatus"] in ("Failed", "Stopped"):
            why = mask(job.get("FailureReason", "") or stage)
            hint = "It took longer than it may: raise the hours. " if "Exceeded" in stage else ""
            log = " / ".join(tail) or "none"
            ended = job["TrainingJobStatus"].lower()
            raise SageMakerError(
                f"training job {name} {ended}: {why}. {hint}Last lines of its log (CloudWatch, {LOGS}): {log}"
            )
        time.sleep(poll)


def _new_lines(aws: Account, name: str, tokens: dict) -> list[str]:
    from botocore.exceptions import ClientError

    logs, lines = aws.client("logs"), []
    try:
        streams = logs.describe_log_streams(logGroupName=LOGS, logStreamNamePrefix=f"{name}/")[
            "logStreams"
        ]
        for stream in (entry["logStreamName"] for entry in streams):
            more = {"nextToken": tokens[stream]} if stream in tokens else {}
            page = logs.get_log_events(
                logGroupName=LOGS, logStreamName=stream, startFromHead=True, **more
            )
            tokens[stream] = page["nextForwardToken"]
            lines += [event["message"].rstrip() for event in page["events"]]
    except ClientError:  # no log yet, or none that we may read; the job's state and failure reason come with its description
        return lines
    return lines


def cost(job: dict) -> float | None:
    """US dollars of a training job so far, from its description: billed seconds, while it runs those since training began."""
    used, began = job["ResourceConfig"], job.get("TrainingStartTime")
    seconds = job.get("BillableTimeInSeconds")
    if seconds is None:
        end = job.get("TrainingEndTime") or datetime.now(timezone.utc)
        seconds = (end - began).total_seconds() if began else 0
    an_hour = price(used["InstanceType"], used["InstanceCount"])
    return None if an_hour is None else an_hour * seconds / 3600
