"""The profile `sagemaker`, all five notebooks; then chapter 05 stopped midway, three ways."""

import io
import json
import os
import re
import signal
import tarfile
import threading
import time
from pathlib import Path

import nbformat
import pytest
from aws_stand_in import ACCOUNT, BUCKET, client, exists
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from gpt2news.deploy import export
from gpt2news.run import ROOT, companion
from running import run_report

running_server = companion("server", "05_deploy").running_server
KEYS = {
    "an access key": r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b",
    "a secret key": r"(?i)(?:secret|aws_secret_access_key)[\"' ]*[:=][\"' ]*[A-Za-z0-9/+]{40}\b",
    "a session token": r"(?i)session_?token[\"' ]*[:=][\"' ]*\S{20,}|\bFwoGZXIvYXdz",
    "the dummy key of these tests": r"TESTINGKEY|testing-secret",
    "an account number": ACCOUNT,
}


@pytest.fixture
def trains(cloud, trained):
    """Each job ends at once and leaves the tiny model."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        tar.add(trained / "model", ".")

    def leave(body):
        place = body["OutputDataConfig"]["S3OutputPath"].removeprefix(f"s3://{BUCKET}/")
        key = f"{place}/{body['TrainingJobName']}/output/model.tar.gz"
        client("s3").put_object(Bucket=BUCKET, Key=key, Body=raw.getvalue())
        cloud.change("training_jobs", billable_time_in_seconds=600)(body)

    cloud.after["CreateTrainingJob"] = leave
    return cloud


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


def test_the_profile_end_to_end(trains, trained, report_folder, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "TESTINGKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret")
    with running_server(export(trained / "model", trained / "onnx")) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", address)
        sets = [
            "01_explore.dataset=sample", "01_explore.tokenizer=models/gpt2-mini",
            "02_split.dataset=sample", f"03_finetune.backbone={trained / 'tiny'}",
            "03_finetune.epochs=1", "03_finetune.max_length=32",
            "05_deploy.deploy=true", "05_deploy.timed_texts=10",
        ]  # fmt: skip
        folder = run_report(
            report_folder,
            "--profile",
            "sagemaker",
            *(word for item in sets for word in ("--set", item)),
        )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["model"]["job"]["name"].startswith("gpt2-news-sagemaker-")
    assert metrics["model"]["job"]["seconds_billed"] == 600
    assert metrics["model"]["job"]["usd"] == pytest.approx(0.736 / 6)
    assert (folder / "model" / "model.safetensors").read_bytes() == (
        trained / "model" / "model.safetensors"
    ).read_bytes()
    assert metrics["test"]["accuracy"]["value"] > 0
    there = metrics["deploy"]["cloud"]
    assert there["instance"] == "serverless"
    assert there["same_topic"] == 1.0
    assert 0 < there["usd"] < 0.01
    (job,) = trains.called("CreateTrainingJob")
    assert job["EnableManagedSpotTraining"] is True
    assert [channel["ChannelName"] for channel in job["InputDataConfig"]] == [
        "train",
        "val",
        "backbone",
    ]
    made = [
        name
        for name, _ in trains.calls
        if name.startswith(("Create", "Delete")) and "Bucket" not in name and "Role" not in name
    ]
    endpoint = [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
    ]
    assert made == ["CreateTrainingJob", *endpoint]
    assert exists() == []
    chapters = {
        name: (folder / f"{name}.html").read_text(encoding="utf-8")
        for name in ("03_finetune", "05_deploy")
    }
    assert re.search(r"\$0\.12.{0,20} for 600 s billed", chapters["03_finetune"])
    assert "bucket" in chapters["03_finetune"]
    assert re.search(r"Spent:.{0,30}\$[\d.]+", chapters["05_deploy"])
    assert "nothing" in chapters["05_deploy"]
    assert keys_in(folder) == []


def keys_in(folder: Path) -> list[str]:
    """Key patterns in executed notebooks, pages and JSON files of a run."""
    found = []
    for file in folder.rglob("*"):
        if file.suffix in (".ipynb", ".html", ".json", ".jsonl") and "splits" not in file.parts:
            text = file.read_text(encoding="utf-8")
            found += [
                f"{file.relative_to(folder)}: {what}"
                for what, pattern in KEYS.items()
                if re.search(pattern, text)
            ]
    return found


def test_the_key_patterns_find_keys(tmp_path):
    lines = {
        "an access key": "AKIA" + "ABCDEFGHIJKLMNOP",
        "a secret key": '"SecretAccessKey": "x", aws_secret_access_key = ' + "a" * 40,
        "a session token": "AWS_SESSION_TOKEN=" + "x" * 30,
    }
    for what, line in lines.items():
        (tmp_path / "a.html").write_text(line)
        assert keys_in(tmp_path) == [f"a.html: {what}"]


def test_the_quick_report_holds_no_key_either(quick):
    assert keys_in(quick) == []


def test_nothing_is_made_unless_asked_for(report_folder, trains, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(report_folder))
    NotebookClient(chapter_05(report_folder, deploy=False), timeout=120).execute()
    assert trains.called("GetCallerIdentity")
    assert not [name for name, _ in trains.calls if name.startswith("Create")]


# What the cells of chapter 05 between its first ones and those of SageMaker leave to these.
BETWEEN = """
folder = report.path("onnx")
served = Predictor(folder)
"""


def chapter_05(root: Path, **parameters) -> nbformat.NotebookNode:
    """Chapter 05's own cells: parameters, what is imported first, and all that is of SageMaker."""
    if not (root / "sagemaker" / "onnx").exists():
        pytest.skip("the run of the profile failed")
    notebook = nbformat.read(ROOT / "notebooks" / "05_deploy.ipynb", 4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in cells]
    first = next(number for number, each in enumerate(tags) if "parameters" in each)
    values = {"run": "sagemaker", "target": "sagemaker", "deploy": True, "timed_texts": 3}
    lines = [f"{name} = {value!r}" for name, value in (values | parameters).items()]
    notebook.cells = [
        cells[first],
        nbformat.v4.new_code_cell("\n".join(lines)),
        *cells[first + 1 : first + 3],
        nbformat.v4.new_code_cell(BETWEEN),
        *(cell for cell in cells[first + 3 :] if "sagemaker" in cell.source),
    ]
    return notebook


