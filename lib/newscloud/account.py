"""Who calls, with which role and bucket, what an hour costs, and what is missing before it costs.

Keys stay where boto3 finds them; they are never read here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

# The two of AWS's ready-made images that this project uses.
TRAINING_IMAGE = "pytorch:2.13-cu133-amzn2023-sagemaker"
SERVING_IMAGE = "huggingface-pytorch-inference:2.6.0-transformers5.5.3-cpu-py312-ubuntu22.04"
DATED = "us-east-1, prices as seen in November 2026"


def _table(name: str) -> dict[str, str]:
    """First column -> the rest of the line; sources and dates stand in the file's comments."""
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return dict(line.split(",", 1) for line in lines if not line.startswith("#"))


REGISTRIES = _table("regions.csv")  # region -> AWS's account for its ready images
WAYS_OUT = _table("errors.csv")  # AWS's error code, or the class of boto3's exception -> sentence
NOT_THERE = ("403", "404", "RepositoryNotFoundException")  # an answer, not a refusal to look
USD_PER_HOUR, GPUS = {}, {}  # by instance type
for _type, _facts in _table("instances.csv").items():
    _usd, _gpus = _facts.split(",")
    USD_PER_HOUR[_type], GPUS[_type] = float(_usd), int(_gpus)


class SageMakerError(RuntimeError):
    """AWS refused something, or a job or endpoint failed; the message has the way out."""

    def __init__(self, says: str):
        super().__init__(mask(says))


def aws_errors() -> tuple[type[Exception], ...]:
    """What boto3 raises, for an `except` clause."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError  # a proxy's page in AWS's place

    return BotoCoreError, ClientError, Boto3Error, ResponseParserError


def code_of(error: Exception) -> str:
    """AWS's code for a refusal, else the name of the exception's class."""
    # boto3 wraps a failed upload; what AWS said is in the exception underneath.
    for each in (error, error.__context__):
        if hasattr(each, "response"):
            return each.response["Error"]["Code"]
    return type(error).__name__


def explain(error: Exception) -> str:
    """What such an error says, in one masked line, and the way out where one is known."""
    says = getattr(error, "response", {}).get("Error", {}).get("Message") or str(error)
    code, says = code_of(error), mask(" ".join(says.split())).rstrip(".")
    return f"{code}: {says}. {WAYS_OUT.get(code, '')}".strip()


@contextmanager
def explained() -> Iterator[None]:
    """What boto3 raises inside the block comes out as a `SageMakerError`, with the way out."""
    try:
        yield
    except aws_errors() as error:
        raise SageMakerError(explain(error)) from error


@dataclass(frozen=True)
class Account:
    """Where, as whom and with which storage a job runs; role and bucket may be empty."""

    region: str
    role: str
    bucket: str
    client: Callable[[str], Any]  # "sagemaker" gives boto3's client of it, always the same one


def connect() -> Account:
    """Session and region as boto3 finds them, SAGEMAKER_ROLE, SAGEMAKER_BUCKET; asks AWS nothing.

    Raises:
        SageMakerError: boto3 is not installed, or the profile of AWS_PROFILE is not there.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        says = "boto3 is not installed: pip install 'gpt2-news[sagemaker]'"
        raise SageMakerError(says) from error
    with explained():
        session = boto3.Session()
    # An endpoint may answer for 60 seconds; a service that is not reached is given up sooner.
    retries = {"mode": "standard", "max_attempts": 4}
    config = Config(retries=retries, connect_timeout=10, read_timeout=70)
    client = lru_cache(partial(session.client, config=config))
    role, bucket = (os.environ.get(f"SAGEMAKER_{name}", "") for name in ("ROLE", "BUCKET"))
    return Account(session.region_name or "", role, bucket, client)


def image_uri(region: str, image: str) -> str:
    """The full address of one of AWS's ready images; one that names its registry stays as it is."""
    registry, slash, _ = image.partition("/")
    if slash and ("." in registry or ":" in registry):
        return image
    # In a region that is newer than the table, `preflight` says that the image is not there.
    account = REGISTRIES.get(region, REGISTRIES["us-east-1"])
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}/{image}"


def cost(instance: str, hours: float, count: int = 1) -> float | None:
    """US dollars, or None for an instance type that the table lacks."""
    return USD_PER_HOUR[instance] * count * hours if instance in USD_PER_HOUR else None


def dollars(amount: float | None) -> str:
    """`$1.23`, `$0.0004`, or that the price is not known."""
    if amount is None:
        return "price not in our table"
    return f"${amount:.2f}" if amount >= 0.01 or amount == 0 else f"${amount:.1g}"


def mask(text: str) -> str:
    """Account numbers shortened to their last four digits: reports are for strangers."""
    return re.sub(r"(?<!\d)\d{8}(\d{4})(?!\d)", r"…\1", text)


@dataclass(frozen=True)
class Check:
    """One point of `preflight`: `state` is "ok", "fix", or "not seen" if AWS let us not look."""

    point: str
    state: str
    says: str


