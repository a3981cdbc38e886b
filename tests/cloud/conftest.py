"""Fixtures: AWS on loopback, empty or with all in place."""

import json
import signal
import threading
from functools import partial
from urllib.request import Request, urlopen

import pytest
from aws_stand_in import BUCKET, REGION, ROLE, SHIPPED, Cloud, client


@pytest.fixture(scope="session")
def _server():
    pytest.importorskip("moto", reason="moto[server] is not installed")
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log(self, *_):
            pass

    cloud = Cloud(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, cloud, threaded=True, request_handler=Quiet)
    cloud.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield cloud
    server.shutdown()
    thread.join()


@pytest.fixture(autouse=True, scope="session")
def _read_aws_service_models_once():
    """Each boto3 session reads megabytes of JSON anew; here all share one reader."""
    loaders = pytest.importorskip("botocore.loaders", reason="boto3 is not installed")
    loader = loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda *_: loader)
        yield


@pytest.fixture
def outside(_server, monkeypatch, tmp_path):
    """The cloud of someone who has keys and a region: no role, no bucket, no quota."""
    urlopen(Request(f"{_server.address}/moto-api/reset", method="POST")).close()
    _server.calls.clear(), _server.answers.clear(), _server.after.clear()
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "SAGEMAKER_ROLE",
        "SAGEMAKER_BUCKET",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", _server.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return _server


@pytest.fixture
def cloud(outside, monkeypatch):
    """The cloud with role, bucket and quota in place."""
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    }
    client("iam").create_role(RoleName="news-role", AssumeRolePolicyDocument=json.dumps(trust))
    client("s3").create_bucket(Bucket=BUCKET)
    monkeypatch.setenv("SAGEMAKER_ROLE", ROLE)
    monkeypatch.setenv("SAGEMAKER_BUCKET", BUCKET)
    outside.answers["ListServiceQuotas"] = outside.quota(
        "ml.g4dn.xlarge for spot training job usage", 1
    )
    outside.calls.clear()
    return outside


@pytest.fixture
def aws(cloud):
    import newscloud

    return newscloud.connect()


@pytest.fixture
def make(cloud, aws):
    """`with make(...) as endpoint`, with the shipped model."""
    from cloud.deploy import endpoint

    return partial(endpoint, aws, SHIPPED, "my run")


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    from newscloud import jobs

    monkeypatch.setattr(jobs, "POLL", 0.05)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """`tiny/`, a backbone of one block, and `model/`, what a job would leave of it."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    from gpt2news import split
    from gpt2news.explore import load_corpus
    from gpt2news.finetune import Recipe, finetune
    from gpt2news.run import ROOT

    folder = tmp_path_factory.mktemp("trained")
    corpus = split.split_corpus(load_corpus("sample"), seed=0)
    split.write_split(corpus, folder / "splits", {})
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models" / "gpt2-mini")
    tokenizer.save_pretrained(folder / "tiny")
    shape = GPT2Config(n_layer=1, n_head=2, n_embd=32, n_positions=512, vocab_size=len(tokenizer))
    GPT2LMHeadModel(shape).save_pretrained(folder / "tiny")
    recipe = Recipe(backbone=str(folder / "tiny"), epochs=1, max_length=32, learning_rate=5e-4)
    finetune(recipe, folder / "splits", folder / "model", say=[].append)
    return folder


@pytest.fixture
def interruptible():
    """SIGINT raises KeyboardInterrupt, also where a shell started the tests in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
