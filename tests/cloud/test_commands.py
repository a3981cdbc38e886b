"""`gpt2news sagemaker`: what exists, and its removal."""

import argparse
import json
import re
import subprocess
import sys

import pytest
from aws_stand_in import BUCKET, MODEL, REGION, ROLE, archive, client, exists, refusal, reply

from cloud import training as training_job
from gpt2news.run import Run
from newscloud import account, inventory
from newscloud.commands import add_commands
from newsreport.__main__ import main as gpt2news

PROJECT, MINE = {"Key": "project", "Value": "gpt2-news"}, {"Key": "owner", "Value": "moto"}


@pytest.fixture(autouse=True)
def _three_regions(monkeypatch):
    few = {name: account.REGISTRIES[name] for name in ("us-east-1", "eu-west-1", "cn-north-1")}
    monkeypatch.setattr(account, "REGISTRIES", few)


def main(words: list[str]) -> int:
    return gpt2news(["sagemaker", *words])


def leave_things_behind(region: str = REGION):
    """Endpoints that were forgotten: ours, a colleague's, and one with a name like ours."""
    ours = client("sagemaker", region)
    for name, tags in (
        ("gpt2-news-old", [PROJECT, MINE]),
        ("gpt2-news-theirs", [PROJECT, {"Key": "owner", "Value": "ada"}]),
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


def test_status_of_nothing(cloud, capsys):
    assert main(["status"]) == 0
    assert "Nothing of yours exists, in any region" in capsys.readouterr().out


def test_status_lists_what_exists(cloud, capsys):
    leave_things_behind()
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert out.count("gpt2-news-old") == 3
    assert "service" not in out
    assert "theirs" not in out, "a colleague's"
    assert "InService" in out
    assert f"aws s3 rm --recursive s3://{BUCKET}/gpt2-news/" in out


@pytest.mark.parametrize(("said", "code", "left"), [("n", 1, 9), ("", 1, 9), ("y", 0, 6)])
def test_cleanup_asks(cloud, monkeypatch, capsys, said, code, left):
    leave_things_behind()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: print(question) or said)
    assert main(["cleanup"]) == code
    assert "Remove 3? [y/N]" in capsys.readouterr().out
    assert len(exists()) == left
    assert {"my-gpt2-news-service", "gpt2-news-theirs"} <= set(exists())


def test_cleanup_without_asking(cloud):
    leave_things_behind()
    assert main(["cleanup", "--yes"]) == 0
    assert set(exists()) == {"my-gpt2-news-service", "gpt2-news-theirs"}


def test_what_others_made_is_listed_and_removed_when_asked_for(cloud, capsys):
    leave_things_behind()
    assert main(["status", "--everyone"]) == 0
    assert capsys.readouterr().out.count("gpt2-news-theirs") == 3
    assert main(["cleanup", "--everyone", "--yes"]) == 0
    assert set(exists()) == {"my-gpt2-news-service"}


def test_all_regions_are_looked_at(cloud, capsys):
    leave_things_behind("eu-west-1")
    assert exists() == [], "nothing in the usual region"
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"gpt2-news-old .* eu-west-1$", out, re.MULTILINE)) == 3
    assert main(["cleanup", "--yes"]) == 0
    left = client("sagemaker", "eu-west-1").list_endpoints()["Endpoints"]
    assert {each["EndpointName"] for each in left} == {"gpt2-news-theirs", "my-gpt2-news-service"}


