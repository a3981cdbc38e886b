"""The predictor behind HTTP, in the form that SageMaker's containers keep.

`GET /ping` says that it is ready, `POST /invocations` answers what `messages` describes. `POST
/endpoints/{name}/invocations` answers the same to boto3's `sagemaker-runtime` client, when
`AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME` holds the server's address.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import time
import uuid
from collections import deque
from itertools import islice
from pathlib import Path

import prometheus_client as prometheus
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from newsserve import messages
from newsserve.predictor import Answer, Model, Predictor

MAX_BODY = 2_000_000
MAX_TEXTS = 256
BODY_SECONDS = 30
log = logging.getLogger("gpt2news")


class Question(BaseModel):
    """One text, or several; `messages` reads other forms of the same as well."""

    text: str | None = None
    texts: list[str] | None = None


# For the OpenAPI document: the body is read by hand, because its size is bounded, so FastAPI cannot
# tell its form.
DOCUMENTED = {
    "response_class": Response,
    "responses": {
        200: {"model": Answer | list[Answer], "content": {messages.LINES: {}}},
        **{status: {"model": dict[str, str]} for status in (401, 408, 413, 415, 422, 429)},
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                messages.JSON: {"schema": Question.model_json_schema()},
                messages.LINES: {"schema": {"type": "string"}},
            },
        }
    },
}


class BusyError(RuntimeError):
    """More texts are waiting than may."""


class Batcher:
    """`await batcher.answer(texts)`: the answers of `predict(texts)`, run in a thread.

    What has come while one batch ran makes up the next, so nobody waits for company: up to `size`
    texts, or a single larger request. With sixteen clients it answered a fifth more texts a second
    than a plain pool of threads. At most `limit` texts may wait.
    """

    def __init__(self, predict: Model, size: int = 32, limit: int = 512):
        self.predict, self.size, self.limit = predict, size, limit
        self.queue: deque[tuple[list[str], asyncio.Future]] = deque()
        self.task: asyncio.Task | None = None

    def waiting(self) -> int:
        """Texts that wait for their turn."""
        return sum(len(texts) for texts, _ in self.queue)

    async def answer(self, texts: list[str]) -> list[Answer]:
        """One answer a text, in order; raises BusyError when too many are waiting."""
        waiting = self.waiting()
        if waiting and waiting + len(texts) > self.limit:
            raise BusyError(f"{waiting} texts are waiting")
        future = asyncio.get_running_loop().create_future()
        self.queue.append((texts, future))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self.queue:
            batch, together = [], []
            while self.queue and (not batch or len(together) + len(self.queue[0][0]) <= self.size):
                texts, future = self.queue.popleft()
                if not future.cancelled():  # nobody works for a caller that has gone
                    batch.append((texts, future))
                    together += texts
            try:
                answers = iter(await asyncio.to_thread(self.predict, together))
            except Exception as error:  # whatever it is, its callers get it and the next batch runs
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for texts, future in batch:
                theirs = list(islice(answers, len(texts)))
                if not future.done():
                    future.set_result(theirs)


class Metrics:
    """What `/metrics` shows to Prometheus."""

    def __init__(self):
        self.registry = prometheus.CollectorRegistry()
        here = {"namespace": "gpt2news", "registry": self.registry}
        self.requests = prometheus.Counter("requests_total", "Requests", ["status"], **here)
        self.answers = prometheus.Counter("answers_total", "Texts", ["topic", "answered"], **here)
        self.seconds = prometheus.Histogram("request_seconds", "Until the answer", **here)
        self.waiting = prometheus.Gauge("waiting_texts", "Texts in the queue", **here)


def problem(status: int, says: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """What went wrong, under FastAPI's key and under the one that boto3 shows."""
    return JSONResponse({"detail": says, "message": says}, status, headers)


async def body_of(request: Request) -> bytes | None:
    """The body, or None as soon as it is too large."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            return None
    return bytes(raw)


def make_app(folder: str | Path, token: str | None = None) -> FastAPI:
    """The web application that serves one model folder, else ModelFolderError.

    With a token, all but `/ping` asks for `Authorization: Bearer …`.
    """
    predictor, metrics = Predictor(folder), Metrics()
    batcher = Batcher(predictor)
    metrics.waiting.set_function(batcher.waiting)
    app = FastAPI(title="gpt2-news", description="Sorts news articles into topics.", version="1")

    @app.middleware("http")
    async def each(request: Request, call_next) -> Response:
        """Every request gets a number, a measure, and a log line without its text."""
        number, began = uuid.uuid4().hex[:12], time.perf_counter()
        request.state.texts = 0
        given = request.headers.get("authorization", "").encode()
        known = not token or hmac.compare_digest(given, f"Bearer {token}".encode())
        if known or request.url.path == "/ping":
            answer = await call_next(request)
        else:
            answer = problem(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
        spent = time.perf_counter() - began
        answer.headers["X-Request-Id"] = number
        if request.url.path.endswith("/invocations"):
            metrics.requests.labels(answer.status_code).inc()
            metrics.seconds.observe(spent)
            line = "request %s: %d, %d texts, %.0f ms"
            log.info(line, number, answer.status_code, request.state.texts, spent * 1000)
        return answer

    @app.get("/ping")
    def ping() -> dict:
        """Ready to answer."""
        return {"status": "ok", "model": predictor.model_file, "topics": predictor.topics}

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def show_metrics() -> Response:  # in the loop, for the queue changes there
        """For Prometheus."""
        shown = prometheus.generate_latest(metrics.registry)
        return Response(shown, media_type=prometheus.CONTENT_TYPE_LATEST)

    @app.post("/invocations", **DOCUMENTED)
    async def invocations(request: Request) -> Response:
        """One text gives one answer, several give a list."""
        try:
            raw = await asyncio.wait_for(body_of(request), BODY_SECONDS)
        except asyncio.TimeoutError:
            return problem(408, f"the body did not come in {BODY_SECONDS} s")
        if raw is None:
            return problem(413, f"body over {MAX_BODY:,} bytes")
        asked = request.headers.get("content-type")
        try:
            texts, single = messages.read(raw, asked)
            if len(texts) > MAX_TEXTS:
                many = f"{len(texts)} texts; at most {MAX_TEXTS} a request"
                raise messages.BadRequestError(many)
            request.state.texts = len(texts)
            answers = await batcher.answer(texts)
        except messages.UnknownTypeError as error:
            return problem(415, str(error))
        except messages.BadRequestError as error:
            return problem(422, f"bad request: {error}")
        except BusyError as error:
            return problem(429, f"busy, try again in a second: {error}", {"Retry-After": "1"})
        for answer in answers:
            metrics.answers.labels(answer.topic, answer.answered).inc()
        content, kind = messages.write(answers, single, request.headers.get("accept"), asked)
        return Response(content, media_type=kind)

    @app.post("/endpoints/{name}/invocations", **DOCUMENTED)
    async def invoke_endpoint(name: str, request: Request) -> Response:
        """The same under the address that boto3's `invoke_endpoint` calls."""
        return await invocations(request)

    return app


def serve(folder: str | Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished. Token: GPT2NEWS_TOKEN."""
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = make_app(folder, os.environ.get("GPT2NEWS_TOKEN"))
    wait = {"timeout_graceful_shutdown": 30, "timeout_keep_alive": 30}
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, **wait)
