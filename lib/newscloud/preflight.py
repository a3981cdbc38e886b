"""Before money is spent: what is in place, what is not, and the sentence that puts each missing thing right."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from newscloud.account import (
    PRICES_SEEN,
    Account,
    SageMakerError,
    aws_errors,
    dollars,
    image_uri,
    mask,
    price,
    reason,
)

# Quota names as Service Quotas has them: training, spot training, endpoints and transform jobs are counted apart.
USAGES = {
    "training": "training job usage",
    "spot": "spot training job usage",
    "endpoint": "endpoint usage",
    "transform": "transform job usage",
}


@dataclass(frozen=True)
class Check:
    """One point. `state` is "ok", "fix" (the run would fail) or "not seen" (AWS did not let us look; the run may still work)."""

    point: str
    state: str
    says: str
    fix: str = ""


def preflight(
    aws: Account,
    instance: str,
    image: str,
    usage: str = "training",
    count: int = 1,
    hours: float = 1.0,
) -> list[Check]:
    """Credentials, region, role, bucket, quota, image and cost; the first two must hold before the others are asked.

    Args:
        instance: type such as ml.g5.xlarge; empty for a serverless endpoint.
        image: one of AWS's ready images, or the full address of your own.
        usage: what the instances are for: a key of `USAGES`.
        count, hours: how many instances, and for how long at most.
    """
    if not aws.region:
        return [
            Check(
                "region",
                "fix",
                "none is set",
                "Set one: export AWS_DEFAULT_REGION=us-east-1, or run `aws configure`.",
            )
        ]
    try:
        caller = aws.client("sts").get_caller_identity()
    except aws_errors() as error:
        fix = "Sign in: `aws configure sso` or `aws configure`; inside SageMaker the instance's role does it. Keys never go into a notebook."
        return [Check("region", "ok", aws.region), Check("credentials", "fix", reason(error), fix)]
    checks = [
        Check("region", "ok", aws.region),
        Check("credentials", "ok", mask(f"account {caller['Account']}")),
    ]
    points = [
        ("role", lambda: _role(aws, caller["Arn"])),
        ("bucket", lambda: _bucket(aws)),
        ("quota", lambda: _quota(aws, instance, usage, count)),
        ("image", lambda: _image(aws, image)),
    ]
    for point, look in points:
        try:
            checks.append(look())
        except aws_errors() as error:
            checks.append(Check(point, "not seen", reason(error)))
    return [*checks, _cost(instance, usage, count, hours)]


def require(checks: list[Check]) -> None:
    """Stop here when a point has to be put right.

    Raises:
        SageMakerError: with each such point and its fix.
    """
    wrong = [
        f"{check.point}: {check.says}. {check.fix}" for check in checks if check.state == "fix"
    ]
    if wrong:
        raise SageMakerError("not started, nothing was spent. " + " | ".join(wrong))


def _role(aws: Account, caller: str) -> Check:
    from botocore.exceptions import ClientError

    how = "Give the full ARN of an execution role: export SAGEMAKER_ROLE=arn:aws:iam::<account>:role/<name> (IAM console, Roles)."
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/\S+", aws.role):
        return Check(
            "role",
            "fix",
            f"{mask(aws.role)!r} is not a full ARN" if aws.role else "none is set",
            how,
        )
    iam, name = aws.client("iam"), aws.role.rsplit("/", 1)[1]
    try:
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return Check("role", "fix", f"there is no role {name} in this account", how)
        raise
    if "sagemaker.amazonaws.com" not in json.dumps(trust, default=str):
        fix = 'Add {"Service": "sagemaker.amazonaws.com"} to the principals of its trust relationship (IAM console, Roles).'
        return Check("role", "fix", f"SageMaker may not take on the role {name}", fix)
    assumed = re.fullmatch(r"(arn:aws[\w-]*):sts::(\d+):assumed-role/([^/]+)/.*", caller)
    source = f"{assumed[1]}:iam::{assumed[2]}:role/{assumed[3]}" if assumed else caller
    asked = iam.simulate_principal_policy(
        PolicySourceArn=source, ActionNames=["iam:PassRole"], ResourceArns=[aws.role]
    )
    if any(result["EvalDecision"] != "allowed" for result in asked["EvaluationResults"]):
        fix = "Ask for a policy that allows iam:PassRole on this role."
        return Check("role", "fix", f"you may not pass the role {name} to SageMaker", fix)
    return Check("role", "ok", f"{name} exists, SageMaker may take it on, you may pass it")


def _bucket(aws: Account) -> Check:
    from botocore.exceptions import ClientError

    how = f"Make one (`aws s3 mb s3://<name> --region {aws.region}`) and name it: export SAGEMAKER_BUCKET=<name>."
    if not aws.bucket:
        return Check("bucket", "fix", "none is set", how)
    try:
        found = aws.client("s3").head_bucket(Bucket=aws.bucket)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 403:
            return Check(
                "bucket",
                "fix",
                mask(f"you may not use {aws.bucket}"),
                "Take a bucket of your own account. " + how,
            )
        if status == 404:
            return Check("bucket", "fix", mask(f"there is no bucket {aws.bucket}"), how)
        raise
    there = found.get("BucketRegion") or aws.region
    if there != aws.region:
        fix = f"Job and bucket must share a region: set AWS_DEFAULT_REGION={there}, or take another bucket."
        return Check(
            "bucket",
            "fix",
            mask(f"{aws.bucket} is in {there}, the job would run in {aws.region}"),
            fix,
        )
    return Check("bucket", "ok", mask(f"{aws.bucket} in {there}"))


def _quota(aws: Account, instance: str, usage: str, count: int) -> Check:
    if not instance:
        return Check("quota", "ok", "serverless: no instance is needed")
    wanted = f"{instance} for {USAGES[usage]}"
    pages = (
        aws.client("service-quotas")
        .get_paginator("list_service_quotas")
        .paginate(ServiceCode="sagemaker")
    )
    value = next(
        (
            quota["Value"]
            for page in pages
            for quota in page["Quotas"]
            if quota["QuotaName"] == wanted
        ),
        None,
    )
    if value is None:
        return Check("quota", "not seen", f"Service Quotas lists no '{wanted}'")
    if value < count:
        fix = f"Ask for {count} or more (Service Quotas console, Amazon SageMaker, '{wanted}'), or take another type."
        return Check("quota", "fix", f"{wanted}: {value:.0f}", fix)
    return Check("quota", "ok", f"{wanted}: {value:.0f}")


def _image(aws: Account, image: str) -> Check:
    from botocore.exceptions import ClientError

    registry, name = image_uri(aws.region, image).split(".dkr.ecr.", 1)
    place, path = name.split("/", 1)
    repository, _, tag = path.partition(":")
    if not place.startswith(f"{aws.region}."):
        fix = f"Push it to the registry of {aws.region}, or set AWS_DEFAULT_REGION={place.split('.')[0]}."
        return Check(
            "image",
            "fix",
            f"{path} is in {place.split('.')[0]}, the job would run in {aws.region}",
            fix,
        )
    fix = "Take a tag from https://github.com/aws/deep-learning-containers (released images), or push your own image first."
    try:
        answer = aws.client("ecr").batch_get_image(
            registryId=registry, repositoryName=repository, imageIds=[{"imageTag": tag or "latest"}]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "RepositoryNotFoundException":
            return Check(
                "image", "fix", f"there is no repository {repository} in {aws.region}", fix
            )
        raise
    if not answer["images"]:
        return Check("image", "fix", f"there is no {path} in {aws.region}", fix)
    return Check("image", "ok", path)


def _cost(instance: str, usage: str, count: int, hours: float) -> Check:
    dated = f"us-east-1, prices as seen in {PRICES_SEEN}"
    if not instance:
        return Check(
            "cost",
            "ok",
            f"serverless: nothing when idle, a few cents for the calls of this chapter ({dated})",
        )
    an_hour = price(instance, count)
    if an_hour is None:
        return Check(
            "cost",
            "not seen",
            f"{instance} is not in our table",
            "See https://aws.amazon.com/sagemaker/ai/pricing/.",
        )
    spot = "; spot usually saves half or more of it" if usage == "spot" else ""
    return Check(
        "cost",
        "ok",
        f"at most {dollars(an_hour * hours)}: {dollars(an_hour)} an hour, {hours:.1f} h at most{spot} ({dated})",
    )
