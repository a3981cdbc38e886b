"""Chapter 03's training job: pack the library, upload the splits, submit, come back to it."""

import json
import tempfile
from pathlib import Path

from gpt2news.run import ROOT, Run
from newscloud import account
from newscloud.account import Account
from newscloud.cleanup import PROJECT, guard, new_name
from newscloud.jobs import DEPLOY, LIBRARY, fetch, pack

SUBMITTED = "job.json"  # in a run: the job that was started without waiting for it


def pack_source(out: Path) -> Path:
    """What the training container runs: train.py, its requirements, and our library."""
    files = {name: DEPLOY / name for name in ("train.py", "requirements.txt")}
    for package in ("gpt2news", "newsserve"):
        for path in sorted((LIBRARY / package).rglob("*.py")):
            files[path.relative_to(LIBRARY).as_posix()] = path
    return pack(out, files)


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
