"""The predictor behind HTTP, as `openapi.json` describes it: the form of SageMaker's containers.

boto3's `sagemaker-runtime` client asks it when `AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME` holds its
address.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import signal
import time
import uuid
from pathlib import Path

import prometheus_client as prometheus
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from newsserve import messages
from newsserve.predictor import Answer, Model, Predictor

MAX_BODY = 2_000_000
MAX_TEXTS = 256
BODY_SECONDS = 15
DRAIN_SECONDS = 5  # after SIGTERM, for clients to find out
# deploy/haproxy.cfg has what uvicorn lacks.
LIMITS = {
    "limit_concurrency": 512,
    "backlog": 128,
    "h11_max_incomplete_event_size": 16_384,
    "timeout_keep_alive": 30,
    "timeout_graceful_shutdown": 20,
}
CLOSE, LATER = {"Connection": "close"}, {"Retry-After": "1"}
log = logging.getLogger("gpt2news")


class BusyError(RuntimeError):
    """More texts are waiting than may."""


PROBLEMS = {
    asyncio.TimeoutError: (408, f"no whole body in {BODY_SECONDS} s", CLOSE),
    messages.UnknownTypeError: (415, "{}", None),
    messages.BadRequestError: (422, "bad request: {}", None),
    BusyError: (429, "busy, try again in a second: {}", LATER),
    ClientDisconnect: (499, "the client has gone", None),
}


class Batcher:
    """`await batcher.answer(texts)`: the answers of `predict(texts)`, run in a thread.

    In the order of asking, `size` texts a turn: no text waits behind hundreds of another's. At most
    `limit` texts may wait.
    """

    def __init__(self, predict: Model, size: int = 16, limit: int = 4 * MAX_TEXTS):
        self.predict, self.size, self.limit = predict, size, limit
        self.waiting, self.turn = 0, asyncio.Lock()

    async def answer(self, texts: list[str], gone=None) -> list[Answer]:
        """One answer a text, in order, unless `await gone()`; raises BusyError: too many wait."""
        if self.waiting and self.waiting + len(texts) > self.limit:
            raise BusyError(f"{self.waiting} texts are waiting")
        self.waiting += len(texts)
        try:
            answers = []
            for start in range(0, len(texts), self.size):
                some = texts[start : start + self.size]
                async with self.turn:
                    if gone and await gone():
                        raise ClientDisconnect
                    answers += await asyncio.to_thread(self.predict, some)
            return answers
        finally:
            self.waiting -= len(texts)


def problem(_: Request, error: HTTPException) -> JSONResponse:
    """What went wrong, under FastAPI's key and under the one that boto3 shows."""
    says = {"detail": error.detail, "message": error.detail}
    return JSONResponse(says, error.status_code, error.headers)


