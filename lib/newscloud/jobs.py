"""A training job: pack the library, upload the splits, submit, follow, fetch the model."""

import json
import math
import tarfile
import tempfile
import time
from pathlib import Path

from gpt2news.run import ROOT, Run, atomic
from newscloud import account
from newscloud.account import Account, SageMakerError
from newscloud.cleanup import PROJECT, call, guard, new_name

LIBRARY = Path(__file__).resolve().parents[1]  # the packages beside this one
DEPLOY = ROOT / "deploy" / "sagemaker"
LOGS = "/aws/sagemaker/TrainingJobs"
NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "training.json")
LARGEST = 8 * 10**9  # bytes that a model may unpack to; the largest GPT-2 takes 6
POLL = 15.0  # seconds from look to look
SUBMITTED = "job.json"  # in a run: the job that was started without waiting for it


def pack(out: Path, files: dict[str, Path]) -> Path:
    """Write `files` (name inside -> file) as a tar.gz."""
    # A file of a hub's cache is a link.
    with atomic(out) as part, tarfile.open(part, "w:gz", dereference=True) as tar:
        for name, path in files.items():
            tar.add(path, name)
    return out


def pack_source(out: Path) -> Path:
    """What the training container runs: train.py, its requirements, and our library."""
    files = {name: DEPLOY / name for name in ("train.py", "requirements.txt")}
    for package in ("gpt2news", "newsserve"):
        for path in sorted((LIBRARY / package).rglob("*.py")):
            files[path.relative_to(LIBRARY).as_posix()] = path
    return pack(out, files)


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
) -> dict:
    """The arguments of `create_training_job`; `channels` are folders of the job in the bucket."""
    here = f"s3://{aws.bucket}/{PROJECT}/{name}"
    parameters = settings | {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"{here}/source/sourcedir.tar.gz",
        "sagemaker_region": aws.region,
    }
    if instances > 1 or account.GPUS.get(instance, 0) > 1:
        parameters["sagemaker_torch_distributed_enabled"] = True  # torchrun, a process a GPU
    inputs = []
    for channel in channels:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"{here}/{channel}/"}
        inputs.append({"ChannelName": channel, "DataSource": {"S3DataSource": source}})
    limits = {"MaxRuntimeInSeconds": round(hours * 3600)}
    if spot:
        limits["MaxWaitTimeInSeconds"] = 2 * limits["MaxRuntimeInSeconds"]
    machine = {"InstanceType": instance, "InstanceCount": instances, "VolumeSizeInGB": 50}
    image = account.image_uri(aws.region, account.TRAINING_IMAGE)
    return {
        "TrainingJobName": name,
        "RoleArn": aws.role,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        # Each is JSON, as the container's toolkit reads it.
        "HyperParameters": {key: json.dumps(value) for key, value in parameters.items()},
        "InputDataConfig": inputs,
        "OutputDataConfig": {"S3OutputPath": f"{here}/output"},
        "ResourceConfig": machine,
        "StoppingCondition": limits,
        "EnableManagedSpotTraining": spot,
        "CheckpointConfig": {"S3Uri": f"{here}/checkpoints/", "LocalPath": "/opt/ml/checkpoints"},
        "Tags": account.tags(aws),
    }


def submit(aws: Account, run: Run, settings: dict, name: str = "", **machine) -> str:
    """Start a training job; returns its name. It ends by itself, after `hours` at most.

    The test part stays at home.

    Args:
        settings: the fields of a `finetune.Recipe`; a backbone that is a folder is uploaded.
        name: of the job; else a new one, which the run remembers until `train` comes back to it.
        machine: `instance` (a type), `instances` (how many), `hours` (at most), and `spot`: use
            spare capacity; it is cheaper, and an interrupted job goes on from its checkpoint.

    Raises:
        SageMakerError: AWS refused.
    """
    remember, name, channels = not name, name or new_name(run.name), ["train", "val"]
    uploads = {f"{part}/{part}.csv": run.path("splits", f"{part}.csv") for part in channels}
    # What is not set is left to the job; a folder of this machine means nothing there.
    settings = {key: value for key, value in settings.items() if value is not None}
    settings.pop("checkpoints", None)
    for folder in (Path(settings["backbone"]), ROOT / settings["backbone"]):
        if (folder / "config.json").exists():
            files = [path for path in folder.iterdir() if path.is_file()]
            uploads |= {f"backbone/{path.name}": path for path in files}
            channels.append("backbone")
            del settings["backbone"]
            break
    with account.explained(), tempfile.TemporaryDirectory() as temporary:
        wanted = request(aws, name, settings, channels, **machine)
        uploads["source/sourcedir.tar.gz"] = pack_source(Path(temporary, "sourcedir.tar.gz"))
        for key, path in uploads.items():
            aws.client("s3").upload_file(str(path), aws.bucket, f"{PROJECT}/{name}/{key}")
        place = account.mask(f"s3://{aws.bucket}/{PROJECT}/{name}/")
        print(f"uploaded {len(uploads)} files to {place}")
        aws.client("sagemaker").create_training_job(**wanted)
    if remember:
        run.write_json(SUBMITTED, {"name": name})
    return name


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


def train(aws: Account, run: Run, settings: dict, **machine) -> dict:
    """Fine-tune in a training job, or come back to the one that the run has submitted.

    Takes what `submit` takes, returns and raises what `fetch` does. Nothing is left running,
    however it ends, but for a submitted job when this end is interrupted.
    """
    note = run.path(SUBMITTED)
    if not note.exists():
        name = new_name(run.name)
        with guard(aws, name):
            return fetch(aws, run, submit(aws, run, settings, name, **machine))
    name = json.loads(note.read_text(encoding="utf-8"))["name"]
    print(f"coming back to {name}; for a new job delete {note.name}")
    training = fetch(aws, run, name)
    note.unlink()
    return training


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
