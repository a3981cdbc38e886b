import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from newsserve import messages
from newsserve.predictor import ModelFolderError, Predictor
from newsserve.server import MAX_BODY, MAX_TEXTS, Batcher, BusyError, make_app

ROOT = Path(__file__).parents[2]
TEXTS = [
    "The bank cut its forecast",
    "Goal!",
    "The minister promised a vote on the new law " * 5,
    "",
]


def run(coroutine):
    """In a thread of its own: the browser tests keep a loop of theirs in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="module")
def client(exported):
    with TestClient(make_app(exported), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def wanted(exported) -> list[dict]:
    """What the predictor itself says of `TEXTS`, as JSON has it."""
    return json.loads(json.dumps([vars(answer) for answer in Predictor(exported)(TEXTS)]))


def test_ping(client):
    answer = client.get("/ping")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "model": "model.int8.onnx",
        "topics": ["business", "politics", "sport"],
    }


def test_one_text_gives_one_answer(client, exported):
    answer = client.post("/invocations", json={"text": TEXTS[0]})
    assert answer.status_code == 200
    (alone,) = Predictor(exported)([TEXTS[0]])
    assert answer.json() == vars(alone)
    assert set(answer.json()) == {
        "topic",
        "probability",
        "answered",
        "probabilities",
        "tokens",
        "truncated",
        "reason",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"texts": TEXTS},
        TEXTS,
        [{"text": text} for text in TEXTS],
        {"texts": [{"text": t} for t in TEXTS]},
        {"text": TEXTS},
    ],
    ids=["texts", "list", "list of objects", "texts of objects", "text"],
)
def test_many_texts_give_a_list_in_order(client, wanted, body):
    answer = client.post("/invocations", json=body)
    assert answer.status_code == 200
    assert answer.json() == wanted
    assert [row["answered"] for row in wanted] == [True, True, True, False]
    assert [row["truncated"] for row in wanted] == [False, False, True, False]


@pytest.mark.parametrize(
    "body",
    [{"texts": TEXTS[:1]}, TEXTS[:1], {"texts": TEXTS[0]}, {"texts": TEXTS[:1], "text": "other"}],
)
def test_a_list_of_one_stays_a_list(client, exported, body):
    (alone,) = Predictor(exported)(TEXTS[:1])
    assert client.post("/invocations", json=body).json() == [vars(alone)]


ALIKE = [
    ("application/jsonlines", "\n".join(json.dumps({"text": text}) for text in TEXTS) + "\n"),
    ("application/x-ndjson", "\n".join(json.dumps(text) for text in TEXTS)),
    # Many records of a batch transform: lines, under the name that a single record has.
    ("application/json", "\r\n".join(json.dumps({"text": text}) for text in TEXTS) + "\n"),
]


@pytest.mark.parametrize(("kind", "body"), ALIKE)
@pytest.mark.parametrize("path", ["/invocations", "/endpoints/news/invocations"])
def test_every_format_gets_the_same_answers(client, wanted, kind, body, path):
    answer = client.post(
        path, content=body, headers={"content-type": kind, "accept": "application/json"}
    )
    assert answer.json() == wanted


def test_without_a_choice_the_answer_comes_as_the_question_did(client, wanted):
    lines = client.post("/invocations", content=ALIKE[0][1], headers={"content-type": ALIKE[0][0]})
    assert lines.headers["content-type"] == "application/jsonlines"
    assert [json.loads(line) for line in lines.text.splitlines()] == wanted


@pytest.mark.parametrize(
    "kind", ["text/csv", "text/plain", "image/png", "application/xml; charset=utf-8"]
)
def test_another_content_type_is_refused_with_those_that_are_taken(client, kind):
    answer = client.post("/invocations", content="text\na\n", headers={"content-type": kind})
    assert answer.status_code == 415
    assert answer.json()["detail"] == answer.json()["message"]
    for taken in ("application/json", "application/jsonlines"):
        assert taken in answer.json()["detail"]


def test_a_batch_transform_is_told_how_to_ask(client):
    told = client.get("/execution-parameters").json()
    assert told["BatchStrategy"] == "SINGLE_RECORD"  # as many as there may be in a body: 256
    assert told["MaxConcurrentTransforms"] == 4
    assert 0 < 10**6 * told["MaxPayloadInMB"] <= 2_000_000


@pytest.fixture
def transform(exported, monkeypatch):
    """The server as AWS's batch transform starts it."""
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")
    with TestClient(make_app(exported), raise_server_exceptions=False) as client:
        yield client