def limits() -> tuple[int, int]:
    """Bytes and texts of a body; a batch transform of AWS, whose server is its own, sets them."""
    if os.environ.get("SAGEMAKER_BATCH", "").lower() != "true":
        return MAX_BODY, MAX_TEXTS
    return int(os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB") or 6) * 2**20, 10**9


async def body_of(request: Request, most: int) -> bytes:
    """The body; refused as soon as it is over `most` bytes."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            raise HTTPException(413, f"body over {most:,} bytes")
    return bytes(raw)


def make_app(folder: str | Path, token: str | None = None) -> FastAPI:
    """The web application that serves one model folder, else ModelFolderError.

    With a token, all but `/ping` asks for `Authorization: Bearer …`. While `app.state.draining`,
    `/ping` fails and each answer ends its connection.
    """
    predictor = Predictor(folder)
    (most_bytes, most_texts), registry = limits(), prometheus.CollectorRegistry()
    batcher = Batcher(predictor, limit=4 * most_texts)
    here = {"namespace": "gpt2news", "registry": registry}
    answered = prometheus.Counter("answers_total", "Texts", ["topic", "answered"], **here)
    seconds = prometheus.Histogram("request_seconds", "Until the answer", ["status"], **here)
    waiting = prometheus.Gauge("waiting_texts", "Not yet answered", **here)
    waiting.set_function(lambda: batcher.waiting)
    # No scripts from elsewhere, no redirect to whatever `Host` says.
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False)
    app.openapi = json.loads(Path(__file__).with_name("openapi.json").read_text("utf-8")).copy
    app.exception_handler(HTTPException)(problem)
    app.state.draining = False

    @app.middleware("http")
    async def each(request: Request, call_next) -> Response:
        """Gives a number, a measure, and a log line without the text."""
        number, began = uuid.uuid4().hex[:12], time.perf_counter()
        request.state.texts = 0
        given = request.headers.get("authorization", "").encode()
        known = not token or hmac.compare_digest(given, f"Bearer {token}".encode())
        if {"content-length", "transfer-encoding"} <= {*request.headers}:
            # A proxy may go by the other one: a request could hide in the body.
            answer = problem(request, HTTPException(400, "two lengths of one body", CLOSE))
        elif known or request.url.path == "/ping":
            answer = await call_next(request)
        else:
            scheme = {"WWW-Authenticate": "Bearer"}
            answer = problem(request, HTTPException(401, "a bearer token is needed", scheme))
        spent = time.perf_counter() - began
        answer.headers["X-Request-Id"] = number
        if app.state.draining:
            answer.headers.update(CLOSE)
        if request.url.path.endswith("/invocations"):
            seconds.labels(answer.status_code).observe(spent)
            line = "request %s: %d, %d texts, %.0f ms"
            log.info(line, number, answer.status_code, request.state.texts, spent * 1000)
        return answer

    @app.get("/ping")
    async def ping() -> dict:
        """Ready to answer."""
        if app.state.draining:
            raise HTTPException(503, "shutting down")
        return {"status": "ok", "model": predictor.model_file, "topics": predictor.topics}

    @app.get("/execution-parameters")
    def execution_parameters() -> dict:
        """What AWS's batch transform asks before it begins."""
        told = {"BatchStrategy": "SINGLE_RECORD", "MaxConcurrentTransforms": 4}
        return told | {"MaxPayloadInMB": most_bytes // 2**20}

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """For Prometheus."""
        shown = prometheus.generate_latest(registry)
        return Response(shown, media_type=prometheus.CONTENT_TYPE_LATEST)

    @app.post("/endpoints/{name}/invocations")  # the address that boto3's invoke_endpoint calls
    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        """One text gives one answer, several give a list."""
        asked = request.headers.get("content-type")
        try:
            raw = await asyncio.wait_for(body_of(request, most_bytes), BODY_SECONDS)
            # A thread would hold up all others just as long.
            texts, single = messages.read(raw, asked, most_texts)
            request.state.texts = len(texts)
            answers = await batcher.answer(texts, request.is_disconnected)
        except tuple(PROBLEMS) as error:
            status, says, headers = PROBLEMS[type(error)]
            raise HTTPException(status, says.format(error), headers) from error
        for answer in answers:
            answered.labels(answer.topic, answer.answered).inc()
        content, kind = messages.write(answers, single, request.headers.get("accept"), asked)
        return Response(content, media_type=kind)

    return app


class Server(uvicorn.Server):
    """uvicorn's, which goes on for DRAIN_SECONDS after SIGTERM."""

    def handle_exit(self, sig, frame):
        state, loop, stop = self.config.app.state, asyncio.get_running_loop(), super().handle_exit
        if sig == signal.SIGTERM and not state.draining:
            state.draining = True
            loop.call_soon_threadsafe(loop.call_later, DRAIN_SECONDS, stop, sig, frame)
        else:
            stop(sig, frame)


def serve(folder: str | Path, host: str, port: int, token: str | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = make_app(folder, token)
    options = {"log_level": "error", "access_log": False, "http": "h11", "ws": "none"}
    Server(uvicorn.Config(app, host, port, **options, **LIMITS)).run()
