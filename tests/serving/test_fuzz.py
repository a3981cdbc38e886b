"""The server against requests that nobody would think of: no 5xx, no hang, every answer as its
OpenAPI document says."""

import json

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from newsserve.server import make_app

FEW = settings(
    max_examples=25,
    deadline=5000,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
KINDS = [
    "application/json",
    "application/jsonlines",
    "application/x-ndjson",
    "text/csv",
    "text/plain",
    "image/png",
    "",
    "text/csv; charset=x",
]


def test_what_the_document_allows(exported):
    """Schemathesis without its pytest plugin, which does not know this pytest."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(exported))
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {operation.path for operation in operations} == {
        "/ping",
        "/metrics",
        "/execution-parameters",
        "/invocations",
        "/endpoints/{name}/invocations",
    }
    for operation in operations:

        @FEW
        @given(case=operation.as_strategy())
        def check(case):
            # A schema cannot say what JSON lines look like: what it calls right may be refused,
            # with 422, and the reverse.
            case.call_and_validate(
                excluded_checks=[positive_data_acceptance, negative_data_rejection]
            )

        check()


@pytest.fixture(scope="module")
def client(exported):
    with TestClient(make_app(exported), raise_server_exceptions=False) as client:
        yield client


any_json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=50),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "texts", "other"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(FEW, max_examples=100)
@given(
    body=st.binary(max_size=300),
    kind=st.sampled_from(KINDS),
    accept=st.sampled_from([*KINDS, "*/*", "text/html, text/csv;q=0.5"]),
)
def test_any_bytes(client, body, kind, accept):
    answer = client.post(
        "/invocations", content=body, headers={"content-type": kind, "accept": accept}
    )
    assert answer.status_code in (200, 415, 422)
    assert answer.status_code == 200 or answer.json()["detail"]


@settings(FEW, max_examples=100)
@given(body=any_json)
def test_any_json(client, body):
    answer = client.post("/invocations", content=json.dumps(body))
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        rows = answer.json() if isinstance(answer.json(), list) else [answer.json()]
        assert all(abs(sum(row["probabilities"].values()) - 1) < 1e-6 for row in rows)
        assert all(0 <= row["probability"] <= 1 and row["tokens"] >= 0 for row in rows)