def test_a_batch_transform_sends_six_megabytes_of_lines_at_once(client, transform, exported):
    """With `MultiRecord`, as many lines as fit, under the name that a single record has."""
    told = transform.get("/execution-parameters").json()
    assert told["MaxPayloadInMB"] == 6, "AWS's own figure where a job has none"
    texts = [f"{text} {number}" for number in range(500) for text in TEXTS]
    line = 6 * 2**20 // len(texts) - 1
    lines = [json.dumps({"text": text, "more": ""}) for text in texts]
    lines = [each.replace('"more": ""', f'"more": "{"x" * (line - len(each))}"') for each in lines]
    body = "\n".join(lines) + "\n"
    assert 6_000_000 < len(body) <= 6 * 2**20
    headers = {"content-type": "application/json", "accept": "application/jsonlines"}
    answer = transform.post("/invocations", content=body, headers=headers)
    assert answer.status_code == 200
    # What AWS writes with `AssembleWith: Line`: a new line behind each answer.
    assembled = f"{answer.text}\n".split("\n")
    assert assembled.pop() == ""
    assert len(assembled) == len(texts), "a line a text, and no blank one"
    said = [json.loads(each)["topic"] for each in assembled]
    assert said == [each.topic for each in Predictor(exported)(texts)]
    refused = client.post("/invocations", content=body, headers=headers)
    assert refused.status_code == 413, "what anybody may ask has a lower limit"


def test_a_transform_job_sets_its_own_size(exported, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BATCH", "True")
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "8")
    with TestClient(make_app(exported)) as client:
        assert client.get("/execution-parameters").json()["MaxPayloadInMB"] == 8
        body = json.dumps({"text": "x" * (8 * 2**20)})
        answer = client.post("/invocations", content=body)
        assert (answer.status_code, answer.json()["detail"]) == (413, "body over 8,388,608 bytes")


def test_json_over_several_lines_is_one_body(client, wanted):
    body = json.dumps([{"text": text} for text in TEXTS], indent=2)
    answer = client.post("/invocations", content=body)
    assert answer.json() == wanted
    assert client.post("/invocations", content=body.replace("},", "}")).status_code == 422


def test_a_type_that_is_not_offered_is_passed_over(client, wanted):
    for accept in ("text/csv", "text/html, application/json;q=0.5"):
        answer = client.post("/invocations", json={"texts": TEXTS}, headers={"accept": accept})
        assert answer.json() == wanted


def test_each_request_has_its_number(client):
    numbers = {
        client.post("/invocations", json={"text": "bank"}).headers["x-request-id"] for _ in range(3)
    }
    assert len(numbers) == 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, 'send {"text": "…"}'),
        ([], 'send {"text": "…"}'),
        ({"texts": []}, 'send {"text": "…"}'),
        ({"text": 3}, 'send {"text": "…"}'),
        ({"text": {"text": "a"}}, 'send {"text": "…"}'),
        ({"texts": None, "text": "a"}, 'send {"text": "…"}'),
        (None, 'send {"text": "…"}'),
        (7, 'send {"text": "…"}'),
        (["a", 3], "text number 2 is not a string"),
        ({"texts": ["a", "b", None]}, "text number 3 is not a string"),
        ([{"text": "a"}, {"body": "b"}], "text number 2 is not a string"),
        ([["a"]], "text number 1 is not a string"),
    ],
)
def test_a_body_of_another_form_is_refused_with_the_right_one(client, body, says):
    answer = client.post("/invocations", content=json.dumps(body))
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"text=a", b'{"text": "caf\xe9"}', b"\xff\xfe{", b"[" * 100_000, b"9" * 5000],
    ids=["empty", "cut", "form", "latin-1", "utf-16", "deep", "digits"],
)
def test_a_body_that_is_not_json_is_refused(client, raw):
    answer = client.post("/invocations", content=raw)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("bad request: ")


