"""One request, three ways, on one model.tar.gz: the hooks of AWS's ready image, our own server, and
boto3 pointed at it."""

import json
import os
import subprocess
import sys
import tarfile

import httpx
import pytest
from aws_stand_in import SHIPPED

from cloud.deploy import pack_model
from gpt2news.run import ROOT, companion

running_server = companion("server", "05_deploy").running_server
pytestmark = pytest.mark.skipif(
    not (SHIPPED / "serving.json").exists(), reason="no shipped model in models/gpt2-mini-bbc"
)
TEXT = "The striker scored twice in the cup final."
REQUESTS = [
    ("application/json", json.dumps({"text": TEXT})),
    ("application/json", json.dumps([TEXT, "Shares fell — by £3 — after the café's results."])),
    ("application/json", json.dumps({"texts": [TEXT]})),
    ("application/jsonlines", json.dumps({"text": TEXT}) + "\n" + json.dumps({"text": "x"}) + "\n"),
]
# As the Hugging Face image does: code/ on the path, each hook called with no context, JSON handed
# over as a string.
CONTAINER = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/code")
import inference
model = inference.model_fn(sys.argv[1])
for content_type, body in json.load(sys.stdin):
    answers = inference.predict_fn(inference.input_fn(body, content_type), model)
    answer = inference.output_fn(answers, content_type)
    print(json.dumps(answer.decode()))
print([name for name in ("torch", "transformers", "fastapi", "pandas") if name in sys.modules])
import newsserve
print(newsserve.__file__)
"""


@pytest.fixture(scope="module")
def opt_ml_model(tmp_path_factory):
    """The model.tar.gz as a container finds it, unpacked in /opt/ml/model."""
    folder = tmp_path_factory.mktemp("opt")
    with tarfile.open(pack_model(SHIPPED, folder / "model.tar.gz")) as tar:
        tar.extractall(folder / "model", filter="data")
    return folder / "model"


@pytest.fixture(scope="module")
def hooks(opt_ml_model):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", CONTAINER, str(opt_ml_model)],
        input=json.dumps(REQUESTS), env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *answers, loaded, library = done.stdout.splitlines()
    assert loaded == "[]", "answering loads no more than it needs"
    assert library.startswith(str(opt_ml_model)), "the library is the archive's own"
    return [json.loads(answer) for answer in answers]


def read(answer: str, content_type: str):
    return json.loads(answer) if content_type == "application/json" else answer


def test_hooks_server_and_boto3_answer_the_same(opt_ml_model, hooks, outside, monkeypatch):
    import boto3

    with running_server(opt_ml_model) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", address)
        runtime = boto3.client("sagemaker-runtime")
        for (content_type, body), from_hooks in zip(REQUESTS, hooks, strict=True):
            headers = {"Content-Type": content_type, "Accept": content_type}
            from_server = (
                httpx.post(f"{address}/invocations", content=body.encode(), headers=headers)
                .raise_for_status()
                .text
            )
            asked = {
                "EndpointName": "news",
                "ContentType": content_type,
                "Accept": content_type,
                "Body": body.encode(),
            }
            from_boto3 = runtime.invoke_endpoint(**asked)["Body"].read().decode()
            assert (
                read(from_hooks, content_type)
                == read(from_server, content_type)
                == read(from_boto3, content_type)
            )
    first = json.loads(hooks[0])
    assert first["topic"] == "sport"
    values = list(first["probabilities"].values())
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)


def test_a_batch_transform_assembles_lines_without_blank_ones(hooks):
    """`AssembleWith: Line` ends each answer with a new line of its own."""
    answer = hooks[3]
    assembled = "".join(part + "\n" for part in (answer, answer))
    assert [bool(line) for line in assembled.split("\n")[:-1]] == [True] * 4


def test_a_refusal_says_why_through_boto3(opt_ml_model, outside, monkeypatch):
    import boto3
    from botocore.exceptions import ClientError

    with running_server(opt_ml_model) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", address)
        with pytest.raises(ClientError, match="send"):
            boto3.client("sagemaker-runtime").invoke_endpoint(
                EndpointName="news", ContentType="application/json", Body=b"{}"
            )


@pytest.mark.parametrize(
    ("file", "apart"),
    [
        ("requirements.txt", {"torch", "numpy"}),
        ("requirements-inference.txt", {"tokenizers", "numpy"}),
    ],
)
def test_the_containers_install_what_the_lock_says(file, apart):
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wanted = [
        line
        for line in (ROOT / "deploy" / "sagemaker" / file).read_text(encoding="utf-8").splitlines()
        if line[0] != "#"
    ]
    assert wanted
    assert set(wanted) <= set(lock)
    assert not apart & {line.split("==")[0] for line in wanted}, "the image brings these"