def preflight(
    aws: Account,
    instance: str,
    image: str,
    usage: str = "training",
    count: int = 1,
    hours: float = 1,
) -> list[Check]:
    """Account, role, bucket, quota, image and cost, before money is spent.

    Args:
        instance: type such as ml.g5.xlarge; empty for a serverless endpoint.
        image: one of AWS's ready images, or the full address of your own.
        usage: training, spot or endpoint: their quotas are counted apart.
        count, hours: of the instances, at most.
    """
    checks = []
    looks = {
        "account": (_account,),
        "role": (_role,),
        "bucket": (_bucket,),
        "quota": (_quota, instance, usage, count),
        "image": (_image, image),
        "cost": (_cost, instance, hours, count),
    }
    for point, (look, *given) in looks.items():
        try:
            state, says = look(aws, *given)
        except aws_errors() as error:
            surely = point == "account" or code_of(error) in NOT_THERE
            state, says = "fix" if surely else "not seen", explain(error)
        checks.append(Check(point, state, mask(says)))
        if checks[0].state == "fix":  # without an account nothing can be seen
            break
    return checks


def require(checks: Iterable[Check]) -> None:
    """Stop here when a point has to be put right.

    Raises:
        SageMakerError: with each such point and what puts it right.
    """
    wrong = [f"{each.point}: {each.says}" for each in checks if each.state == "fix"]
    if wrong:
        raise SageMakerError("not started, nothing was spent. " + " | ".join(wrong))


# Each of these returns a Check's state and what it says; what boto3 raises is left to `preflight`.


def _account(aws: Account) -> tuple[str, str]:
    caller = aws.client("sts").get_caller_identity()
    return "ok", f"{caller['Account']} in {aws.region}"


def _role(aws: Account) -> tuple[str, str]:
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/\S+", aws.role):
        says = f"{aws.role!r} is not a full ARN" if aws.role else "none is set"
        how = "export SAGEMAKER_ROLE=arn:aws:iam::<account>:role/<name> (IAM console, Roles)"
        return "fix", f"{says}. Give the full ARN of an execution role: {how}."
    caller = aws.client("sts").get_caller_identity()["Arn"]
    # Who is signed in through a role asks for that role, not for the session that it opened.
    source = re.sub(r":sts:(.*):assumed-role/([^/]+)/.*", r":iam:\1:role/\2", caller)
    asked = aws.client("iam").simulate_principal_policy(
        PolicySourceArn=source, ActionNames=["iam:PassRole"], ResourceArns=[aws.role]
    )
    if asked["EvaluationResults"][0]["EvalDecision"] != "allowed":
        return "fix", "you may not pass it on. Ask for a policy that allows iam:PassRole on it."
    return "ok", f"you may pass {aws.role} to SageMaker"


def _bucket(aws: Account) -> tuple[str, str]:
    if not aws.bucket:
        return "fix", f"none is set. {WAYS_OUT['404']}"
    found = aws.client("s3").head_bucket(Bucket=aws.bucket)
    there = found.get("BucketRegion") or aws.region
    if there != aws.region:
        says = f"{aws.bucket} is in {there}, the job would run in {aws.region}: "
        return "fix", f"{says}set AWS_DEFAULT_REGION={there}, or take another bucket."
    return "ok", f"{aws.bucket} in {there}"


def _quota(aws: Account, instance: str, usage: str, count: int) -> tuple[str, str]:
    if not instance:
        return "ok", "serverless: no instance is needed"
    use = {"training": "training job", "spot": "spot training job"}.get(usage, usage)
    wanted = f"{instance} for {use} usage"  # as Service Quotas names it
    pages = aws.client("service-quotas").get_paginator("list_service_quotas")
    found = pages.paginate(ServiceCode="sagemaker").search(f"Quotas[?QuotaName=='{wanted}'].Value")
    value = next(iter(found), None)
    if value is None:
        return "not seen", f"Service Quotas lists no '{wanted}'"
    if value >= count:
        return "ok", f"{wanted}: {value:.0f}"
    how = f"Ask for {count} or more in the Service Quotas console, or take another type."
    return "fix", f"{wanted}: {value:.0f}. {how}"


def _image(aws: Account, image: str) -> tuple[str, str]:
    registry, _, path = image_uri(aws.region, image).partition("/")
    if f".dkr.ecr.{aws.region}." not in registry:
        state = "fix" if ".dkr.ecr." in registry else "not seen"
        return state, f"{image} is in no registry of Amazon ECR in {aws.region}: push it there"
    repository, _, tag = path.partition(":")
    found = aws.client("ecr").batch_get_image(
        registryId=registry.partition(".")[0],
        repositoryName=repository,
        imageIds=[{"imageTag": tag or "latest"}],
    )
    if found["images"]:
        return "ok", path
    way_out = WAYS_OUT["RepositoryNotFoundException"]
    return "fix", f"there is no {path} in {aws.region}. {way_out}"


def _cost(aws: Account, instance: str, hours: float, count: int) -> tuple[str, str]:
    if not instance:
        return "ok", f"serverless: nothing when idle, a few cents for this chapter ({DATED})"
    hourly = cost(instance, 1, count)
    if hourly is None:
        return "not seen", f"{instance} is not in our table; see AWS's price list"
    says = f"at most {dollars(hourly * hours)}: {dollars(hourly)} an hour, {hours:.1f} h at most"
    return "ok", f"{says}; spot usually costs half or less ({DATED})"
