"""Each thing that can be missing gives its own sentence, before any money is spent."""

import json
import re

import pytest
from aws_stand_in import client, refusal_in_xml

import newscloud as sagemaker
from newscloud.account import TRAINING_IMAGE, app_url, dollars, mask, new_name
from newscloud.preflight import preflight, require


def look(**changes) -> dict:
    wanted = {"instance": "ml.g4dn.xlarge", "image": TRAINING_IMAGE, "usage": "spot"} | changes
    return {check.point: check for check in preflight(sagemaker.connect(), **wanted)}


def test_all_in_place(cloud):
    checks = look()
    assert {check.state for check in checks.values()} == {"ok"}
    assert list(checks) == ["region", "credentials", "role", "bucket", "quota", "image", "cost"]
    require(checks.values())
    assert "$0.74 an hour" in checks["cost"].says
    assert "November 2026" in checks["cost"].says
    assert "123456789012" not in str(checks)
    assert "testing" not in str(checks)


def test_no_credentials(outside, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    check = look()["credentials"]
    assert (check.state, "aws configure" in check.fix) == ("fix", True)
    assert not outside.calls


def test_credentials_that_aws_refuses(outside):
    outside.answers["GetCallerIdentity"] = lambda _: refusal_in_xml(
        "ExpiredToken", "The security token is expired", 403
    )
    check = look()["credentials"]
    assert (check.state, check.says) == ("fix", "ExpiredToken: The security token is expired")


def test_no_region(outside, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    check = look()["region"]
    assert (check.state, "AWS_DEFAULT_REGION" in check.fix) == ("fix", True)


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("", "none is set"),
        ("news-role", "'news-role' is not a full ARN"),
        ("arn:aws:iam::123456789012:user/me", "is not a full ARN"),
        ("arn:aws:iam::123456789012:role/nobody", "no role nobody"),
    ],
)
def test_bad_role(cloud, monkeypatch, role, says):
    monkeypatch.setenv("SAGEMAKER_ROLE", role)
    check = look()["role"]
    assert check.state == "fix"
    assert says in check.says
    assert "export SAGEMAKER_ROLE=arn:aws:iam::" in check.fix


def test_a_role_that_sagemaker_may_not_take_on(cloud, monkeypatch):
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    }
    client("iam").create_role(RoleName="ec2-role", AssumeRolePolicyDocument=json.dumps(trust))
    monkeypatch.setenv("SAGEMAKER_ROLE", "arn:aws:iam::123456789012:role/ec2-role")
    check = look()["role"]
    assert (check.state, "trust relationship" in check.fix) == ("fix", True)


def test_a_role_that_may_not_be_passed(cloud):
    cloud.answers["SimulatePrincipalPolicy"] = cloud.passing("implicitDeny")
    check = look()["role"]
    assert (check.state, "iam:PassRole" in check.fix) == ("fix", True)


def test_what_we_may_not_see_is_said_and_does_not_stop(cloud):
    cloud.answers["SimulatePrincipalPolicy"] = lambda _: refusal_in_xml(
        "AccessDenied", "not for you", 403
    )
    checks = look()
    assert checks["role"].says == "AccessDenied: not for you"
    assert checks["role"].state == "not seen"
    require(checks.values())


@pytest.mark.parametrize(
    ("bucket", "says"), [("", "none is set"), ("not-there", "there is no bucket not-there")]
)
def test_missing_bucket(cloud, monkeypatch, bucket, says):
    monkeypatch.setenv("SAGEMAKER_BUCKET", bucket)
    check = look()["bucket"]
    assert (check.state, check.says) == ("fix", says)
    assert "aws s3 mb" in check.fix


def test_quota_0(cloud):
    cloud.answers["ListServiceQuotas"] = cloud.quota(
        "ml.g4dn.xlarge for spot training job usage", 0
    )
    check = look()["quota"]
    assert (check.state, check.says) == ("fix", "ml.g4dn.xlarge for spot training job usage: 0")
    assert "Service Quotas" in check.fix


def test_a_quota_that_is_not_listed_is_no_reason_to_stop(cloud):
    assert look(usage="training")["quota"].state == "not seen"
    assert look(instance="")["quota"].state == "ok"


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("pytorch:9.9-made-up", "there is no pytorch:9.9-made-up in us-east-1"),
        ("nothing-of-this:1", "there is no repository nothing-of-this"),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1",
            "is in eu-west-1, the job would run in us-east-1",
        ),
    ],
)
def test_an_image_that_is_not_there(cloud, image, says):
    check = look(image=image)["image"]
    assert check.state == "fix"
    assert says in check.says


def test_an_instance_without_a_price_is_said(cloud):
    assert look(instance="ml.p9.large")["cost"].state == "not seen"


def test_require_says_every_fix_and_that_nothing_was_spent(cloud, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_ROLE", "x")
    monkeypatch.setenv("SAGEMAKER_BUCKET", "")
    with pytest.raises(
        sagemaker.SageMakerError,
        match=r"nothing was spent\. role: .*full ARN.*\| bucket: none is set\. Make one",
    ):
        require(look().values())


def test_names_are_new_and_aws_takes_them():
    names = {new_name("My run_1/é" + "x" * 80) for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in names)


def test_account_numbers_are_masked_and_amounts_are_readable():
    assert mask("arn:aws:iam::123456789012:role/x") == "arn:aws:iam::…9012:role/x"
    assert [dollars(0.0), dollars(1.234), dollars(0.000432), dollars(None)] == [
        "$0.00",
        "$1.23",
        "$0.0004",
        "price not in our table",
    ]


def test_app_url_from_the_instances_metadata(tmp_path):
    file = tmp_path / "resource-metadata.json"
    file.write_text(
        '{"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:notebook-instance/news", "ResourceName": "news"}'
    )
    assert app_url(8501, file) == "https://news.notebook.eu-west-1.sagemaker.aws/proxy/8501/"
    studio = {
        "ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:space/d-abc/s",
        "DomainId": "d-abc",
        "SpaceName": "s",
    }
    file.write_text(json.dumps(studio))
    assert (
        app_url(8600, file)
        == "https://d-abc.studio.eu-west-1.sagemaker.aws/jupyterlab/default/proxy/8600/"
    )
    for broken in ("{}", "[]", "nothing", '{"ResourceArn": "x"}'):
        file.write_text(broken)
        with pytest.raises(sagemaker.SageMakerError, match="does not say which instance"):
            app_url(8501, file)
    with pytest.raises(sagemaker.SageMakerError, match="not a SageMaker notebook instance"):
        app_url(8501, tmp_path / "none")
