"""An endpoint lives as long as its block: whatever ends the block, AWS lists no endpoint, configuration or model afterwards."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest
from aws_stand_in import BUCKET, ROLE, answer_lines, client, refusal, reply

import newscloud as sagemaker
from newsreport.__main__ import SHIPPED, main
from newscloud import cleanup

TEXT = "The striker scored twice in the cup final."
pytestmark = pytest.mark.skipif(
    not (SHIPPED / "serving.json").exists(), reason="no shipped model in models/gpt2-mini-bbc"
)


@pytest.fixture
def make(cloud, aws):
    """`with make(...) as endpoint`, quick and with the shipped model; what is said goes into `make.said`."""

    def make(**options):
        return sagemaker.endpoint(
            aws, SHIPPED, "my run", **{"poll": 0.05, "say": make.said.append, **options}
        )

    make.said = []
    return make


def queue(*answers: dict) -> None:
    """Answers of the endpoint, through moto's own interface."""
    from urllib.request import Request, urlopen

    results = [
        {"Body": json.dumps(answer), "ContentType": "application/json"} for answer in answers
    ]
    body = json.dumps({"results": results, "region": "us-east-1"}).encode()
    address = f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/static/sagemaker/endpoint-results"
    urlopen(Request(address, body, {"Content-Type": "application/json"})).close()


def exists() -> list[str]:
    """What SageMaker lists, asked without the library's help."""
    ours = client("sagemaker")
    return [
        *(entry["EndpointName"] for entry in ours.list_endpoints()["Endpoints"]),
        *(entry["EndpointConfigName"] for entry in ours.list_endpoint_configs()["EndpointConfigs"]),
        *(entry["ModelName"] for entry in ours.list_models()["Models"]),
    ]


@pytest.mark.parametrize("instance", ["", "ml.m5.large"])
def test_an_endpoint_end_to_end(cloud, make, instance):
    queue({"topic": "sport"}, [{"topic": "tech"}])
    with make(instance=instance) as endpoint:
        assert exists() == [endpoint.name] * 3
        assert endpoint(TEXT) == {"topic": "sport"}
        assert endpoint([TEXT, TEXT]) == [{"topic": "tech"}]
        assert set(endpoint.timing) == {"first_ms", "p50_ms", "p95_ms"}
        assert 0 < endpoint.usd < 0.01
    assert exists() == []
    assert make.said[-1] == f"{endpoint.name}: removed, AWS lists nothing of it any more"
    (config,) = cloud.called("CreateEndpointConfig")
    (variant,) = config["ProductionVariants"]
    if instance:
        assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)
    else:
        assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    (model,) = cloud.called("CreateModel")
    assert model["ExecutionRoleArn"] == ROLE
    assert (
        model["PrimaryContainer"]["ModelDataUrl"]
        == f"s3://{BUCKET}/gpt2-news/{endpoint.name}/model/model.tar.gz"
    )
    assert "huggingface-pytorch-inference" in model["PrimaryContainer"]["Image"]
    for operation in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
        assert cloud.called(operation)[0]["Tags"] == [{"Key": "project", "Value": "gpt2-news"}]
    order = [name for name, _ in cloud.calls if name.startswith("Delete")]
    assert order == ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]


def test_an_exception_in_the_block(make):
    with pytest.raises(ZeroDivisionError), make():
        raise ZeroDivisionError(exists())
    assert exists() == []


