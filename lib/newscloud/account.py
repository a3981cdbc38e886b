"""Who is calling, with which role and bucket, and what an hour costs; keys stay where boto3 finds them and are never read here."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

PROJECT = "gpt2-news"
TAGS = [{"Key": "project", "Value": PROJECT}]
METADATA = Path(
    "/opt/ml/metadata/resource-metadata.json"
)  # on every SageMaker notebook instance and Studio space

# AWS's account for its ready-made images (most regions), and the two images that this project uses of it.
IMAGES_OF_AWS = "763104351884"
TRAINING_IMAGE = "pytorch:2.13-cu133-amzn2023-sagemaker"
SERVING_IMAGE = "huggingface-pytorch-inference:2.6.0-transformers5.5.3-cpu-py312-ubuntu22.04"

# US dollars an hour in us-east-1 and number of GPUs, from public price lists; where those differed, the higher. Other
# regions cost up to a third more. Look at https://aws.amazon.com/sagemaker/ai/pricing/ before a long run.
PRICES_SEEN = "November 2026"
INSTANCES: dict[str, tuple[float, int]] = {
    "ml.m5.large": (0.115, 0),
    "ml.m5.xlarge": (0.23, 0),
    "ml.m5.4xlarge": (0.922, 0),
    "ml.c5.xlarge": (0.204, 0),
    "ml.g4dn.xlarge": (0.736, 1),
    "ml.g4dn.12xlarge": (5.48, 4),
    "ml.g5.xlarge": (1.41, 1),
    "ml.g5.2xlarge": (1.69, 1),
    "ml.g5.12xlarge": (7.10, 4),
    "ml.g5.48xlarge": (20.36, 8),
}
SERVERLESS_GB_SECOND = 0.00002  # a serverless endpoint: per GB of its memory and second of answering; nothing when idle


class SageMakerError(RuntimeError):
    """AWS refused something, or a job or endpoint failed; the message says what, and the way out."""


@dataclass(frozen=True)
class Account:
    """What every call needs.

    Attributes:
        region, role, bucket: where, as whom and with which storage the job or endpoint runs; role and bucket may be empty.
        session: the `boto3.Session`.
    """

    region: str
    role: str
    bucket: str
    session: Any

    def client(self, service: str) -> Any:
        """A boto3 client, one a service."""
        return _client(self.session, service)


@lru_cache(maxsize=32)
def _client(session: Any, service: str) -> Any:
    from botocore.config import Config

    return session.client(
        service,
        config=Config(
            retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=70
        ),
    )


def connect(role: str = "", bucket: str = "") -> Account:
    """Find session, region, role and bucket; asks AWS nothing yet, `preflight` does.

    Args:
        role: ARN of the execution role; else the environment's `SAGEMAKER_ROLE`.
        bucket: name of an S3 bucket; else the environment's `SAGEMAKER_BUCKET`.

    Raises:
        SageMakerError: boto3 is not installed, or the profile that AWS_PROFILE names is not there.
    """
    try:
        import boto3
    except ImportError as error:
        raise SageMakerError(
            "boto3 is not installed: pip install 'gpt2-news[sagemaker]'"
        ) from error
    try:
        session = boto3.Session()
    except aws_errors() as error:
        raise SageMakerError(
            f"{error}. `aws configure list-profiles` shows the profiles of this machine."
        ) from error
    return Account(
        session.region_name or "",
        role or os.environ.get("SAGEMAKER_ROLE", ""),
        bucket or os.environ.get("SAGEMAKER_BUCKET", ""),
        session,
    )


def image_uri(region: str, image: str) -> str:
    """The full address of one of AWS's ready images; a full address (of an image of your own) stays as it is."""
    return (
        image if ".dkr.ecr." in image else f"{IMAGES_OF_AWS}.dkr.ecr.{region}.amazonaws.com/{image}"
    )


def new_name(run: str) -> str:
    """A name that AWS takes and that no earlier job has: gpt2-news-<run>-<date>-<time>-<four digits>."""
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", run).strip("-")[:24] or "run"
    return f"{PROJECT}-{plain}-{datetime.now(timezone.utc):%m%d-%H%M%S}-{uuid4().hex[:4]}"


def price(instance: str, count: int = 1) -> float | None:
    """US dollars an hour, or None for an instance type that the table lacks."""
    return INSTANCES[instance][0] * count if instance in INSTANCES else None


def dollars(amount: float | None) -> str:
    """`$1.23`, `$0.0004`, or that the price is not known."""
    if amount is None:
        return "price not in our table"
    return f"${amount:.2f}" if amount >= 0.01 or amount == 0 else f"${amount:.1g}"


def mask(text: str) -> str:
    """Account numbers shortened to their last four digits: reports are for strangers."""
    return re.sub(r"(?<!\d)\d{8}(\d{4})(?!\d)", r"…\1", text)


def aws_errors() -> tuple[type[Exception], ...]:
    """What boto3 raises, for an `except` clause; ResponseParserError is a proxy's page in AWS's place."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ClientError, Boto3Error, ResponseParserError


def reason(error: Exception) -> str:
    """What such an error says, in one masked line with its code."""
    details = getattr(error, "response", {}).get("Error", {})
    code, says = details.get("Code", type(error).__name__), details.get("Message") or str(error)
    return mask(f"{code}: {' '.join(says.split())}")


def app_url(port: int = 8501, metadata: Path = METADATA) -> str:
    """The browser address of an app that runs on `port` of this SageMaker notebook instance or Studio space.

    Raises:
        SageMakerError: the metadata file is not there (this machine is neither) or does not name the instance.
    """
    try:
        facts = json.loads(metadata.read_text(encoding="utf-8"))
        region = facts["ResourceArn"].split(":")[3]
        if "DomainId" in facts:
            return f"https://{facts['DomainId']}.studio.{region}.sagemaker.aws/jupyterlab/default/proxy/{port}/"
        return f"https://{facts['ResourceName']}.notebook.{region}.sagemaker.aws/proxy/{port}/"
    except OSError as error:
        raise SageMakerError(
            f"no {metadata}: this is not a SageMaker notebook instance or Studio space"
        ) from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise SageMakerError(
            f"{metadata} does not say which instance this is ({type(error).__name__}: {error})"
        ) from error
