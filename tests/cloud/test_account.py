"""Each thing that can be missing gives its own sentence, before any money is spent."""

import json
import re
import subprocess
import sys

import pytest
from aws_stand_in import refusal, refusal_in_xml

import newscloud
from cloud.preflight import preflight, require
from gpt2news.run import ROOT
from newscloud import TRAINING_IMAGE, SageMakerError, dollars
from newscloud.account import REGISTRIES, WAYS_OUT, connect, explain, image_uri, mask


def look(**changes) -> dict:
    wanted = {"instance": "ml.g4dn.xlarge", "image": TRAINING_IMAGE, "usage": "spot"} | changes
    return {check.point: check for check in preflight(connect(), **wanted)}


def test_all_in_place(cloud):
    checks = look()
    states = {point: check.state for point, check in checks.items()}
    assert {point for point, state in states.items() if state != "ok"} == {"image"}
    assert states["image"] == "not seen", "AWS is not asked for it, and refuses what is not there"
    assert checks["image"].says.endswith(f"amazonaws.com/{TRAINING_IMAGE}")
    assert list(checks) == ["account", "role", "bucket", "quota", "image", "cost"]
    require(checks.values())
    assert "$0.74 an hour" in checks["cost"].says
    assert "November 2026" in checks["cost"].says
    assert "123456789012" not in str(checks)
    assert "testing" not in str(checks)


def test_no_credentials(outside, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    check = look()["account"]
    assert (check.state, "aws configure" in check.says) == ("fix", True)
    assert not outside.calls


@pytest.mark.parametrize(
    ("code", "way_out"),
    [("ExpiredToken", "has expired: `aws sso login`"), ("InvalidClientTokenId", "`aws configure`")],
)
def test_credentials_that_aws_refuses(outside, code, way_out):
    outside.answers["GetCallerIdentity"] = lambda _: refusal_in_xml(code, "not these", 403)
    checks = look()
    assert list(checks) == ["account"]
    assert checks["account"].state == "fix"
    assert checks["account"].says.startswith(f"{code}: not these. ")
    assert way_out in checks["account"].says


def test_no_region(outside, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    check = look()["account"]
    assert (check.state, "AWS_DEFAULT_REGION" in check.says) == ("fix", True)


def test_a_profile_that_is_not_there(outside, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SageMakerError, match=r"nobody.*`aws configure list-profiles`"):
        connect()


def test_no_role(cloud, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_ROLE", "")
    check = look()["role"]
    assert check.state == "fix"
    assert "none is set" in check.says
    assert "export SAGEMAKER_ROLE=arn:aws:iam::" in check.says


def test_what_we_may_not_see_is_said_and_does_not_stop(cloud):
    cloud.answers["ListServiceQuotas"] = lambda _: refusal(
        "AccessDeniedException", "not for you", 403
    )
    checks = look()
    assert checks["quota"].says.startswith("AccessDeniedException: not for you. Let the policy")
    assert checks["quota"].state == "not seen"
    require(checks.values())


@pytest.mark.parametrize(
    ("bucket", "says"), [("", "none is set"), ("not-there", "404: Not Found. Make one: `aws s3 mb")]
)
def test_missing_bucket(cloud, monkeypatch, bucket, says):
    monkeypatch.setenv("SAGEMAKER_BUCKET", bucket)
    check = look()["bucket"]
    assert (check.state, check.says.startswith(says)) == ("fix", True)
    assert "aws s3 mb" in check.says


def test_a_bucket_of_another_region(cloud, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    check = look()["bucket"]
    assert check.state == "fix"
    assert "is in us-east-1, the job would run in eu-west-1" in check.says
    assert "AWS_DEFAULT_REGION=us-east-1" in check.says


def test_quota_0(cloud):
    cloud.answers["ListServiceQuotas"] = cloud.quota(
        "ml.g4dn.xlarge for spot training job usage", 0
    )
    check = look()["quota"]
    assert check.state == "fix"
    assert check.says.startswith("ml.g4dn.xlarge for spot training job usage: 0. Ask for 1 or more")
    assert "Service Quotas" in check.says


def test_a_quota_that_is_not_listed_is_no_reason_to_stop(cloud):
    assert look(usage="training")["quota"].state == "not seen"
    assert look(instance="")["quota"].state == "ok"


def test_each_region_has_its_registry():
    default = "763104351884"
    assert len(REGISTRIES) == 36
    assert sum(account == default for account in REGISTRIES.values()) == 16
    for region, account in REGISTRIES.items():
        assert len(account) == 12
        assert account.isdigit()
        domain = (
            "amazonaws.com.cn" if region in ("cn-north-1", "cn-northwest-1") else "amazonaws.com"
        )
        assert image_uri(region, "a:b") == f"{account}.dkr.ecr.{region}.{domain}/a:b"
    assert image_uri("cn-north-1", "a:b") == (
        "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/a:b"
    )


@pytest.mark.parametrize(
    "address",
    [
        "public.ecr.aws/mine/news:1",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1",
        "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/mine:1",
        "localhost:5000/mine",
    ],
)
def test_an_address_with_a_registry_stays_as_it_is(address):
    assert image_uri("us-east-1", address) == address


def test_an_instance_without_a_price_is_said(cloud):
    assert look(instance="ml.p9.large")["cost"].state == "not seen"


def test_require_says_every_fix_and_that_nothing_was_spent(cloud, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_ROLE", "")
    monkeypatch.setenv("SAGEMAKER_BUCKET", "")
    with pytest.raises(
        SageMakerError,
        match=r"nothing was spent\. role: .*full ARN.*\| bucket: none is set\. Make one",
    ):
        require(look().values())


def test_account_numbers_are_masked_and_amounts_are_readable():
    assert mask("arn:aws:iam::123456789012:role/x") == "arn:aws:iam::…9012:role/x"
    assert [dollars(0.0), dollars(1.234), dollars(0.000432), dollars(None)] == [
        "$0.00",
        "$1.23",
        "$0.0004",
        "price not in our table",
    ]


def test_each_known_error_has_a_sentence():
    """Every line of the table is found by what boto3 raises: AWS's code, or the class itself."""
    from botocore import exceptions

    for name, way_out in WAYS_OUT.items():
        error = exceptions.ClientError({"Error": {"Code": name, "Message": "no"}}, "Operation")
        assert explain(error) == f"{name}: no. {way_out}"
        assert way_out.endswith(".")
    own = {name for name in WAYS_OUT if name.endswith("Error") or name == "ProfileNotFound"}
    assert all(hasattr(exceptions, name) for name in own)
    assert "Sign in" in explain(exceptions.NoCredentialsError())
    assert explain(ValueError("a\n b")) == "ValueError: a b."


def test_nothing_heavy_is_loaded():
    """`gpt2news classify` and the guard's process import this package; boto3 comes when used."""
    code = (
        "import sys, newscloud.commands\n"
        "heavy = ('boto3', 'numpy', 'pandas', 'torch', 'papermill', 'yaml')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("chapter", ["03_finetune as newscloud", "05_deploy as sagemaker"])
def test_what_the_notebooks_call_is_there(chapter):
    file, _, name = chapter.partition(" as ")
    cells = json.loads((ROOT / "notebooks" / f"{file}.ipynb").read_text("utf-8"))["cells"]
    code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    called = set(re.findall(rf"\b{name}\.(\w+)", code))
    assert {"connect", "dollars"} <= called
    assert [each for each in called if not hasattr(newscloud, each)] == []
