"""An endpoint that cannot outlive its block, and a batch transform job for many texts."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gpt2news.run import atomic
from newscloud.account import (
    SERVING_IMAGE,
    Account,
    SageMakerError,
    cost,
    dollars,
    explained,
    image_uri,
)
from newscloud.cleanup import PROJECT, TAGS, guard, new_name
from newscloud.jobs import DEPLOY, LIBRARY, pack

SERVED = ("__init__.py", "files.py", "predictor.py", "messages.py")  # of newsserve
MEMORY_MB = 2048  # of a serverless endpoint
SERVERLESS_GB_SECOND = 0.00002  # US dollars per GB of memory and second of answering
POLL = 10.0  # seconds from look to look
MINUTES = 30.0  # that an endpoint or a batch job may take


@dataclass
class Endpoint:
    """An endpoint in service.

    Attributes:
        began: `time.monotonic()` when it was asked for.
        ready: seconds until it was healthy.
        calls: milliseconds of each call so far; a serverless endpoint wakes up in the first.
    """

    aws: Account
    name: str
    instance: str
    began: float
    ready: float
    calls: list[float] = field(default_factory=list)

    def __call__(self, texts: str | list[str]) -> dict | list[dict]:
        """One text gives one answer, a list a list, as our own server gives them.

        Raises:
            SageMakerError: the endpoint refused or failed; the message has what it said.
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
        try:
            return json.loads(raw)
        except ValueError as error:
            says = f"endpoint {self.name} did not answer in JSON: {raw[:80]!r}"
            raise SageMakerError(says) from error

    @property
    def timing(self) -> dict[str, float]:
        """`first_ms`, and `p50_ms` and `p95_ms` of the calls after the first."""
        import numpy as np

        p50, p95 = np.percentile(self.calls[1:] or self.calls, [50, 95])
        return {"first_ms": self.calls[0], "p50_ms": float(p50), "p95_ms": float(p95)}

    @property
    def usd(self) -> float | None:
        """US dollars so far: an instance costs since the request, a serverless one per answer."""
        if self.instance:
            return cost(self.instance, (time.monotonic() - self.began) / 3600)
        return SERVERLESS_GB_SECOND * MEMORY_MB / 1024 * sum(self.calls) / 1000


@contextmanager
def endpoint(
    aws: Account, folder: Path, run: str, *, instance: str = "", image: str = SERVING_IMAGE
) -> Iterator[Endpoint]:
    """Model, configuration and endpoint for the length of a block; all three go at its end.

    Args:
        folder: chapter 05's `onnx/`.
        run: goes into the endpoint's name.
        instance: type such as ml.m5.large; empty for a serverless endpoint.
        image: one of AWS's ready images, or the full address of your own.

    Raises:
        SageMakerError: AWS refused, it did not get healthy, or (worst) it could not be deleted.
    """
    sagemaker, began = aws.client("sagemaker"), time.monotonic()
    with _model(aws, folder, run, image) as name:
        variant = {"VariantName": "all", "ModelName": name}
        if instance:
            variant |= {"InstanceType": instance, "InitialInstanceCount": 1}
        else:
            variant["ServerlessConfig"] = {"MemorySizeInMB": MEMORY_MB, "MaxConcurrency": 2}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], Tags=TAGS
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=TAGS)
        print(f"endpoint {name}: made; it takes some minutes to get healthy")
        _wait(aws, "endpoint_in_service", EndpointName=name)
        yield Endpoint(aws, name, instance, began, time.monotonic() - began)


