"""An endpoint lives as long as its block: whatever ends it, AWS lists nothing afterwards."""

import json
import os
import signal
import tarfile
import threading
from datetime import datetime, timezone

import pytest
from aws_stand_in import BUCKET, ROLE, SHIPPED, client, exists, refusal
from botocore.exceptions import ClientError

import newscloud as sagemaker
from cloud import deploy
from cloud.deploy import pack_model

TEXT = "The striker scored twice in the cup final."
pytestmark = pytest.mark.skipif(
    not (SHIPPED / "serving.json").exists(), reason="no shipped model in models/gpt2-mini-bbc"
)


def queue(*answers: dict) -> None:
    """Answers of the endpoint, through moto's own interface."""
    from urllib.request import Request, urlopen

    results = [
        {"Body": json.dumps(answer), "ContentType": "application/json"} for answer in answers
    ]
    body = json.dumps({"results": results, "region": "us-east-1"}).encode()
    address = f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/static/sagemaker/endpoint-results"
    urlopen(Request(address, body, {"Content-Type": "application/json"})).close()


@pytest.mark.parametrize("instance", ["", "ml.m5.large"])
def test_an_endpoint_end_to_end(cloud, make, instance, capsys):
    queue({"topic": "sport"}, [{"topic": "tech"}])
    with make(instance=instance) as endpoint:
        assert exists() == [endpoint.name] * 3
        assert endpoint(TEXT) == {"topic": "sport"}
        assert endpoint([TEXT, TEXT]) == [{"topic": "tech"}]
        assert set(endpoint.timing) == {"first_ms", "p50_ms"}
        assert 0 < endpoint.usd < 0.01
    assert exists() == []
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"{endpoint.name}: nothing of it is left running"
    (config,) = cloud.called("CreateEndpointConfig")
    (variant,) = config["ProductionVariants"]
    if instance:
        assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)
    else:
        assert variant["ServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 2}
    (model,) = cloud.called("CreateModel")
    assert model["ExecutionRoleArn"] == ROLE
    assert (
        model["PrimaryContainer"]["ModelDataUrl"]
        == f"s3://{BUCKET}/gpt2-news/{endpoint.name}/model/model.tar.gz"
    )
    assert "huggingface-pytorch-inference" in model["PrimaryContainer"]["Image"]
    for operation in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
        tags = [{"Key": "project", "Value": "gpt2-news"}, {"Key": "owner", "Value": "moto"}]
        assert cloud.called(operation)[0]["Tags"] == tags
    order = [name for name, _ in cloud.calls if name.startswith("Delete")]
    assert order == ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]


def test_one_worker_for_awss_image_and_half_the_memory_for_ours(cloud, make):
    with make(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"):
        pass
    (config,), (model,) = cloud.called("CreateEndpointConfig"), cloud.called("CreateModel")
    assert config["ProductionVariants"][0]["ServerlessConfig"]["MemorySizeInMB"] == 2048
    environment = model["PrimaryContainer"]["Environment"]
    assert environment["SAGEMAKER_MODEL_SERVER_WORKERS"] == "1"


def test_aws_is_told_to_delete_it_before_it_is_made(cloud, make):
    """So a laptop that dies costs two hours of it at most."""
    scheduler, seen = client("scheduler"), []

    def look(body):
        seen.append(scheduler.get_schedule(Name=body["EndpointName"]))

    cloud.after["CreateEndpoint"] = look
    now = datetime.now(timezone.utc)
    with make(minutes=90) as endpoint:
        (there,) = seen
        target = there["Target"]
        assert target["Arn"] == "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint"
        assert json.loads(target["Input"]) == {"EndpointName": endpoint.name}
        assert target["RoleArn"] == ROLE
        assert there["ActionAfterCompletion"] == "DELETE"
        at = datetime.strptime(there["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)")
        assert 89 < (at.replace(tzinfo=timezone.utc) - now).total_seconds() / 60 < 91
    assert scheduler.list_schedules()["Schedules"] == [], "it has nothing to do any more"


def test_what_cannot_be_scheduled_is_not_made(cloud, make, monkeypatch):
    def refuse(aws, name, minutes):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "x")

    monkeypatch.setattr(deploy, "delete_later", refuse)
    with pytest.raises(sagemaker.SageMakerError, match="AccessDenied"), make():
        pytest.fail("nothing would delete it")
    assert not cloud.called("CreateEndpoint")
    assert exists() == []


def test_an_exception_in_the_block(make):
    with pytest.raises(ZeroDivisionError), make():
        raise ZeroDivisionError(exists())
    assert exists() == []


def test_an_answer_that_is_not_json(make):
    with (
        pytest.raises(json.JSONDecodeError),
        make() as endpoint,
    ):
        endpoint(TEXT)  # moto's own answer is the word body
    assert exists() == []


def test_ctrl_c_while_it_is_being_made(cloud, make, interruptible):
    cloud.after["CreateEndpoint"] = cloud.change("endpoints", endpoint_status="Creating")
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), make():
        pytest.fail("an endpoint that is being made must not be used")
    assert exists() == []


def test_one_that_never_gets_healthy(cloud, make, monkeypatch):
    monkeypatch.setattr(deploy, "MINUTES", 0.005)
    cloud.after["CreateEndpoint"] = cloud.change("endpoints", endpoint_status="Creating")
    with (
        pytest.raises(sagemaker.SageMakerError, match=r"still Creating after .*CloudWatch"),
        make(),
    ):
        pytest.fail("it is not healthy")
    assert exists() == []


def test_one_that_fails_shows_the_reason(cloud, make):
    why = "The primary container did not pass the ping health check."
    cloud.after["CreateEndpoint"] = cloud.change(
        "endpoints", endpoint_status="Failed", failure_reason=why
    )
    with pytest.raises(sagemaker.SageMakerError, match="ping health check"), make():
        pytest.fail("it has failed")
    assert exists() == []


def test_quota_0_at_the_last_moment(cloud, make):
    cloud.answers["CreateEndpoint"] = lambda _: refusal(
        "ResourceLimitExceeded", "endpoint usage is 0 Instances"
    )
    with (
        pytest.raises(sagemaker.SageMakerError, match=r"ResourceLimitExceeded.*Service Quotas"),
        make(instance="ml.m5.large"),
    ):
        pytest.fail("there is none")
    assert exists() == []


def test_the_archive_has_both_layouts(tmp_path):
    with tarfile.open(pack_model(SHIPPED, tmp_path / "model.tar.gz")) as tar:
        names = set(tar.getnames())
    assert {"serving.json", "model.int8.onnx", "tokenizer.json"} <= names
    assert {name for name in names if name.startswith("code/")} == {
        "code/inference.py",
        "code/requirements.txt",
        "code/newsserve/__init__.py",
        "code/newsserve/folder.py",
        "code/newsserve/kind.py",
        "code/newsserve/predictor.py",
        "code/newsserve/messages.py",
    }
