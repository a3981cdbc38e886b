"""The training job: what goes up, the request, the log, the cost, what comes down, the stop."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest
from aws_stand_in import BUCKET, MODEL, ROLE, archive, client, refusal, reply

import newscloud as sagemaker
from cloud import training as training_job
from gpt2news.run import ROOT, Run
from newscloud import jobs

SETTINGS = {
    "backbone": "openai-community/gpt2",
    "normalise": True,
    "epochs": 2,
    "learning_rate": 5e-5,
    "pooling": "last",
    "seed": 0,
}
GPU = {"instance": "ml.g4dn.xlarge"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("my_run")
    run.path("splits").mkdir()
    for part in ("train", "val", "test"):
        run.path("splits", f"{part}.csv").write_text(f'"text","topic"\n"a {part} text","sport"\n')
    return run


@pytest.fixture
def finished(cloud):
    """The artifact that a real job would have left, as soon as the job is made."""

    def leave(body):
        place = body["OutputDataConfig"]["S3OutputPath"].removeprefix(f"s3://{BUCKET}/")
        key = f"{place}/{body['TrainingJobName']}/output/model.tar.gz"
        client("s3").put_object(Bucket=BUCKET, Key=key, Body=archive(MODEL))

    cloud.after["CreateTrainingJob"] = leave
    return cloud


def keys() -> dict[str, int]:
    return {
        entry["Key"]: entry["Size"]
        for entry in client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    }


def test_a_job_end_to_end(finished, aws, run, capsys):
    training = training_job.train(aws, run, SETTINGS, hours=1.5, **GPU)
    assert {key: training[key] for key in ("epochs", "parameters")} == {
        "epochs": 2,
        "parameters": 7,
    }
    assert training["job"]["usd"] == pytest.approx(0.736 * training["job"]["seconds_billed"] / 3600)
    assert {path.name: path.read_bytes() for path in run.path("model").iterdir()} == MODEL
    (request,) = finished.called("CreateTrainingJob")
    name = training["job"]["name"]
    assert name.startswith("gpt2-news-my-run-")
    assert request["RoleArn"] == ROLE
    image = request["AlgorithmSpecification"]["TrainingImage"]
    assert (
        image
        == "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13-cu133-amzn2023-sagemaker"
    )
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 5400,
        "MaxWaitTimeInSeconds": 10800,
    }
    assert request["CheckpointConfig"] == {
        "S3Uri": f"s3://{BUCKET}/gpt2-news/{name}/checkpoints/",
        "LocalPath": "/opt/ml/checkpoints",
    }
    assert request["ResourceConfig"]["InstanceType"] == "ml.g4dn.xlarge"
    tags = [{"Key": "project", "Value": "gpt2-news"}, {"Key": "owner", "Value": "moto"}]
    assert request["Tags"] == tags
    assert [channel["ChannelName"] for channel in request["InputDataConfig"]] == ["train", "val"]
    given = {key: json.loads(value) for key, value in request["HyperParameters"].items()}
    assert SETTINGS.items() <= given.items()
    assert given["sagemaker_program"] == "train.py"
    assert "sagemaker_torch_distributed_enabled" not in given
    up = {key.removeprefix(f"gpt2-news/{name}/") for key in keys()}
    assert {"train/train.csv", "val/val.csv", "source/sourcedir.tar.gz"} <= up
    assert not any("test" in key for key in up), "the test part stays at home"
    assert f"{name}: Completed" in capsys.readouterr().out
    assert sagemaker.inventory(aws) == []


def test_a_run_comes_back_to_the_job_that_it_has_submitted(finished, aws, run, capsys):
    name = training_job.submit(aws, run, SETTINGS, **GPU)
    training = training_job.train(aws, run, SETTINGS, **GPU)
    assert training["job"]["name"] == name
    assert len(finished.called("CreateTrainingJob")) == 1
    assert f"coming back to {name}" in capsys.readouterr().out
    assert not run.path(training_job.SUBMITTED).exists()
    assert training_job.train(aws, run, SETTINGS, **GPU)["job"]["name"] != name, "a new job"


def test_a_local_backbone_is_uploaded_as_a_channel(finished, aws, run, tmp_path):
    backbone = tmp_path / "tiny"
    backbone.mkdir()
    (backbone / "config.json").write_text("{}")
    (backbone / "model.safetensors").write_text("w")
    training_job.train(aws, run, {**SETTINGS, "backbone": str(backbone)}, **GPU)
    (request,) = finished.called("CreateTrainingJob")
    assert [channel["ChannelName"] for channel in request["InputDataConfig"]] == [
        "train",
        "val",
        "backbone",
    ]
    assert "backbone" not in request["HyperParameters"]
    assert str(tmp_path) not in json.dumps(request)
    assert {key.split("/")[-1] for key in keys() if "/backbone/" in key} == {
        "config.json",
        "model.safetensors",
    }


def test_what_means_nothing_there_is_left_to_the_job(finished, aws, run, tmp_path):
    here = {"checkpoints": tmp_path, "max_length": None}
    training = training_job.train(aws, run, SETTINGS | here, spot=False, **GPU)
    (request,) = finished.called("CreateTrainingJob")
    given = request["HyperParameters"]
    own = {key for key in given if not key.startswith("sagemaker_")}
    assert own == set(SETTINGS)
    job = {key: training["job"][key] for key in ("instance", "instances", "spot")}
    assert job == {"instance": "ml.g4dn.xlarge", "instances": 1, "spot": False}


@pytest.mark.parametrize(
    ("instance", "instances", "spot"),
    [("ml.g5.12xlarge", 1, False), ("ml.g5.xlarge", 2, True), ("ml.p9.big", 2, True)],
)
def test_torchrun_when_more_than_one_gpu_or_instance(aws, instance, instances, spot):
    request = training_job.request(
        aws, "n", {}, ["train"], instance=instance, instances=instances, spot=spot
    )
    assert request["HyperParameters"]["sagemaker_torch_distributed_enabled"] == "true"
    assert request["ResourceConfig"]["InstanceCount"] == instances
    assert ("MaxWaitTimeInSeconds" in request["StoppingCondition"]) is spot


def test_the_source_is_the_library(tmp_path):
    with tarfile.open(training_job.pack_source(tmp_path / "a.tar.gz")) as tar:
        names = set(tar.getnames())
        packed = tar.extractfile("gpt2news/split.py").read()
    assert packed == (ROOT / "lib" / "gpt2news" / "split.py").read_bytes()
    assert {"train.py", "requirements.txt", "gpt2news/__init__.py", "newsserve/files.py"} <= names
    assert {name.split("/")[0] for name in names} == {
        "train.py",
        "requirements.txt",
        "gpt2news",
        "newsserve",
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def imported(source: str) -> set[str]:
    """The modules that a file imports as it is loaded; `from a import b` counts as a and a.b."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_training_container_installs_all_that_the_source_imports(tmp_path):
    with tarfile.open(training_job.pack_source(tmp_path / "a.tar.gz")) as tar:
        tar.extractall(tmp_path, filter="data")
    open_files, read, others = [tmp_path / "train.py"], set(), set()
    while open_files:
        file = open_files.pop()
        if file in read or not file.exists():
            continue
        read.add(file)
        for module in imported(file.read_text()):
            first, *parts = module.split(".")
            if first not in ("gpt2news", "newsserve"):
                others.add(first)
                continue
            folder = tmp_path / first
            for part in ["", *parts]:
                folder /= part
                open_files += [folder / "__init__.py", folder.with_suffix(".py")]
    # The image brings torch and numpy.
    others -= {*sys.stdlib_module_names, "torch", "numpy"}
    assert "transformers" in others
    installed = re.findall(
        r"^([\w-]+)==", (tmp_path / "requirements.txt").read_text(), re.MULTILINE
    )
    names = {"sklearn": "scikit-learn", "IPython": "ipython"}
    assert {names.get(name, name) for name in others} <= set(installed)