def transform(
    aws: Account,
    folder: Path,
    run: str,
    texts: list[str],
    out: Path,
    *,
    instance: str = "ml.m5.large",
    image: str = SERVING_IMAGE,
) -> dict:
    """Answer many texts in a batch transform job; its instance lives for the job only.

    A line of JSON a text goes up, a line an answer comes back, in the same order, into `out`.

    Returns:
        `texts`, `seconds`, `usd`.

    Raises:
        SageMakerError: AWS refused, the job failed, or the answers are not as many as the texts.
    """
    sagemaker, s3, lines = aws.client("sagemaker"), aws.client("s3"), "application/jsonlines"
    body = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    with _model(aws, folder, run, image) as name:
        here = f"{PROJECT}/{name}/transform"
        s3.put_object(Bucket=aws.bucket, Key=f"{here}/in/texts.jsonl", Body=body.encode())
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/{here}/in/"}
        target = {"S3OutputPath": f"s3://{aws.bucket}/{here}/out/", "AssembleWith": "Line"}
        source = {"DataSource": {"S3DataSource": source}, "SplitType": "Line"}
        sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=name,
            BatchStrategy="SingleRecord",
            MaxConcurrentTransforms=4,
            TransformInput=source | {"ContentType": lines},
            TransformOutput=target | {"Accept": lines},
            TransformResources={"InstanceType": instance, "InstanceCount": 1},
            Tags=TAGS,
        )
        print(f"transform job {name}: made; it takes some minutes to start")
        _wait(aws, "transform_job_completed_or_stopped", TransformJobName=name)
        job = sagemaker.describe_transform_job(TransformJobName=name)
        with atomic(out) as part:
            s3.download_file(aws.bucket, f"{here}/out/texts.jsonl.out", str(part))
            found = sum(bool(line.strip()) for line in part.open(encoding="utf-8"))
            if found != len(texts):
                says = f"transform job {name}: {found} answers to {len(texts)} texts"
                raise SageMakerError(says)
    seconds = (job["TransformEndTime"] - job["TransformStartTime"]).total_seconds()
    usd = cost(instance, seconds / 3600)
    print(f"{name}: {len(texts)} texts in {seconds:.0f} s, {dollars(usd)}; nothing of it is left")
    return {"texts": len(texts), "seconds": seconds, "usd": usd}


@contextmanager
def _model(aws: Account, folder: Path, run: str, image: str) -> Iterator[str]:
    """A model at SageMaker for the length of a block; it goes with all else of its name."""
    name = new_name(run)
    key = f"{PROJECT}/{name}/model/model.tar.gz"
    hooks = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_REGION": aws.region,
    }
    container = {"Image": image_uri(aws.region, image), "Environment": hooks}
    container["ModelDataUrl"] = f"s3://{aws.bucket}/{key}"
    with explained(), guard(aws, name):
        with tempfile.TemporaryDirectory() as temporary:
            archive = pack_model(folder, Path(temporary, "model.tar.gz"))
            aws.client("s3").upload_file(str(archive), aws.bucket, key)
        aws.client("sagemaker").create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=aws.role, Tags=TAGS
        )
        yield name


def pack_model(folder: Path, out: Path) -> Path:
    """A model.tar.gz of chapter 05's `onnx/`, for both kinds of container.

    At its top what a `Predictor` reads, for our own image; under code/ the hooks and the part of
    the library that they need, for AWS's ready image.
    """
    manifest = json.loads((folder / "serving.json").read_text(encoding="utf-8"))
    names = ["serving.json", manifest["model"], "tokenizer.json"]
    files = {name: folder / name for name in names}
    files["code/inference.py"] = DEPLOY / "inference.py"
    files["code/requirements.txt"] = DEPLOY / "requirements-inference.txt"
    for name in SERVED:
        files[f"code/newsserve/{name}"] = LIBRARY / "newsserve" / name
    return pack(out, files)


def _wait(aws: Account, waiter: str, **name: str) -> None:
    """Return when boto3's waiter does; what it raises gets a reason, and where the log is."""
    from botocore.exceptions import WaiterError

    tries = {"Delay": POLL, "MaxAttempts": round(MINUTES * 60 / POLL)}
    try:
        aws.client("sagemaker").get_waiter(waiter).wait(WaiterConfig=tries, **name)
    except WaiterError as error:
        last = error.last_response
        status = last.get("EndpointStatus") or last.get("TransformJobStatus")
        if status is None:  # AWS refused to describe it
            raise
        why = last.get("FailureReason", f"still {status} after {MINUTES:.0f} minutes")
        says = f"{' '.join(name.values())}: {why}. Its log: CloudWatch, group /aws/sagemaker/"
        raise SageMakerError(says) from error
