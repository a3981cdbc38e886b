"""What is missing at AWS before it costs: account, role, bucket, quota, image and price.

Chapters 03 and 05 show it, and `gpt2news sagemaker submit` asks for it.
"""

from dataclasses import dataclass

from newscloud.account import (
    WAYS_OUT,
    Account,
    SageMakerError,
    aws_errors,
    cost,
    dollars,
    explain,
    image_uri,
    mask,
)


@dataclass(frozen=True)
class Check:
    """One point of `preflight`: `state` is ok, fix or not seen."""

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
        image: as `image_uri` takes it.
        usage: training, spot or endpoint, whose quotas are counted apart.
        count, hours: of the instances, at most.
    """
    try:
        caller = aws.client("sts").get_caller_identity()
    except aws_errors() as error:  # without an account nothing can be seen
        return [Check("account", "fix", explain(error))]
    found = {
        "account": ("ok", f"{caller['Account']} in {aws.region}"),
        "role": _role(aws),
        "bucket": _bucket(aws),
        "quota": _quota(aws, instance, usage, count),
        # AWS refuses at once an image or a role that is not there.
        "image": ("not seen", image_uri(aws.region, image)),
        "cost": _cost(instance, hours, count),
    }
    return [Check(point, state, mask(says)) for point, (state, says) in found.items()]


def require(checks: list[Check]) -> None:
    """Stop here when a point has to be put right.

    Raises:
        SageMakerError: with each such point.
    """
    wrong = [f"{each.point}: {each.says}" for each in checks if each.state == "fix"]
    if wrong:
        raise SageMakerError("not started, nothing was spent. " + " | ".join(wrong))


def _role(aws: Account) -> tuple[str, str]:
    if aws.role:
        return "ok", aws.role
    how = "export SAGEMAKER_ROLE=arn:aws:iam::<account>:role/<name>"
    return "fix", f"none is set. Give the full ARN of an execution role: {how}."


def _bucket(aws: Account) -> tuple[str, str]:
    if not aws.bucket:
        return "fix", f"none is set. {WAYS_OUT['404']}"
    try:
        found = aws.client("s3").head_bucket(Bucket=aws.bucket)
    except aws_errors() as error:
        return "fix", explain(error)
    there = found.get("BucketRegion") or aws.region
    if there == aws.region:
        return "ok", f"{aws.bucket} in {there}"
    says = f"{aws.bucket} is in {there}, the job would run in {aws.region}"
    return "fix", f"{says}: set AWS_DEFAULT_REGION={there}, or take another."


def _quota(aws: Account, instance: str, usage: str, count: int) -> tuple[str, str]:
    if not instance:
        return "ok", "serverless: no instance is needed"
    use = {"training": "training job", "spot": "spot training job"}.get(usage, usage)
    wanted = f"{instance} for {use} usage"  # as Service Quotas names it
    pages = aws.client("service-quotas").get_paginator("list_service_quotas")
    quotas = pages.paginate(ServiceCode="sagemaker")
    try:
        value = next(quotas.search(f"Quotas[?QuotaName=='{wanted}'].Value"), None)
    except aws_errors() as error:
        return "not seen", explain(error)
    if value is None:
        return "not seen", f"Service Quotas lists no '{wanted}'"
    if value >= count:
        return "ok", f"{wanted}: {value:.0f}"
    how = f"Ask for {count} or more in the Service Quotas console, or take another type."
    return "fix", f"{wanted}: {value:.0f}. {how}"


def _cost(instance: str, hours: float, count: int) -> tuple[str, str]:
    if not instance:
        return "ok", "serverless: nothing when idle, a few cents for this chapter"
    hourly = cost(instance, 1, count)
    if hourly is None:
        return "not seen", f"{instance}: {dollars(hourly)}"
    says = f"at most {dollars(hourly * hours)}: {dollars(hourly)} an hour, {hours:.1f} h"
    return "ok", f"{says} (us-east-1, November 2026)"
