"""The predictor behind HTTP, in the form that SageMaker's containers keep: `GET /ping`, `POST /invocations`.

`POST /endpoints/{name}/invocations` answers the same, so that a boto3 `sagemaker-runtime` client talks to this server when
`AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME` holds its address. What is asked and answered: `serving/formats.py`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import time
import uuid
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

from newsserve import messages as formats
from newsserve.batcher import Batcher, BusyError
from newsserve.predictor import Predictor

MAX_BODY = 2_000_000
MAX_TEXTS = 256
BODY_SECONDS = 30
log = logging.getLogger("gpt2news")

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ANSWER = {
    "type": "object",
    "required": ["topic", "probability", "answered", "probabilities", "tokens", "truncated"],
    "properties": {
        "topic": {"type": "string"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "answered": {"type": "boolean", "description": "false: not sure"},
        "probabilities": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "likeliest first",
        },
        "tokens": {"type": "integer", "minimum": 0},
        "truncated": {"type": "boolean"},
    },
}
TEXT = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
    ]
}
MANY = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": MAX_TEXTS}
ASKED = {
    "anyOf": [TEXT, MANY, {"type": "object", "required": ["texts"], "properties": {"texts": MANY}}]
}
PROBLEM = {
    "type": "object",
    "required": ["detail", "message"],
    "properties": {"detail": {"type": "string"}, "message": {"type": "string"}},
}
PROBLEMS = {401: "no or a wrong bearer token", 408: "the body did not come in time", 413: "the body is too large",
            415: "a content type that is not taken", 422: "a body that cannot be read", 429: "too many texts are waiting"}  # fmt: skip
OPENAPI = {
    "requestBody": {
        "required": True,
        "content": {
            formats.JSON: {"schema": ASKED},
            formats.LINES: {
                "schema": {"type": "string"},
                "example": '{"text": "Shares fell."}\n{"text": "A late goal."}\n',
            },
            formats.CSV: {
                "schema": {"type": "string"},
                "example": "text\nShares fell.\nA late goal.\n",
            },
            formats.PLAIN: {"schema": {"type": "string"}, "example": "Shares fell."},
        },
    },
    "responses": {
        200: {
            "description": "one object for one text, a list for several",
            "content": {
                formats.JSON: {"schema": {"anyOf": [ANSWER, {"type": "array", "items": ANSWER}]}},
                formats.LINES: {"schema": {"type": "string"}},
                formats.CSV: {"schema": {"type": "string"}},
            },
        },
        **{
            status: {"description": says, "content": {formats.JSON: {"schema": PROBLEM}}}
            for status, says in PROBLEMS.items()
        },
    },
}


class Metrics:
    """What `/metrics` shows."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gpt2news_requests_total", "Requests answered", ["status"], registry=self.registry
        )
        self.answers = Counter(
            "gpt2news_answers_total",
            "Texts answered",
            ["topic", "answered"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "gpt2news_request_seconds",
            "From request to answer",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            "gpt2news_batch_texts", "Texts that ran together", buckets=TEXTS, registry=self.registry
        )
        self.waiting = Gauge(
            "gpt2news_waiting_texts", "Texts that wait for their turn", registry=self.registry
        )


def problem(status: int, says: str, **headers: str) -> JSONResponse:
    """An answer that says what went wrong, under FastAPI's key and under the one that boto3 shows."""
    return JSONResponse(
        {"detail": says, "message": says},
        status,
        headers={name.replace("_", "-"): v for name, v in headers.items()},
    )


async def body_of(request: Request) -> bytes | None:
    """The body, or None as soon as more than MAX_BODY bytes have come."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            return None
    return bytes(raw)


def make_app(folder: str | Path, token: str | None = None, waiting: int = 512) -> FastAPI:
    """The web application that serves one model folder.

    Args:
        token: what `Authorization: Bearer …` has to hold for everything but `/ping`; None lets all in.
        waiting: texts that may wait for their turn; more are told to come again (429).

    Raises:
        ModelFolderError: the folder cannot be served.
    """
    predictor, metrics = Predictor(folder), Metrics()
    batcher = Batcher(predictor, waiting=waiting, watch=metrics.batches.observe)
    metrics.waiting.set_function(lambda: batcher.waiting)
    app = FastAPI(title="gpt2-news", description="Sorts news articles into topics.", version="1")

    @app.middleware("http")
    async def each(request: Request, call_next) -> Response:
        """Every request gets a number, a log line without its text, a measure, and an answer."""
        number, began = uuid.uuid4().hex[:12], time.perf_counter()
        request.state.texts = 0
        given = request.headers.get("authorization", "").encode()
        if (
            token
            and request.url.path != "/ping"
            and not hmac.compare_digest(given, f"Bearer {token}".encode())
        ):
            answer = problem(401, "a bearer token is needed", WWW_Authenticate="Bearer")
        else:
            answer = await call_next(request)
        spent = time.perf_counter() - began
        answer.headers["X-Request-Id"] = number
        if request.url.path.endswith("/invocations"):
            metrics.requests.labels(answer.status_code).inc()
            metrics.seconds.observe(spent)
            log.info(
                "request %s: %d, %d texts, %.0f ms",
                number,
                answer.status_code,
                request.state.texts,
                spent * 1000,
            )
        return answer

    @app.get("/ping")
    def ping() -> dict:
        """Ready to answer."""
        return {"status": "ok", "model": predictor.model_file, "topics": predictor.topics}

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def show_metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def invocations(request: Request) -> Response:
        try:
            raw = await asyncio.wait_for(body_of(request), BODY_SECONDS)
        except asyncio.TimeoutError:
            return problem(408, f"the body did not come in {BODY_SECONDS} s")
        if raw is None:
            return problem(413, f"body over {MAX_BODY:,} bytes")
        asked = request.headers.get("content-type")
        try:
            texts, single = formats.read(raw, asked)
        except formats.UnknownTypeError as error:
            return problem(415, str(error))
        except formats.BadRequestError as error:
            return problem(422, f"bad request: {error}")
        if len(texts) > MAX_TEXTS:
            return problem(422, f"bad request: {len(texts)} texts; at most {MAX_TEXTS} a request")
        request.state.texts = len(texts)
        try:
            answers = await batcher.answer(texts)
        except BusyError as error:
            return problem(429, f"busy, try again in a second: {error}", Retry_After="1")
        for answer in answers:
            metrics.answers.labels(answer.topic, answer.answered).inc()
        content, kind = formats.write(answers, single, request.headers.get("accept"), asked)
        return Response(content, media_type=kind)

    @app.post("/invocations", openapi_extra=OPENAPI, response_class=Response)
    async def ours(request: Request) -> Response:
        """One text gives one answer, several a list: topic, probability, answered (false: not sure), probabilities."""
        return await invocations(request)

    @app.post("/endpoints/{name}/invocations", openapi_extra=OPENAPI, response_class=Response)
    async def boto3s(name: str, request: Request) -> Response:
        """The same under the address that boto3's `invoke_endpoint` calls."""
        return await invocations(request)

    return app


def serve(folder: str | Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished. A bearer token is taken from GPT2NEWS_TOKEN."""
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