def test_half_a_surrogate_pair_is_answered(client):
    assert client.post("/invocations", content=rb'{"text": "the bank \ud83d"}').status_code == 200


# What the application is told of a request; the tests below send its body themselves.
POST = {
    "type": "http",
    "method": "POST",
    "path": "/invocations",
    "query_string": b"",
    "headers": [],
}


def test_a_body_that_does_not_come_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr("newsserve.server.BODY_SECONDS", 0.1)
    sent = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    began = time.monotonic()
    run(client.app(POST, receive, send))
    assert sent[0]["status"] == 408
    assert time.monotonic() - began < 10


def test_a_body_that_is_too_large_is_refused(client):
    answer = client.post("/invocations", content=json.dumps({"text": "a" * MAX_BODY}))
    assert answer.status_code == 413
    assert answer.json()["detail"] == "body over 2,000,000 bytes"
    assert (
        client.post("/invocations", content=b'{"text": "bank"}'.ljust(MAX_BODY)).status_code == 200
    )  # just as large as may be


def test_a_body_without_end_is_refused_before_it_has_all_come(client):
    """The test client would read the whole body first, so this speaks to the application itself."""
    asked, sent = [], []

    async def receive():
        asked.append(1)
        assert len(asked) < 20, "it reads without end"
        return {"type": "http.request", "body": b"a" * (MAX_BODY // 4), "more_body": True}

    async def send(message):
        sent.append(message)

    run(client.app(POST, receive, send))
    assert sent[0]["status"] == 413
    assert len(asked) == 5


def test_too_many_texts_are_refused(client):
    answer = client.post("/invocations", json=["bank"] * (MAX_TEXTS + 1))
    assert answer.status_code == 422
    assert "more than 256 texts in a request" in answer.json()["detail"]
    assert len(client.post("/invocations", json=["bank"] * MAX_TEXTS).json()) == MAX_TEXTS


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/invocations", 405), ("POST", "/ping", 405), ("GET", "/etc", 404)],
)
def test_other_requests(client, method, path, status):
    assert client.request(method, path).status_code == status


def test_a_token_is_asked_for(exported):
    with TestClient(make_app(exported, token="wolf-quay")) as client:
        assert client.get("/ping").status_code == 200
        for headers in ({}, {"authorization": "Bearer wolf"}, {"authorization": "wolf-quay"}):
            refused = client.post("/invocations", json={"text": "bank"}, headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/metrics").status_code == 401
        assert (
            client.post(
                "/invocations", json={"text": "bank"}, headers={"authorization": "Bearer wolf-quay"}
            ).status_code
            == 200
        )


def test_two_lengths_of_one_body_are_refused(client):
    headers = {"content-length": "16", "transfer-encoding": "chunked"}
    answer = client.post("/invocations", content=b'{"text": "bank"}', headers=headers)
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")


def test_nothing_redirects_and_nothing_loads_scripts(client):
    for path in ("/ping/", "/docs", "/redoc"):
        answer = client.get(path, headers={"host": "evil.example"}, follow_redirects=False)
        assert answer.status_code == 404
        assert "evil" not in str(answer.headers) + answer.text


def test_a_drain_fails_readiness_and_closes_behind_each_answer(exported):
    app = make_app(exported)
    with TestClient(app) as client:
        assert "connection" not in client.get("/ping").headers
        app.state.draining = True
        assert client.get("/ping").status_code == 503
        answer = client.post("/invocations", json={"text": "bank"})
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_tiny_rows_are_refused_before_they_are_looked_at(client):
    for kind, body in {
        "json": b"[" + b'"",' * 600_000 + b'""]',
        "jsonlines": b'""\n' * 600_000,
    }.items():
        began = time.monotonic()
        headers = {"content-type": f"application/{kind}"}
        answer = client.post("/invocations", content=body, headers=headers)
        assert answer.status_code == 422
        assert "more than 256 texts in a request" in answer.json()["detail"]
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * 600_000 + b"{}]",
        b"[" + b"0," * 900_000 + b"0]",
        b'[{"text": "bank"' + b', "a": 1' * 200_000 + b"}]",
        b'["' + b'\\"' * 900_000,
    ],
)
def test_a_million_parts_are_counted_before_they_are_built(body):
    began = time.process_time()
    with pytest.raises(messages.BadRequestError):
        messages.read(body, most=MAX_TEXTS)
    assert time.process_time() - began < 0.5