def test_cleanup_with_nobody_to_ask(cloud, monkeypatch, capsys):
    leave_things_behind()
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["cleanup"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert len(exists()) == 9


def test_status_without_credentials(outside, monkeypatch, capsys):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert main(["status"]) == 2
    assert "aws configure" in capsys.readouterr().err


def test_a_running_job_is_listed_and_stopped(cloud, aws, capsys):
    cloud.after["CreateTrainingJob"] = cloud.change(
        "training_jobs", training_job_status="InProgress"
    )
    cloud.answers["StopTrainingJob"] = lambda body: (
        cloud.change("training_jobs", training_job_status="Stopped")(body) or reply({})
    )
    request = training_job.request(aws, "gpt2-news-x", {}, ["train"], instance="ml.g5.xlarge")
    client("sagemaker").create_training_job(**request)
    assert main(["status"]) == 0
    assert "training job    gpt2-news-x " in capsys.readouterr().out
    assert main(["cleanup", "--yes"]) == 0
    assert inventory(aws) == []


def test_an_expired_token_is_said_to_be_one(outside, capsys):
    expired = refusal("ExpiredTokenException", "The security token is expired")
    outside.answers["ListTrainingJobs"] = lambda _: expired
    assert main(["status"]) == 2
    assert "Your sign-in has expired: `aws sso login`" in capsys.readouterr().err


def test_one_that_expires_while_something_is_left_prints_the_commands(cloud, capsys):
    leave_things_behind()
    expired = refusal("ExpiredTokenException", "The security token is expired")
    cloud.answers["DeleteEndpointConfig"] = lambda _: expired
    assert main(["cleanup", "--yes"]) == 2
    said = capsys.readouterr().err
    assert "gpt2-news-old is NOT removed, and may cost money" in said
    assert "has expired: `aws sso login`" in said
    config = "aws sagemaker delete-endpoint-config --endpoint-config-name gpt2-news-old"
    model = "aws sagemaker delete-model --model-name gpt2-news-old"
    lines = [line.strip() for line in said.splitlines()[1:]]
    assert lines == [f"{config} --region us-east-1", f"{model} --region us-east-1"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """reports/sagemaker as chapters 01 and 02 leave it."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("sagemaker")
    run.save_metrics(dataset={"name": "bbc"})
    run.path("splits").mkdir()
    for part in ("train", "val"):
        run.path("splits", f"{part}.csv").write_text('"text","topic"\n"a text","sport"\n')
    return run


def test_submit_status_fetch(cloud, run, capsys):
    """The job goes on while nobody waits; later its model comes into the run."""
    going = {"training_job_status": "InProgress", "secondary_status": "Training"}
    cloud.after["CreateTrainingJob"] = cloud.change("training_jobs", **going)
    assert main(["submit"]) == 0
    (name,) = re.findall(r"gpt2news sagemaker fetch (\S+) --report", capsys.readouterr().out)
    assert json.loads(run.path(training_job.SUBMITTED).read_text()) == {"name": name}
    (asked,) = cloud.called("CreateTrainingJob")
    assert asked["ResourceConfig"]["InstanceType"] == "ml.g4dn.xlarge"
    given = {key: json.loads(value) for key, value in asked["HyperParameters"].items()}
    chosen = {key: given[key] for key in ("backbone", "epochs", "batch_size", "normalise")}
    assert chosen == {
        "backbone": "openai-community/gpt2", "epochs": 3, "batch_size": 16, "normalise": False
    }  # fmt: skip
    assert not {"learning_rate", "max_length"} & given.keys(), "what suits the backbone"
    assert main(["status", name]) == 0
    assert "InProgress (Training)" in capsys.readouterr().out
    assert main(["status"]) == 0
    assert name in capsys.readouterr().out
    assert not cloud.called("StopTrainingJob")

    ended = {"training_job_status": "Completed", "secondary_status": "Completed"}
    cloud.change("training_jobs", billable_time_in_seconds=600, **ended)(asked)
    key = f"gpt2-news/{name}/output/{name}/output/model.tar.gz"
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=archive(MODEL))
    assert main(["fetch", name]) == 0
    assert {path.name for path in run.path("model").iterdir()} == set(MODEL)
    assert "Next: gpt2news report --profile sagemaker" in capsys.readouterr().out


def test_submit_without_splits_says_how_to_get_them(cloud, run, capsys):
    run.path("splits", "val.csv").unlink()
    assert main(["submit"]) == 2
    assert "papermill notebooks/02_split.ipynb" in capsys.readouterr().err
    assert not cloud.called("CreateTrainingJob")


def test_status_of_a_job_that_is_not_there(cloud, capsys):
    assert main(["status", "gpt2-news-none"]) == 2
    assert capsys.readouterr().err.startswith("gpt2news sagemaker status: ")


def test_as_a_part_of_the_command(cloud, capsys):
    command = argparse.ArgumentParser()
    add_commands(command.add_subparsers(required=True))
    args = command.parse_args(["sagemaker", "status"])
    assert args.run(args) == 0
    assert "Nothing of yours exists, in any region" in capsys.readouterr().out


@pytest.mark.parametrize(("said", "left"), [(b"done", 3), (b"", 0), (b"do", 0)])
def test_watch_removes_unless_it_is_told_that_all_is_done(cloud, said, left):
    leave_things_behind()
    command = [sys.executable, "-m", "newsreport", "sagemaker", "watch", "gpt2-news-old"]
    assert subprocess.run(command, input=said, check=False).returncode == 0
    assert exists().count("gpt2-news-old") == left
    assert exists().count("my-gpt2-news-service") == exists().count("gpt2-news-theirs") == 3
