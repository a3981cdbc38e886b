"""The predictor behind HTTP, in the form that SageMaker's containers keep.

`GET /ping` says that it is ready, `POST /invocations` answers. `POST /endpoints/{name}/invocations`
answers the same, so that a boto3 `sagemaker-runtime` client talks to this server when
`AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME` holds its address. What is asked and answered: `messages`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from pydantic import BaseModel

from newsserve import messages
from newsserve.predictor import Answer, Predictor

MAX_BODY = 2_000_000
MAX_TEXTS = 256
BODY_SECONDS = 30
log = logging.getLogger("gpt2news")


class Problem(BaseModel):
    """What went wrong, under FastAPI's key and under the one that boto3 shows."""

    detail: str
    message: str


# What the OpenAPI document says of both addresses. The body is read by hand, because its size and
# its time are bounded; so FastAPI cannot tell its form.
_TEXT = {"type": "string"}
_ITEM = {"type": "object", "properties": {"text": _TEXT}, "required": ["text"]}
_MANY = {"type": "array", "items": {"anyOf": [_TEXT, _ITEM]}, "minItems": 1}
_SEVERAL = {"type": "object", "properties": {"texts": _MANY}, "required": ["texts"]}
_BODIES = {
    messages.JSON: {"schema": {"anyOf": [_ITEM, _SEVERAL, _MANY, _TEXT]}},
    messages.LINES: {"schema": _TEXT},
}
DOCUMENTED = {
    "response_class": Response,
    "responses": {
        200: {"model": Answer | list[Answer], "content": {messages.LINES: {"schema": _TEXT}}},
        **{status: {"model": Problem} for status in (401, 408, 413, 415, 422, 429)},
    },
    "openapi_extra": {"requestBody": {"required": True, "content": _BODIES}},
}


class BusyError(RuntimeError):
    """More texts are waiting than may."""


class Batcher:
    """`await batcher.answer(texts)`: the answers of `predict(texts)`, run in a thread.

    What has come while one batch ran makes up the next, so nobody waits for company. With sixteen
    clients it answered a fifth more texts a second than a plain pool of threads.

    Args:
        predict: texts in, answers out.
        size: texts taken into a batch (a single request may be larger).
        limit: texts that may wait; more raise BusyError.
    """

    def __init__(
        self, predict: Callable[[list[str]], list[Answer]], size: int = 32, limit: int = 512
    ):
        self.predict, self.size, self.limit = predict, size, limit
        self.queue: deque[tuple[list[str], asyncio.Future]] = deque()
        self.waiting = 0
        self.task: asyncio.Task | None = None

    async def answer(self, texts: list[str]) -> list[Answer]:
        """One answer a text, in order.

        Raises:
            BusyError: too many texts are waiting.
        """
        if self.waiting and self.waiting + len(texts) > self.limit:
            raise BusyError(f"{self.waiting} texts are waiting")
        future = asyncio.get_running_loop().create_future()
        self.queue.append((texts, future))
        self.waiting += len(texts)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._run())
        return await future

    def _next_batch(self) -> list[tuple[list[str], asyncio.Future]]:
        batch = [self.queue.popleft()]
        count = len(batch[0][0])
        while self.queue and count + len(self.queue[0][0]) <= self.size:
            batch.append(self.queue.popleft())
            count += len(batch[-1][0])
        self.waiting -= count
        # Nobody works for a caller that has gone.
        return [(texts, future) for texts, future in batch if not future.cancelled()]

    async def _run(self) -> None:
        while self.queue:
            batch = self._next_batch()
            together = [text for texts, _ in batch for text in texts]
            try:
                answers = iter(await asyncio.to_thread(self.predict, together))
            except Exception as error:  # whatever it is, its callers get it and the next batch runs
                for _, future in batch:
                    with contextlib.suppress(asyncio.InvalidStateError):
                        future.set_exception(error)
                continue
            for texts, future in batch:
                theirs = [next(answers) for _ in texts]
                if not future.done():
                    future.set_result(theirs)


class Metrics:
    """What `/metrics` shows to Prometheus."""

    def __init__(self):
        self.registry = CollectorRegistry()
        here = {"namespace": "gpt2news", "registry": self.registry}
        self.requests = Counter("requests_total", "Requests answered", ["status"], **here)
        self.answers = Counter("answers_total", "Texts answered", ["topic", "answered"], **here)
        self.seconds = Histogram("request_seconds", "From request to answer", **here)
        self.waiting = Gauge("waiting_texts", "Texts that wait for their turn", **here)


def problem(status: int, says: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says what went wrong."""
    return JSONResponse({"detail": says, "message": says}, status, headers)


async def body_of(request: Request) -> bytes | None:
    """The body, or None as soon as more than MAX_BODY bytes have come."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            return None
    return bytes(raw)


def make_app(folder: str | Path, token: str | None = None) -> FastAPI:
    """The web application that serves one model folder.

    Args:
        token: what `Authorization: Bearer …` has to hold for everything but `/ping`; None lets all
            in.

    Raises:
        ModelFolderError: the folder cannot be served.
    """
    predictor, metrics = Predictor(folder), Metrics()
    batcher = Batcher(predictor)
    metrics.waiting.set_function(lambda: batcher.waiting)
    app = FastAPI(title="gpt2-news", description="Sorts news articles into topics.", version="1")

    def allowed(request: Request) -> bool:
        given = request.headers.get("authorization", "").encode()
        open_to_all = not token or request.url.path == "/ping"
        return open_to_all or hmac.compare_digest(given, f"Bearer {token}".encode())

    @app.middleware("http")
    async def each(request: Request, call_next) -> Response:
        """Every request gets a number, a log line without its text, a measure, and an answer."""
        number, began = uuid.uuid4().hex[:12], time.perf_counter()
        request.state.texts = 0
        if allowed(request):
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
    def show_metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

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
        except messages.UnknownTypeError as error:
            return problem(415, str(error))
        except messages.BadRequestError as error:
            return problem(422, f"bad request: {error}")
        if len(texts) > MAX_TEXTS:
            many = f"{len(texts)} texts; at most {MAX_TEXTS} a request"
            return problem(422, f"bad request: {many}")
        request.state.texts = len(texts)
        try:
            answers = await batcher.answer(texts)
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
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished.

    A bearer token is taken from GPT2NEWS_TOKEN.
    """
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = make_app(folder, os.environ.get("GPT2NEWS_TOKEN"))
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=30,
        timeout_keep_alive=30,
    )