def test_what_comes_with_a_text_is_not_too_much():
    rows = [{"text": "The bank, the {bank}", **{str(i): [i] for i in range(12)}}] * MAX_TEXTS
    texts, single = messages.read(json.dumps(rows), most=MAX_TEXTS)
    assert (len(texts), single) == (MAX_TEXTS, False)


@pytest.mark.parametrize("blank", [b"\n", b" \n", b"\n }"])
def test_blank_lines_take_no_time(blank):
    """A pattern that tries each pair of them would take minutes for these."""
    began = time.process_time()
    with pytest.raises(messages.BadRequestError):
        messages.read(b'{"text": "x"}' + blank * 60_000 + b"x", most=MAX_TEXTS)
    assert time.process_time() - began < 1


def test_one_word_of_two_megabytes_is_cut_before_it_is_tokenised(exported):
    predictor = Predictor(exported)
    began = time.monotonic()
    ids, truncated = predictor.encode("7" * 1_900_000)
    assert (len(ids), truncated) == (24, True)
    assert ids == predictor.encode("7" * 2000)[0]
    assert time.monotonic() - began < 1


def test_metrics_count_what_was_asked(exported):
    with TestClient(make_app(exported)) as client:
        client.post("/invocations", json={"texts": TEXTS})
        client.post("/invocations", content=b"{")
        shown = client.get("/metrics").text.splitlines()
    assert 'gpt2news_request_seconds_count{status="200"} 1.0' in shown
    assert 'gpt2news_request_seconds_count{status="422"} 1.0' in shown
    assert sum(
        float(line.split()[-1]) for line in shown if line.startswith("gpt2news_answers_total{")
    ) == len(TEXTS)
    assert "gpt2news_waiting_texts 0.0" in shown


def test_the_log_has_the_number_and_never_the_text(client, caplog):
    caplog.set_level(logging.INFO, "gpt2news")
    answer = client.post("/invocations", json={"text": "xylophone quartet"})
    assert answer.headers["x-request-id"] in caplog.text
    assert "1 texts" in caplog.text
    assert "xylophone" not in caplog.text


def test_too_many_are_sent_away():
    """Eleven texts have a place; who comes then is told so, and the others are answered."""
    began, gate = [], threading.Event()

    def predict(texts):
        began.append(1)
        assert gate.wait(10)
        return [text.upper() for text in texts]

    async def main():
        batcher = Batcher(predict, size=8, limit=11)
        first = asyncio.create_task(batcher.answer(["first"]))
        while not began:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(batcher.answer([f"t{i}"])) for i in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="11 texts are waiting"):
            await batcher.answer(["one too many"])
        gate.set()
        return [
            *await first,
            *(answer for answers in await asyncio.gather(*others) for answer in answers),
        ]

    assert run(main()) == ["FIRST", *(f"T{i}" for i in range(10))]


def test_one_text_does_not_wait_behind_hundreds():
    """Two requests of 100 texts are in work when one text comes; 32 of theirs are before it."""
    batches = []

    def predict(texts):
        batches.append(list(texts))
        time.sleep(0.01)
        return texts

    async def main():
        batcher = Batcher(predict)
        large = [
            asyncio.create_task(batcher.answer([f"{name}{i}" for i in range(100)])) for name in "ab"
        ]
        while len(batches) < 2:
            await asyncio.sleep(0.001)
        seen = len(batches)
        assert await batcher.answer(["one"]) == ["one"]
        waited = len(batches) - seen
        return waited, [await task for task in large]

    waited, answers = run(main())
    assert waited <= 3
    assert answers == [[f"{name}{i}" for i in range(100)] for name in "ab"]


