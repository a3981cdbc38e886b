"""The predictor behind HTTP, in the form that SageMaker's containers keep: `GET /ping`, `POST /invocations`.

`POST /endpoints/{name}/invocations` answers the same, so that a boto3 `sagemaker-runtime` client talks to this server when
`AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME` holds its address. What is asked and answered: `serving/formats.py`.
"""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from gpt2news.serving import formats
from gpt2news.serving.predictor import Predictor

MAX_BODY = 2_000_000
MAX_TEXTS = 256
log = logging.getLogger("gpt2news")


def problem(status: int, says: str, **headers: str) -> JSONResponse:
    """An answer that says what went wrong, under FastAPI's key and under the one that boto3 shows."""
    return JSONResponse({"detail": says, "message": says}, status, headers=headers)


async def body_of(request: Request) -> bytes | None:
    """The body, or None as soon as more than MAX_BODY bytes have come."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            return None
    return raw


def make_app(folder: str | Path) -> FastAPI:
    """The web application that serves one model folder.

    Raises:
        ModelFolderError: the folder cannot be served.
    """
    predictor = Predictor(folder)
    app = FastAPI(title="gpt2-news", description="Sorts news articles into topics.")

    @app.get("/ping")
    def ping() -> dict:
        return {"status": "ok", "model": predictor.model_file, "topics": predictor.topics}

    @app.post("/invocations")
    @app.post("/endpoints/{name}/invocations")
    async def invocations(request: Request) -> Response:
        """One text gives one answer, several a list: topic, probability, answered (false: not sure), probabilities."""
        number = uuid.uuid4().hex[:12]
        raw = await body_of(request)
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
        answers = await run_in_threadpool(predictor, texts)
        log.info("request %s: %d texts", number, len(texts))
        content, kind = formats.write(answers, single, request.headers.get("accept"), asked)
        return Response(content, media_type=kind, headers={"X-Request-Id": number})

    return app


def serve(folder: str | Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished."""
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvicorn.run(make_app(folder), host=host, port=port, log_level="warning", timeout_graceful_shutdown=30)
