"""`gpt2news sagemaker`: what exists, and its removal."""

import argparse
import subprocess
import sys

import pytest
from aws_stand_in import BUCKET, ROLE, client, exists, refusal, reply

from newscloud import inventory, jobs
from newscloud.__main__ import add_commands, main


def leave_things_behind():
    """An endpoint on instances that was forgotten, and somebody else's with a name like ours."""
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


def test_status_of_nothing(cloud, capsys):
    assert main(["status"]) == 0
    assert "Nothing of this project exists in us-east-1" in capsys.readouterr().out


def test_status_lists_what_exists(cloud, capsys):
    leave_things_behind()
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert out.count("gpt2-news-old") == 3
    assert "service" not in out
    assert "InService" in out
    assert f"aws s3 rm --recursive s3://{BUCKET}/gpt2-news/" in out


@pytest.mark.parametrize(("said", "code", "left"), [("n", 1, 6), ("", 1, 6), ("y", 0, 3)])
def test_cleanup_asks(cloud, monkeypatch, capsys, said, code, left):
    leave_things_behind()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: print(question) or said)
    assert main(["cleanup"]) == code
    assert "Remove 3? [y/N]" in capsys.readouterr().out
    assert len(exists()) == left
    assert {"my-gpt2-news-service"} <= set(exists())


def test_cleanup_without_asking(cloud):
    leave_things_behind()
    assert main(["cleanup", "--yes"]) == 0
    assert set(exists()) == {"my-gpt2-news-service"}


def test_cleanup_with_nobody_to_ask(cloud, monkeypatch, capsys):
    leave_things_behind()
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["cleanup"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert len(exists()) == 6


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
    request = jobs.request(aws, "gpt2-news-x", {}, ["train"], instance="ml.g5.xlarge")
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


def test_as_a_part_of_the_command(cloud, capsys):
    command = argparse.ArgumentParser()
    add_commands(command.add_subparsers(required=True))
    args = command.parse_args(["sagemaker", "status"])
    assert args.run(args) == 0
    assert "Nothing of this project exists in us-east-1" in capsys.readouterr().out


@pytest.mark.parametrize(("said", "left"), [(b"done", 3), (b"", 0), (b"do", 0)])
def test_watch_removes_unless_it_is_told_that_all_is_done(cloud, said, left):
    leave_things_behind()
    command = [sys.executable, "-m", "newscloud", "watch", "gpt2-news-old"]
    assert subprocess.run(command, input=said, check=False).returncode == 0
    assert exists().count("gpt2-news-old") == left
    assert exists().count("my-gpt2-news-service") == 3
