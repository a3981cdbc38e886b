"""Chapter 05 at SageMaker: an endpoint that cannot outlive its block."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

from cloud.preflight import preflight, require  # noqa: F401
from newscloud.account import SERVING_IMAGE, Account, cost, explained, image_uri, tags
from newscloud.cleanup import PROJECT, guard, new_name
from newscloud.jobs import DEPLOY, LIBRARY, follow, pack

SERVED = ("__init__.py", "folder.py", "kind.py", "predictor.py", "messages.py")  # of newsserve
SERVERLESS = 0.00002  # US dollars for a second of answering with 1 GB of memory
MINUTES = 30.0  # that an endpoint may take to get healthy


@dataclass
class Endpoint:
    """An endpoint in service."""

    aws: Account
    name: str
    instance: str
    memory: int  # MB of a serverless one
    began: float  # `time.monotonic()` when it was asked for
    ready: float  # seconds until it was healthy
    calls: list[float] = field(default_factory=list)  # milliseconds of each

    def __call__(self, texts: str | list[str]) -> dict | list[dict]:
        """One text gives one answer, a list a list.

        Raises:
            SageMakerError: the endpoint refused or failed.
        """
        kind = "application/json"
        body = json.dumps({"text" if isinstance(texts, str) else "texts": texts})
        began = time.perf_counter()
        with explained():
            response = self.aws.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=self.name, ContentType=kind, Accept=kind, Body=body
            )
            raw = response["Body"].read()
        self.calls.append((time.perf_counter() - began) * 1000)
        return json.loads(raw)

    @property
    def timing(self) -> dict[str, float]:
        """`first_ms`, in which a serverless endpoint wakes up; `p50_ms` of the calls after it."""
        return {"first_ms": self.calls[0], "p50_ms": median(self.calls[1:] or self.calls)}

    @property
    def usd(self) -> float | None:
        """US dollars so far: of an instance since the request, else of the answers."""
        if self.instance:
            return cost(self.instance, (time.monotonic() - self.began) / 3600)
        return SERVERLESS * self.memory / 1024 * sum(self.calls) / 1000


@contextmanager
def endpoint(
    aws: Account,
    folder: Path,
    run: str,
    *,
    instance: str = "",
    image: str = SERVING_IMAGE,
    minutes: float = 120,
) -> Iterator[Endpoint]:
    """Model, configuration and endpoint for the length of a block; all three go at its end.

    Before it is made, AWS is told to delete it: what cannot be scheduled is not made.

    Args:
        folder: chapter 05's `onnx/`.
        run: goes into the endpoint's name.
        instance, image: as `preflight` takes them.
        minutes: after which AWS deletes the endpoint, should this machine be gone.

    Raises:
        SageMakerError: AWS refused, it did not get healthy, or could not be deleted.
    """
    name, began = new_name(run), time.monotonic()
    key = f"{PROJECT}/{name}/model/model.tar.gz"
    container = {
        "Image": image_uri(aws.region, image),
        "ModelDataUrl": f"s3://{aws.bucket}/{key}",
        "Environment": {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            "SAGEMAKER_REGION": aws.region,
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",  # each would load the model
        },
    }
    memory = 4096 if image == SERVING_IMAGE else 2048  # MB; AWS's image brings torch
    variant = {"VariantName": "all", "ModelName": name}
    if instance:
        variant |= {"InstanceType": instance, "InitialInstanceCount": 1}
    else:
        variant["ServerlessConfig"] = {"MemorySizeInMB": memory, "MaxConcurrency": 2}
    with explained(), guard(aws, name):
        with tempfile.TemporaryDirectory() as temporary:
            archive = pack_model(folder, Path(temporary, "model.tar.gz"))
            aws.client("s3").upload_file(str(archive), aws.bucket, key)
        delete_later(aws, name, minutes)
        sagemaker, ours = aws.client("sagemaker"), {"Tags": tags(aws)}
        sagemaker.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=aws.role, **ours
        )
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], **ours
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, **ours)
        follow(aws, "endpoint", name, MINUTES)
        yield Endpoint(aws, name, instance, memory, began, time.monotonic() - began)


def delete_later(aws: Account, name: str, minutes: float) -> None:
    """Have AWS delete the endpoint `name` in so many minutes, whatever becomes of this machine.

    The schedule (EventBridge Scheduler) runs once, with the role of the jobs, and is gone then.
    """
    at = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    partition = "aws-cn" if aws.region.startswith("cn-") else "aws"
    aws.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:sagemaker:deleteEndpoint",
            "RoleArn": aws.role,
            "Input": json.dumps({"EndpointName": name}),
        },
    )


def pack_model(folder: Path, out: Path) -> Path:
    """A model.tar.gz for our own image, and with hooks under code/ for AWS's ready one."""
    manifest = json.loads((folder / "serving.json").read_text(encoding="utf-8"))
    names = ["serving.json", manifest["model"], "tokenizer.json"]
    files = {name: folder / name for name in names}
    files["code/inference.py"] = DEPLOY / "inference.py"
    files["code/requirements.txt"] = DEPLOY / "requirements-inference.txt"
    for name in SERVED:
        files[f"code/newsserve/{name}"] = LIBRARY / "newsserve" / name
    return pack(out, files)