def test_a_job_that_fails_says_why_and_shows_its_log(cloud, aws, run, capsys):
    reason = "AlgorithmError: ExecuteUserScriptError: train.csv row 7: text is empty"
    fail = cloud.change(
        "training_jobs",
        training_job_status="Failed",
        secondary_status="Failed",
        failure_reason=reason,
    )

    def log_and_fail(body):
        logs, stream = client("logs"), f"{body['TrainingJobName']}/algo-1-1"
        logs.create_log_group(logGroupName=jobs.LOGS)
        logs.create_log_stream(logGroupName=jobs.LOGS, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": "epoch 1/2 of the log\n"}
        logs.put_log_events(logGroupName=jobs.LOGS, logStreamName=stream, logEvents=[event])
        fail(body)

    cloud.after["CreateTrainingJob"] = log_and_fail
    with pytest.raises(
        sagemaker.SageMakerError,
        match=r"failed: AlgorithmError.*row 7: text is empty.*epoch 1/2 of the log",
    ):
        training_job.train(aws, run, SETTINGS, **GPU)
    assert capsys.readouterr().out.count("  | epoch 1/2 of the log") == 1
    assert not run.path("model").exists()


def test_a_job_over_its_time_says_to_raise_the_hours(cloud, aws, run):
    cloud.after["CreateTrainingJob"] = cloud.change(
        "training_jobs", training_job_status="Stopped", secondary_status="MaxRuntimeExceeded"
    )
    with pytest.raises(
        sagemaker.SageMakerError, match=r"stopped: MaxRuntimeExceeded.*raise the hours"
    ):
        training_job.train(aws, run, SETTINGS, **GPU)


def test_quota_0_at_the_last_moment(cloud, aws, run):
    cloud.answers["CreateTrainingJob"] = lambda _: refusal(
        "ResourceLimitExceeded", "The limit 'ml.g4dn.xlarge' is 0 Instances."
    )
    with pytest.raises(
        sagemaker.SageMakerError,
        match=r"ResourceLimitExceeded.*ask for more in the Service Quotas console",
    ):
        training_job.train(aws, run, SETTINGS, **GPU)


def test_a_bucket_that_is_not_there(cloud, run, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BUCKET", "nowhere")
    with pytest.raises(sagemaker.SageMakerError, match=r"NoSuchBucket|bucket does not exist"):
        training_job.train(sagemaker.connect(), run, SETTINGS, **GPU)
    assert not cloud.called("CreateTrainingJob")


def test_a_job_without_an_artifact_keeps_the_old_model(cloud, aws, run):
    run.path("model").mkdir()
    run.path("model", "config.json").write_text("old")
    with pytest.raises(sagemaker.SageMakerError, match="left no model that we can fetch"):
        training_job.train(aws, run, SETTINGS, **GPU)
    assert run.path("model", "config.json").read_text() == "old"


@pytest.fixture
def running(cloud):
    """Jobs that go on until they are stopped."""
    cloud.after["CreateTrainingJob"] = cloud.change(
        "training_jobs", training_job_status="InProgress", secondary_status="Training"
    )

    def stop(body):
        cloud.change("training_jobs", training_job_status="Stopped")(body)
        return reply({})

    cloud.answers["StopTrainingJob"] = stop
    return cloud


def test_ctrl_c_stops_the_job(running, aws, run, interruptible):
    goes_on = running.after["CreateTrainingJob"]

    def interrupt_soon(body):
        goes_on(body)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    running.after["CreateTrainingJob"] = interrupt_soon
    with pytest.raises(KeyboardInterrupt):
        training_job.train(aws, run, SETTINGS, **GPU)
    assert len(running.called("StopTrainingJob")) == 1
    assert sagemaker.inventory(aws) == []


def test_kill_9_stops_the_job(running, aws, run):
    """What a notebook's kernel gets when a cell takes longer than it may."""
    program = (
        "import newscloud\nfrom gpt2news.run import Run, companion\n"
        "training = companion('cloud', '03_finetune')\nnewscloud.jobs.POLL = 0.2\n"
        f"training.train(newscloud.connect(), Run('my_run'), {SETTINGS!r}, **{GPU!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not running.called("CreateTrainingJob"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(sagemaker.inventory(aws)) == 1
    process.kill()
    process.wait()
    while sagemaker.inventory(aws):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(running.called("StopTrainingJob")) == 1


def test_a_network_that_comes_and_goes_does_not_end_the_job(
    finished, aws, run, monkeypatch, capsys
):
    from botocore.exceptions import EndpointConnectionError

    sagemaker_client = aws.client("sagemaker")
    describe, tries = sagemaker_client.describe_training_job, []

    def flaky(**arguments):
        tries.append(1)
        if len(tries) <= 2:
            raise EndpointConnectionError(endpoint_url="https://x")
        return describe(**arguments)

    monkeypatch.setattr(sagemaker_client, "describe_training_job", flaky)
    assert training_job.train(aws, run, SETTINGS, **GPU)["epochs"] == 2
    assert capsys.readouterr().out.count("no answer from AWS") == 2


def link(name: str, to: str, kind=tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize(
    "entries",
    [
        {**MODEL, "../out.txt": b"x"},
        {**MODEL, "a/../../out.txt": b"x"},
        [link("a", "/etc/passwd")],
        [link("a", "../b", tarfile.LNKTYPE)],
        [link("pipe", "", tarfile.FIFOTYPE)],
    ],
)
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path, entries):
    archive(entries, tmp_path / "model.tar.gz")
    with pytest.raises(sagemaker.SageMakerError, match="cannot be used"):
        jobs.unpack(tmp_path / "model.tar.gz", tmp_path / "in" / "model")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["model.tar.gz"]


def test_an_absolute_name_stays_in_the_folder(tmp_path):
    outside = tmp_path / "out.txt"
    archive({**MODEL, str(outside): b"x"}, tmp_path / "model.tar.gz")
    jobs.unpack(tmp_path / "model.tar.gz", tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.tar.gz"]
    assert (tmp_path / "model" / str(outside).lstrip("/")).read_bytes() == b"x"


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    whole = sum(len(content) for content in MODEL.values())
    archive(MODEL, tmp_path / "model.tar.gz")
    monkeypatch.setattr(jobs, "LARGEST", whole)
    jobs.unpack(tmp_path / "model.tar.gz", tmp_path / "model")
    monkeypatch.setattr(jobs, "LARGEST", whole - 1)
    with pytest.raises(sagemaker.SageMakerError, match="unpacks to more than"):
        jobs.unpack(tmp_path / "model.tar.gz", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.tar.gz"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a tar", "cannot be used"),
        (archive({**MODEL, "model.safetensors": os.urandom(9000)})[:5000], "cannot be used"),
        (
            archive({"config.json": b"{}"}),
            "has no model.safetensors, tokenizer.json, training.json",
        ),
    ],
)
def test_a_broken_archive_leaves_nothing(tmp_path, content, says):
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(sagemaker.SageMakerError, match=says):
        jobs.unpack(tmp_path / "model.tar.gz", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]
