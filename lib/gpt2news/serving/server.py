"""The predictor behind HTTP, in the form that SageMaker's containers keep: `GET /ping`, `POST /invocations`."""

from __future__ import annotations

import json
import logging
import uuid
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from gpt2news.serving.predictor import Predictor

MAX_BODY = 2_000_000
MAX_TEXTS = 256
log = logging.getLogger("gpt2news")


def texts_of(body: object) -> list[str]:
    """The texts of a request body: `{"text": "…"}`, `{"texts": […]}`, a list of either strings or `{"text": …}`.

    Raises:
        ValueError: another form; the message says which are taken.
    """
    items = body.get("texts", body.get("text")) if isinstance(body, dict) else body
    items = [items] if isinstance(items, str) else items
    if not isinstance(items, list) or not items:
        raise ValueError('send {"text": "…"} or {"texts": ["…", …]}')
    texts = [item.get("text") if isinstance(item, dict) else item for item in items]
    bad = [i for i, text in enumerate(texts) if not isinstance(text, str)]
    if bad:
        raise ValueError(f"text number {bad[0] + 1} is not a string")
    if len(texts) > MAX_TEXTS:
        raise ValueError(f"{len(texts)} texts; at most {MAX_TEXTS} a request")
    return texts


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
    async def invocations(request: Request) -> JSONResponse:
        """One text gives one answer, several a list: topic, probability, answered (false: not sure), probabilities."""
        number = uuid.uuid4().hex[:12]
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_BODY:
                return JSONResponse({"detail": f"body over {MAX_BODY:,} bytes"}, 413)
        try:
            body = json.loads(raw)
            texts = texts_of(body)
        except (ValueError, RecursionError) as error:
            return JSONResponse({"detail": f"bad request: {error}"}, 422)
        answers = await run_in_threadpool(predictor, texts)
        log.info("request %s: %d texts", number, len(texts))
        rows = [vars(answer) for answer in answers]
        single = isinstance(body, dict) and "texts" not in body and isinstance(body["text"], str)
        return JSONResponse(rows[0] if single else rows, headers={"X-Request-Id": number})

    return app


def serve(folder: str | Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished."""
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvicorn.run(make_app(folder), host=host, port=port, log_level="warning", timeout_graceful_shutdown=30)