def until(true, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_exception_in_chapter_05_leaves_nothing(report_folder, trains, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(report_folder))
    notebook = chapter_05(report_folder)
    with pytest.raises(CellExecutionError, match="JSONDecodeError"):
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert len(trains.called("CreateEndpoint")) == 1
    assert exists() == []


def test_ctrl_c_in_chapter_05_leaves_nothing(report_folder, trains, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(report_folder))
    trains.after["CreateEndpoint"] = trains.change("endpoints", endpoint_status="Creating")
    executing = NotebookClient(chapter_05(report_folder), timeout=120, kernel_name="python3")

    def interrupt():
        until(lambda: trains.called("CreateEndpoint"))
        os.kill(executing.km.provisioner.pid, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(CellExecutionError, match="KeyboardInterrupt"):
        executing.execute()
    thread.join()
    assert exists() == []


def test_a_time_out_in_chapter_05_leaves_nothing(report_folder, trains, monkeypatch):
    """Over its time a notebook's kernel is killed; no line of its own can run then."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(report_folder))
    trains.after["CreateEndpoint"] = trains.change("endpoints", endpoint_status="Creating")
    executing = NotebookClient(
        chapter_05(report_folder),
        timeout_func=lambda cell: 4 if ".endpoint(" in cell.source else 120,
        kernel_name="python3",
    )
    with pytest.raises((CellTimeoutError, DeadKernelError)):
        executing.execute()
    assert len(trains.called("CreateEndpoint")) == 1
    until(lambda: exists() == [])
