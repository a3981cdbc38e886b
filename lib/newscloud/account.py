"""Who calls, with which role and bucket, and at what price.

Keys stay where boto3 finds them; they are never read here.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

# AWS's ready images.
TRAINING_IMAGE = "pytorch:2.13-cu133-amzn2023-sagemaker"
SERVING_IMAGE = "huggingface-pytorch-inference:2.6.0-transformers5.5.3-cpu-py312-ubuntu22.04"


def _table(name: str) -> dict[str, str]:
    """First column -> the rest of the line."""
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return dict(line.split(",", 1) for line in lines if not line.startswith("#"))


REGISTRIES = _table("regions.csv")  # region -> AWS's account for its ready images
WAYS_OUT = _table("errors.csv")  # AWS's error code, or the class of boto3's exception -> sentence
USD_PER_HOUR, GPUS = {}, {}  # by instance type
for _type, _facts in _table("instances.csv").items():
    _usd, _gpus = _facts.split(",")
    USD_PER_HOUR[_type], GPUS[_type] = float(_usd), int(_gpus)


class SageMakerError(RuntimeError):
    """AWS refused, or a job or endpoint failed; the message has the way out."""

    def __init__(self, says: str):
        super().__init__(mask(says))


def aws_errors() -> tuple[type[Exception], ...]:
    """What boto3 raises, for an `except` clause."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError  # a proxy's page in AWS's place

    return BotoCoreError, ClientError, Boto3Error, ResponseParserError


def explain(error: Exception) -> str:
    """The error in one masked line, and the way out where one is known."""
    code, says = type(error).__name__, str(error)
    # boto3 wraps a failed upload; what AWS said is in the exception underneath.
    for each in (error, error.__context__):
        if hasattr(each, "response"):
            refusal = each.response["Error"]
            code, says = refusal["Code"], refusal.get("Message") or says
            break
    says = mask(" ".join(says.split())).rstrip(".")
    return f"{code}: {says}. {WAYS_OUT.get(code, '')}".strip()


@contextmanager
def explained(before: str = "") -> Iterator[None]:
    """What boto3 raises in the block comes out as a `SageMakerError` that begins with `before`."""
    try:
        yield
    except aws_errors() as error:
        raise SageMakerError(before + explain(error)) from error


@dataclass(frozen=True)
class Account:
    """Where and as whom we work; role and bucket may be empty."""

    region: str
    role: str
    bucket: str
    client: Callable  # "sagemaker" gives boto3's client of it, always the same one


def connect(region: str = "") -> Account:
    """Session and, where none is named, region as boto3 finds them, SAGEMAKER_ROLE, _BUCKET.

    Raises:
        SageMakerError: boto3 is not installed, or AWS_PROFILE names no profile.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        says = "boto3 is not installed: pip install 'gpt2-news[sagemaker]'"
        raise SageMakerError(says) from error
    with explained():
        session = boto3.Session(region_name=region or None)
    client = lru_cache(partial(session.client, config=Config(connect_timeout=10)))
    role, bucket = os.environ.get("SAGEMAKER_ROLE", ""), os.environ.get("SAGEMAKER_BUCKET", "")
    return Account(session.region_name or "", role, bucket, client)


def everywhere() -> list[Account]:
    """An account for each region that may hold something of ours; the usual one first."""
    here = connect()
    china = here.region.startswith("cn-")
    others = [name for name in REGISTRIES if name.startswith("cn-") == china]
    return [here, *(connect(name) for name in others if name != here.region)]


@lru_cache
def tags(aws: Account) -> list[dict[str, str]]:
    """What all that we make carries: the project, and who made it (a user, a role's session)."""
    arn = aws.client("sts").get_caller_identity()["Arn"]
    who = re.split("[/:]", arn)[-1]
    return [{"Key": "project", "Value": "gpt2-news"}, {"Key": "owner", "Value": who}]


def image_uri(region: str, image: str) -> str:
    """The address of one of AWS's ready images; a whole address stays as it is."""
    if "/" in image:
        return image
    # In a region that is newer than the table, AWS refuses this address.
    account = REGISTRIES.get(region, REGISTRIES["us-east-1"])
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}/{image}"


def cost(instance: str, hours: float, count: int = 1) -> float | None:
    """US dollars, or None for a type that the table lacks."""
    return USD_PER_HOUR[instance] * count * hours if instance in USD_PER_HOUR else None


def dollars(amount: float | None) -> str:
    """`$1.23`, `$0.0004`, or that no price is known."""
    if amount is None:
        return "price not in our table"
    return f"${amount:.2f}" if amount >= 0.01 or amount == 0 else f"${amount:.1g}"


def mask(text: str) -> str:
    """Account numbers cut to four digits: reports are for strangers."""
    return re.sub(r"(?<!\d)\d{8}(\d{4})(?!\d)", r"…\1", text)