def test_an_answer_that_is_not_json(make):
    with (
        pytest.raises(sagemaker.SageMakerError, match="did not answer in JSON"),
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


def test_one_that_never_gets_healthy(cloud, make):
    cloud.after["CreateEndpoint"] = cloud.change("endpoints", endpoint_status="Creating")
    with (
        pytest.raises(sagemaker.SageMakerError, match=r"still Creating after .*CloudWatch"),
        make(minutes=0.005),
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


def test_aws_deletes_no_endpoint_while_it_is_being_made(cloud, make):
    """The first two tries are refused, as AWS does; the third is not."""
    refusals = [refusal("ValidationException", "Cannot update in-progress endpoint")] * 2
    cloud.answers["DeleteEndpoint"] = lambda _: refusals.pop() if refusals else None
    with pytest.raises(ZeroDivisionError), make():
        raise ZeroDivisionError
    assert exists() == []
    assert sum("Cannot update in-progress endpoint" in line for line in make.said) == 1


def test_what_cannot_be_removed_is_said_with_the_command(cloud, aws, make, monkeypatch):
    monkeypatch.setattr(cleanup, "LONGEST", 1.0)
    cloud.answers["DeleteEndpoint"] = lambda _: refusal("AccessDeniedException", "no")
    with (
        pytest.raises(
            sagemaker.SageMakerError,
            match=r"NOT removed.*AccessDenied.*aws sagemaker delete-endpoint --endpoint-name gpt2",
        ),
        make(),
    ):
        pass
    del cloud.answers["DeleteEndpoint"]


PROGRAM = """
import sys
from pathlib import Path
import newscloud as sagemaker
with sagemaker.endpoint(sagemaker.connect(), Path(sys.argv[1]), "my run", poll=0.05):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed(cloud, how):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(SHIPPED)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = next(line for line in process.stdout if line.strip() == "up")
    assert line
    assert len(exists()) == 3
    process.send_signal(how)
    process.wait(30)
    deadline = time.monotonic() + 30
    while exists():
        assert time.monotonic() < deadline, exists()
        time.sleep(0.1)


def test_the_archive_has_both_layouts(tmp_path):
    with tarfile.open(sagemaker.pack_model(SHIPPED, tmp_path / "model.tar.gz")) as tar:
        names = set(tar.getnames())
    assert {"serving.json", "model.int8.onnx", "tokenizer.json"} <= names
    assert {
        "code/inference.py",
        "code/requirements.txt",
        "code/gpt2news/serving/predictor.py",
        "code/gpt2news/serving/formats.py",
    } <= names


@pytest.fixture
def transforming(cloud):
    """A batch job that answers each line with its text's length, as it ends."""
    cloud.after["CreateTransformJob"] = answer_lines
    return cloud


def test_batch_transform(transforming, aws, tmp_path):
    texts = ["one", "two\nlines", "é" * 7]
    said = []
    done = sagemaker.transform(
        aws, SHIPPED, "my run", texts, tmp_path / "answers.jsonl", say=said.append, poll=0.05
    )
    assert [
        json.loads(line)["length"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()
    ] == [3, 9, 7]
    assert done["texts"] == 3
    assert exists() == []
    (job,) = transforming.called("CreateTransformJob")
    assert (job["BatchStrategy"], job["TransformInput"]["SplitType"]) == ("SingleRecord", "Line")
    assert job["Tags"] == [{"Key": "project", "Value": "gpt2-news"}]


def test_a_batch_transform_that_lacks_answers_leaves_no_file(transforming, aws, tmp_path):
    answer = transforming.after["CreateTransformJob"]
    transforming.after["CreateTransformJob"] = lambda body: answer(body) or shorten(body)
    with pytest.raises(sagemaker.SageMakerError, match="2 answers to 3 texts"):
        sagemaker.transform(
            aws,
            SHIPPED,
            "my run",
            ["a", "b", "c"],
            tmp_path / "answers.jsonl",
            say=[].append,
            poll=0.05,
        )
    assert exists() == []
    assert list(tmp_path.glob("*answers*")) == []


def shorten(body):
    key = (
        body["TransformOutput"]["S3OutputPath"].removeprefix(f"s3://{BUCKET}/") + "texts.jsonl.out"
    )
    content = (
        client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().splitlines(keepends=True)
    )
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"".join(content[:-1]))


# --- gpt2news sagemaker ---------------------------------------------------------------------------------------------


def leave_things_behind():
    """An endpoint on an instance as someone might have forgotten it, and one of somebody else with a name like ours."""
    ours = client("sagemaker")
    for name, tags in (
        ("gpt2-news-old", [{"Key": "project", "Value": "gpt2-news"}]),
        ("my-gpt2-news-service", []),
    ):
        ours.create_model(
            ModelName=name, PrimaryContainer={"Image": "x"}, ExecutionRoleArn=ROLE, Tags=tags
        )
        variant = {
            "VariantName": "all",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 2,
        }
        ours.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], Tags=tags
        )
        ours.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    client("s3").put_object(
        Bucket=BUCKET, Key="gpt2-news/gpt2-news-old/model/model.tar.gz", Body=b"x" * 2_000_000
    )
    client("s3").put_object(Bucket=BUCKET, Key="other/file", Body=b"x")


def test_status_of_nothing(cloud, capsys):
    assert main(["sagemaker", "status"]) == 0
    assert "Nothing of this project exists in us-east-1" in capsys.readouterr().out


def test_status_lists_what_exists_and_what_it_costs(cloud, capsys):
    leave_things_behind()
    assert main(["sagemaker", "status"]) == 0
    out = capsys.readouterr().out
    assert out.count("gpt2-news-old") == 3
    assert "service" not in out
    assert "$0.23 an hour" in out
    assert "3 in all in us-east-1, $0.23 an hour" in out
    assert "1 objects, 2.0 MB" in out


@pytest.mark.parametrize(("said", "code", "left"), [("n", 1, 6), ("", 1, 6), ("y", 0, 3)])
def test_cleanup_asks(cloud, monkeypatch, capsys, said, code, left):
    leave_things_behind()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: print(question) or said)
    assert main(["sagemaker", "cleanup"]) == code
    assert "Remove 3 at SageMaker? [y/N]" in capsys.readouterr().out
    assert len(exists()) == left
    assert {"my-gpt2-news-service"} <= set(exists())


def test_cleanup_with_files(cloud):
    leave_things_behind()
    assert main(["sagemaker", "cleanup", "--yes", "--files"]) == 0
    assert set(exists()) == {"my-gpt2-news-service"}
    assert [entry["Key"] for entry in client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]] == [
        "other/file"
    ]


def test_cleanup_with_nobody_to_ask(cloud, monkeypatch, capsys):
    leave_things_behind()
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["sagemaker", "cleanup"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert len(exists()) == 6


def test_status_without_credentials(outside, monkeypatch, capsys):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert main(["sagemaker", "status"]) == 2
    assert "aws configure" in capsys.readouterr().err


def test_app_url_elsewhere(capsys):
    assert main(["sagemaker", "app-url"]) == 2
    assert "not a SageMaker notebook instance" in capsys.readouterr().err


def test_a_running_job_is_listed_with_its_price_and_stopped(cloud, aws, capsys):
    cloud.after["CreateTrainingJob"] = cloud.change(
        "training_jobs", training_job_status="InProgress"
    )
    cloud.answers["StopTrainingJob"] = lambda body: (
        cloud.change("training_jobs", training_job_status="Stopped")(body) or reply({})
    )
    request = sagemaker.jobs.request(
        aws,
        "gpt2-news-x",
        {},
        instance="ml.g5.xlarge",
        instances=1,
        spot=True,
        hours=1,
        image="a:b",
        channels=["train"],
    )
    client("sagemaker").create_training_job(**request)
    assert main(["sagemaker", "status"]) == 0
    assert "$1.41 an hour" in capsys.readouterr().out
    assert main(["sagemaker", "cleanup", "--yes"]) == 0
    assert sagemaker.inventory(aws) == []
