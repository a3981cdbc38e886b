"""An endpoint that cannot outlive its block, and a batch transform job for large files."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gpt2news.run import ROOT
from gpt2news.run import atomic
from newscloud.account import (
    PROJECT,
    SERVERLESS_GB_SECOND,
    SERVING_IMAGE,
    TAGS,
    Account,
    SageMakerError,
    aws_errors,
    dollars,
    image_uri,
    mask,
    new_name,
    price,
)
from newscloud.cleanup import guard
from newscloud.jobs import explain, pack

SERVED = ("__init__.py", "serving/__init__.py", "serving/predictor.py", "serving/formats.py")


def pack_model(folder: Path, out: Path) -> Path:
    """A model.tar.gz for both kinds of container.

    At its top what `serving.Predictor` reads, for our own image; under code/ the hooks and the part of the library that they
    need, for AWS's ready image.

    Args:
        folder: chapter 05's `onnx/`.
    """
    manifest = json.loads((folder / "serving.json").read_text(encoding="utf-8"))
    names = [
        "serving.json",
        manifest["model"],
        "tokenizer.json",
        *(["README.md"] if (folder / "README.md").exists() else []),
    ]
    hooks = ROOT / "deploy" / "sagemaker"
    code = {
        "code/inference.py": hooks / "inference.py",
        "code/requirements.txt": hooks / "requirements-inference.txt",
    }
    return pack(out, {name: folder / name for name in names} | code, SERVED, "code/")


@dataclass
class Endpoint:
    """An endpoint in service.

    Attributes:
        ready: seconds from the request to the first healthy state.
        calls: milliseconds of each call so far; a serverless endpoint wakes up in the first.
    """

    aws: Account
    name: str
    instance: str
    memory_mb: int
    began: float
    ready: float
    calls: list[float] = field(default_factory=list)

    def __call__(self, texts: str | list[str]) -> dict | list[dict]:
        """One text gives one answer, a list a list, as our own server gives them.

        Raises:
            SageMakerError: the endpoint refused or failed; the message has what it said.
        """
        body, kind = (
            json.dumps({"text": texts} if isinstance(texts, str) else {"texts": texts}),
            "application/json",
        )
        began = time.perf_counter()
        try:
            runtime = self.aws.client("sagemaker-runtime")
            raw = runtime.invoke_endpoint(
                EndpointName=self.name, ContentType=kind, Accept=kind, Body=body
            )["Body"].read()
            answer = json.loads(raw)
        except aws_errors() as error:
            raise explain(error, self.instance) from error
        except ValueError as error:
            raise SageMakerError(
                f"endpoint {self.name} did not answer in JSON: {raw[:80]!r}"
            ) from error
        self.calls.append((time.perf_counter() - began) * 1000)
        return answer

    @property
    def timing(self) -> dict[str, float]:
        """`first_ms`, and `p50_ms` and `p95_ms` of the calls after the first."""
        p50, p95 = np.percentile(self.calls[1:] or self.calls, [50, 95])
        return {"first_ms": self.calls[0], "p50_ms": float(p50), "p95_ms": float(p95)}

    @property
    def usd(self) -> float | None:
        """US dollars so far: hours since the request on an instance; seconds of answering when serverless."""
        if self.instance:
            return (
                None
                if price(self.instance) is None
                else price(self.instance) * (time.monotonic() - self.began) / 3600
            )
        return SERVERLESS_GB_SECOND * self.memory_mb / 1024 * sum(self.calls) / 1000


def _make_model(aws: Account, name: str, folder: Path, image: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        archive, key = (
            pack_model(folder, Path(temporary) / "model.tar.gz"),
            f"{PROJECT}/{name}/model/model.tar.gz",
        )
        aws.client("s3").upload_file(str(archive), aws.bucket, key)
    hooks = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_REGION": aws.region,
    }
    container = {
        "Image": image_uri(aws.region, image),
        "ModelDataUrl": f"s3://{aws.bucket}/{key}",
        "Environment": hooks,
    }
    aws.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=aws.role, Tags=TAGS
    )


@contextmanager
def endpoint(
    aws: Account, folder: Path, run: str, *, instance: str = "", memory_mb: int = 2048, image: str = SERVING_IMAGE,
    minutes: float = 20, say=print, poll: float = 10,
) -> Iterator[Endpoint]:  # fmt: skip
    """Model, configuration and endpoint for the length of a block; all three are deleted at its end, whatever happens in it.

    Args:
        folder: chapter 05's `onnx/`.
        run: name of the run, for the endpoint's name.
        instance: type such as ml.m5.large; empty for a serverless endpoint of `memory_mb`.
        image: one of AWS's ready images, or the full address of your own.
        minutes: how long it may take to get healthy.

    Raises:
        SageMakerError: AWS refused, or the endpoint did not get healthy; or, worst, something could not be deleted.
    """
    name, sagemaker, began = new_name(run), aws.client("sagemaker"), time.monotonic()
    variant = {"VariantName": "all", "ModelName": name}
    if instance:
        variant |= {
            "InstanceType": instance,
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
        }
    else:
        variant["ServerlessConfig"] = {"MemorySizeInMB": memory_mb, "MaxConcurrency": 2}
    with guard(aws, name, say):
        try:
            _make_model(aws, name, folder, image)
            sagemaker.create_endpoint_config(
                EndpointConfigName=name, ProductionVariants=[variant], Tags=TAGS
            )
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=TAGS)
            _wait(
                lambda: sagemaker.describe_endpoint(EndpointName=name),
                f"endpoint {name}",
                "EndpointStatus",
                minutes,
                say,
                poll,
            )
        except aws_errors() as error:
            raise explain(error, instance) from error
        yield Endpoint(aws, name, instance, memory_mb, began, time.monotonic() - began)


def _wait(describe, what: str, key: str, minutes: float, say, poll: float) -> dict:
    """The description once it says InService or Completed."""
    began = told = time.monotonic()
    say(f"{what}: made, waiting for it")
    while True:
        state = describe()
        if state[key] in ("InService", "Completed"):
            return state
        spent = time.monotonic() - began
        if state[key] in ("Failed", "Stopped"):
            why = mask(state.get("FailureReason", "no reason given"))
            raise SageMakerError(
                f"{what} failed after {spent:.0f} s: {why}. Its log is in CloudWatch, group /aws/sagemaker/."
            )
        if spent > minutes * 60:
            log = "look into its log in CloudWatch, group /aws/sagemaker/"
            raise SageMakerError(
                f"{what} is still {state[key]} after {spent / 60:.1f} minutes; {log}"
            )
        if time.monotonic() - told > 60:
            told = time.monotonic()
            say(f"{what}: {state[key]}, {spent:.0f} s")
        time.sleep(poll)


def transform(
    aws: Account, folder: Path, run: str, texts: list[str], out: Path, *, instance: str = "ml.m5.large", image: str = SERVING_IMAGE,
    minutes: float = 60, say=print, poll: float = 15,
) -> dict:  # fmt: skip
    """Answer many texts in a batch transform job; its instance lives for the job only.

    A line of JSON a text goes up, a line of JSON an answer comes back, in the same order, into `out`.

    Returns:
        `texts`, `seconds`, `usd`.

    Raises:
        SageMakerError: AWS refused, the job failed, or the answers are not as many as the texts.
    """
    name, sagemaker, s3, lines = (
        new_name(run),
        aws.client("sagemaker"),
        aws.client("s3"),
        "application/jsonlines",
    )
    here = f"{PROJECT}/{name}/transform"
    source = {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/{here}/in/"}
        }
    }
    try:
        with guard(aws, name, say):
            body = "".join(json.dumps({"text": text}) + "\n" for text in texts)
            s3.put_object(Bucket=aws.bucket, Key=f"{here}/in/texts.jsonl", Body=body.encode())
            _make_model(aws, name, folder, image)
            sagemaker.create_transform_job(
                TransformJobName=name, ModelName=name, BatchStrategy="SingleRecord", MaxConcurrentTransforms=4, MaxPayloadInMB=1,
                TransformInput={**source, "ContentType": lines, "SplitType": "Line"},
                TransformOutput={"S3OutputPath": f"s3://{aws.bucket}/{here}/out/", "Accept": lines, "AssembleWith": "Line"},
                TransformResources={"InstanceType": instance, "InstanceCount": 1}, Tags=TAGS,
            )  # fmt: skip
            job = lambda: sagemaker.describe_transform_job(TransformJobName=name)  # noqa: E731
            state = _wait(job, f"transform job {name}", "TransformJobStatus", minutes, say, poll)
            with atomic(out) as part:
                s3.download_file(aws.bucket, f"{here}/out/texts.jsonl.out", str(part))
                found = sum(bool(line.strip()) for line in part.open(encoding="utf-8"))
                if found != len(texts):
                    raise SageMakerError(
                        f"transform job {name}: {found} answers to {len(texts)} texts"
                    )
    except aws_errors() as error:
        raise explain(error, instance) from error
    seconds = (state["TransformEndTime"] - state["TransformStartTime"]).total_seconds()
    an_hour = price(instance)
    usd = None if an_hour is None else an_hour * seconds / 3600
    say(
        f"{name}: {len(texts)} texts in {seconds:.0f} s, {dollars(usd)}; AWS lists no job and no model of it"
    )
    return {"texts": len(texts), "seconds": seconds, "usd": usd}
