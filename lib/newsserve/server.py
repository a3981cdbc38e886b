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
import time
import uuid
from collections import deque
from itertools import islice
from pathlib import Path

import prometheus_client as prometheus
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from newsserve import messages
from newsserve.predictor import Answer, Model, Predictor

MAX_BODY = 2_000_000
MAX_TEXTS = 256
BODY_SECONDS = 30
log = logging.getLogger("gpt2news")


class BusyError(RuntimeError):
    """More texts are waiting than may."""


class Batcher:
    """`await batcher.answer(texts)`: the answers of `predict(texts)`, run in a thread.

    What has come while one batch ran makes up the next, so nobody waits for company: up to `size`
    texts, or a single larger request. At most `limit` texts may wait.
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


def problem(_: Request, error: HTTPException) -> JSONResponse:
    """What went wrong, under FastAPI's key and under the one that boto3 shows."""
    says = {"detail": error.detail, "message": error.detail}
    return JSONResponse(says, error.status_code, error.headers)


async def body_of(request: Request) -> bytes:
    """The body; refused as soon as it is too large."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            raise HTTPException(413, f"body over {MAX_BODY:,} bytes")
    return bytes(raw)


def make_app(folder: str | Path, token: str | None = None) -> FastAPI:
    """The web application that serves one model folder, else ModelFolderError.

    With a token, all but `/ping` asks for `Authorization: Bearer …`.
    """
    predictor = Predictor(folder)
    batcher, registry = Batcher(predictor), prometheus.CollectorRegistry()
    here = {"namespace": "gpt2news", "registry": registry}
    answered = prometheus.Counter("answers_total", "Texts", ["topic", "answered"], **here)
    seconds = prometheus.Histogram("request_seconds", "Until the answer", ["status"], **here)
    prometheus.Gauge("waiting_texts", "In the queue", **here).set_function(batcher.waiting)
    # No scripts from elsewhere, no redirect to whatever `Host` says.
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False)
    app.openapi = json.loads(Path(__file__).with_name("openapi.json").read_text("utf-8")).copy
    app.exception_handler(HTTPException)(problem)

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
            scheme = {"WWW-Authenticate": "Bearer"}
            answer = problem(request, HTTPException(401, "a bearer token is needed", scheme))
        spent = time.perf_counter() - began
        answer.headers["X-Request-Id"] = number
        if request.url.path.endswith("/invocations"):
            seconds.labels(answer.status_code).observe(spent)
            line = "request %s: %d, %d texts, %.0f ms"
            log.info(line, number, answer.status_code, request.state.texts, spent * 1000)
        return answer

    @app.get("/ping")
    def ping() -> dict:
        """Ready to answer."""
        return {"status": "ok", "model": predictor.model_file, "topics": predictor.topics}

    @app.get("/metrics")
    async def show_metrics() -> Response:  # in the loop, for the queue changes there
        """For Prometheus."""
        shown = prometheus.generate_latest(registry)
        return Response(shown, media_type=prometheus.CONTENT_TYPE_LATEST)

    @app.post("/endpoints/{name}/invocations")  # the address that boto3's invoke_endpoint calls
    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        """One text gives one answer, several give a list."""
        asked = request.headers.get("content-type")
        try:
            raw = await asyncio.wait_for(body_of(request), BODY_SECONDS)
            texts, single = messages.read(raw, asked)
            if len(texts) > MAX_TEXTS:
                many = f"{len(texts)} texts; at most {MAX_TEXTS} a request"
                raise messages.BadRequestError(many)
            request.state.texts = len(texts)
            answers = await batcher.answer(texts)
        except asyncio.TimeoutError:
            raise HTTPException(408, f"the body did not come in {BODY_SECONDS} s") from None
        except messages.UnknownTypeError as error:
            raise HTTPException(415, str(error)) from error
        except messages.BadRequestError as error:
            raise HTTPException(422, f"bad request: {error}") from error
        except BusyError as error:
            busy = f"busy, try again in a second: {error}"
            raise HTTPException(429, busy, {"Retry-After": "1"}) from error
        for answer in answers:
            answered.labels(answer.topic, answer.answered).inc()
        content, kind = messages.write(answers, single, request.headers.get("accept"), asked)
        return Response(content, media_type=kind)

    return app


def serve(folder: str | Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished. Token: GPT2NEWS_TOKEN."""
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = make_app(folder, os.environ.get("GPT2NEWS_TOKEN"))
    wait = {"timeout_graceful_shutdown": 30, "timeout_keep_alive": 30}
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, **wait)