def test_nobody_works_for_a_caller_that_has_gone():
    asked = []

    async def gone():
        return bool(asked)

    async def main():
        batcher = Batcher(lambda texts: asked.extend(texts) or texts, size=2)
        with pytest.raises(ClientDisconnect):
            await batcher.answer(list("abcd"), gone)
        return batcher.waiting

    assert run(main()) == 0
    assert asked == ["a", "b"]


def test_a_failing_batch_reaches_its_callers_and_the_next_runs():
    def predict(texts):
        if "bad" in texts:
            raise ValueError("bad")
        return texts

    async def main():
        batcher = Batcher(predict)
        with pytest.raises(ValueError, match="bad"):
            await batcher.answer(["bad"])
        return await batcher.answer(["good"])

    assert run(main()) == ["good"]


def test_busy_is_said_with_a_time_to_come_again(exported, monkeypatch):
    async def busy(self, texts, gone):
        raise BusyError("512 texts are waiting")

    monkeypatch.setattr(Batcher, "answer", busy)
    with TestClient(make_app(exported)) as client:
        answer = client.post("/invocations", json={"text": "bank"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_a_folder_that_cannot_be_served_stops_the_start(tmp_path):
    with pytest.raises(ModelFolderError, match=r"no serving\.json"):
        make_app(tmp_path)


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Until it answers `/ping`."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/ping").status_code == 200:
                return
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def serving(exported, log):
    """The server as a process, once it answers: its port, and the process."""
    port = free_port()
    command = [sys.executable, "-m", "newsserve", "serve", "--port", str(port)]
    with open(log, "w") as sink:
        server = subprocess.Popen([*command, "--model", str(exported)], stderr=sink)
    try:
        wait_for(port, server)
        yield port, server
    finally:
        server.kill()
        server.wait()


@pytest.mark.skipif(not shutil.which("haproxy"), reason="apt-get install haproxy")
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_client_that_closes_its_half_behind_the_body_is_answered(exported, tmp_path, pieces):
    """By the proxy that stands in front, as uvicorn cannot; also where the body comes in pieces."""
    body = json.dumps({"text": "The bank of the year " * 40}).encode()
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    size, port = -(-len(body) // pieces), free_port()
    with serving(exported, tmp_path / "log") as (inner, _):
        names = {"NEWS_BIND": f"127.0.0.1:{port}", "NEWS_SERVER": f"127.0.0.1:{inner}"}
        command = ["haproxy", "-db", "-f", str(ROOT / "deploy" / "haproxy.cfg")]
        proxy = subprocess.Popen(command, env=os.environ | names, stdout=subprocess.DEVNULL)
        try:
            wait_for(port, proxy)
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", port), 60) as client:
                    client.sendall(head.encode())
                    for start in range(0, len(body), size):
                        client.sendall(body[start : start + size])
                    client.shutdown(socket.SHUT_WR)
                    reply = b""
                    while part := client.recv(65536):
                        reply += part
                assert reply.startswith(b"HTTP/1.1 200"), reply
                assert b'"topic"' in reply
        finally:
            proxy.kill()
            proxy.wait()


def test_sigterm_lets_the_requests_in_flight_finish(exported, tmp_path):
    """Every request that the server began has its answer, as its own log and the clients both
    count them."""
    stopped = threading.Event()

    def ask(_) -> int:
        """Answers that one client got, from a new connection each, until there is no server any
        more."""
        got = 0
        while True:
            try:
                answer = httpx.post(
                    f"{address}/invocations",
                    json={"texts": ["the bank of the year " * 5] * 60},
                    timeout=30,
                )
            except httpx.TransportError:
                return got
            assert answer.status_code == 200
            got += 1
            stopped.set()

    with serving(exported, tmp_path / "log") as (port, server), ThreadPoolExecutor(8) as pool:
        address = f"http://127.0.0.1:{port}"
        clients = [pool.submit(ask, i) for i in range(8)]
        assert stopped.wait(30)
        server.terminate()
        got = sum(client.result(60) for client in clients)
        server.wait(30)
    assert (tmp_path / "log").read_text().count(": 200, 60 texts") == got > 0
