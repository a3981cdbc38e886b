"""The one client of an endpoint: SageMaker's through a stub, a server of our own for real."""

import io
import json

import pytest

from gpt2news.run import companion
from newsserve import endpoint
from newsserve.endpoint import EndpointError
from newsserve.predictor import Predictor
from newsserve.server import MAX_BODY

running_server = companion("server", "05_deploy").running_server


def test_requests_are_small_and_in_order(aws, monkeypatch):
    news, _ = aws
    asked = []

    def ask(texts):
        asked.append(texts)
        return texts

    monkeypatch.setattr(news, "_ask", ask)
    texts = [str(i) for i in range(40)] + ["x" * 10 * endpoint.LONGEST] * 5
    assert news(texts) == [text[: endpoint.LONGEST] for text in texts]
    assert [len(part) for part in asked] == [16, 16, 13]
    assert news([]) == []
    worst = json.dumps({"texts": ["\0" * endpoint.LONGEST] * endpoint.PORTION})
    assert len(worst) <= MAX_BODY


@pytest.fixture
def aws(monkeypatch):
    """An endpoint whose client answers from a stub."""
    pytest.importorskip("boto3")
    from botocore.stub import Stubber

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-to-hide")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-to-hide")
    news = endpoint.Endpoint("news")
    with Stubber(news.client) as stub:
        yield news, stub


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("AccessDeniedException", 403, "is not allowed"),
        ("ExpiredTokenException", 403, "is not allowed"),
        ("ValidationError", 400, "There is no endpoint news"),
        ("ThrottlingException", 400, "is busy"),
        ("429", 429, "is busy"),
        ("ModelError", 424, "The model behind the endpoint news failed"),
        ("InternalFailure", 500, "answered with an error.$"),
        ("arn:aws:x:123456789012", 500, "answered with an error.$"),
    ],
)
def test_an_error_of_the_endpoint_is_one_plain_sentence(aws, code, status, says):
    news, stub = aws
    stub.add_client_error("invoke_endpoint", code, "account 123456789012, key-to-hide", status)
    with pytest.raises(EndpointError, match=says) as raised:
        news(["a text"])
    assert "123456789012" not in str(raised.value)
    assert "to-hide" not in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'[{"topic": "sport"}]', b"[1]", b"not JSON", b'{"predictions": [[0.1]]}'],
)
def test_an_answer_of_another_form_is_refused(aws, body):
    news, stub = aws
    stub.add_response("invoke_endpoint", {"Body": io.BytesIO(body)})
    with pytest.raises(EndpointError, match="not in the form"):
        news(["a text"])


def test_every_class_of_error_has_its_sentence(aws):
    from botocore import exceptions

    news, _ = aws
    cases = {
        exceptions.NoCredentialsError(): "is not allowed",
        exceptions.ProfileNotFound(profile="key-to-hide"): "is not allowed",
        exceptions.ReadTimeoutError(endpoint_url="https://to-hide"): "did not answer in time",
        exceptions.EndpointConnectionError(endpoint_url="https://to-hide"): "cannot be reached",
        exceptions.ConnectionClosedError(endpoint_url="https://to-hide"): "cannot be reached",
        exceptions.BotoCoreError(): "could not be asked",
    }
    for error, says in cases.items():
        sentence = str(news._explained(error))
        assert says in sentence
        assert "to-hide" not in sentence


def test_a_server_of_our_own_answers_and_says_what_is_wrong(exported):
    with running_server(exported) as address:
        ours = endpoint.Endpoint(address)
        texts = [f"The bank cut its forecast {i}" for i in range(20)]
        assert ours(texts) == Predictor(exported)(texts)
        with pytest.raises(EndpointError, match="There is no endpoint"):
            endpoint.Endpoint(f"{address}/nowhere")(["a text"])
    with pytest.raises(EndpointError, match="cannot be reached"):
        ours(["a text"])


def test_a_server_with_a_token_is_told_it(exported, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_TOKEN", "wolf-quay")
    with running_server(exported) as address:
        ours = endpoint.Endpoint(address)
        assert ours(["a text"]) == Predictor(exported)(["a text"])
        monkeypatch.setenv("GPT2NEWS_TOKEN", "another")
        with pytest.raises(EndpointError, match="is not allowed"):
            ours(["a text"])


def test_an_endpoint_that_is_not_set_up(monkeypatch):
    pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EndpointError, match="set AWS_DEFAULT_REGION"):
        endpoint.Endpoint("news")
