"""A request body into texts, answers into a response body; shared by our server and AWS's hooks.

A body is JSON (also when no type is named) or JSON lines, an object or a string a line:

    {"text": "…"}    "…"    {"texts": ["…", …]}    ["…", …]    [{"text": "…"}, …]

One text is answered by one object, several by a list in the same order. `answered: false` means
"not sure", or not its kind of text, with a `reason`; `probabilities` has the likeliest first:

    {"topic": "sport", "probability": 0.97, "answered": true,
     "probabilities": {"sport": 0.97, "politics": 0.01, …}, "tokens": 41, "truncated": false,
     "reason": null}
"""

from __future__ import annotations

import json
import re
from itertools import islice

from newsserve.predictor import Answer

JSON, LINES = "application/json", "application/jsonlines"
NAMES = {JSON: JSON, LINES: LINES, "application/jsonl": LINES, "application/x-ndjson": LINES}
PART = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[,:\[{]', re.DOTALL)  # strings, and what stands between
PARTS = 64  # for one text, and what may come with it
# What curl and simple clients send when they are told nothing.
UNNAMED = ("", "*/*", "application/x-www-form-urlencoded", "application/octet-stream")


class BadRequestError(ValueError):
    """A body that cannot be read; the message says what is wrong and which form is taken."""


class UnknownTypeError(BadRequestError):
    """A content type that is not taken."""


def _name_in(header: str | None) -> str:
    """A media type without its parameters."""
    return (header or "").partition(";")[0].strip().lower()


def kind_of(content_type: str | None) -> str:
    """JSON or LINES for a `Content-Type` header; raises UnknownTypeError for others."""
    name = _name_in(content_type)
    if name in UNNAMED:
        return JSON
    if name not in NAMES:
        raise UnknownTypeError(f"content type {name!r} is not taken; send {JSON} or {LINES}")
    return NAMES[name]


def read(
    body: bytes | str, content_type: str | None = None, most: int = 10**9
) -> tuple[list[str], bool]:
    """The texts of a request body, and whether one answer is wanted for them and not a list.

    Raises BadRequestError, also for more than `most` texts.
    """
    kind = kind_of(content_type)
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        # To build a million empty rows would hold up all other requests.
        if next(islice(PART.finditer(text), PARTS * most, None), None):
            raise BadRequestError(f"more than {most} texts in a request, or too much beside them")
        # AWS's batch transform sends lines under the name of JSON.
        if kind == LINES or re.search(r"\}[^\S\n]*\n\s*\{", text):
            lines = re.finditer(r"\S[^\n]*", text)
            content = [json.loads(line.group()) for line in islice(lines, most + 1)]
        else:
            content = json.loads(text)
    except BadRequestError:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not {kind} in UTF-8: {error}") from error
    several = isinstance(content, dict) and "texts" in content
    if isinstance(content, dict):
        content = content.get("texts" if several else "text")
    if isinstance(content, str):
        return [content], not several
    if not isinstance(content, list) or not content:
        raise BadRequestError('no texts: send {"text": "…"} or {"texts": ["…", …]}')
    if len(content) > most:
        raise BadRequestError(f"more than {most} texts in a request")
    texts = [item.get("text") if isinstance(item, dict) else item for item in content]
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise BadRequestError(f"text number {number} is not a string")
    return texts, False


def write(
    answers: list[Answer], single: bool, accept: str | None = None, asked: str | None = None
) -> tuple[bytes, str]:
    """The response body and its content type.

    A type of `accept` that is not offered is no error: the next one counts, and at last `asked`,
    the content type of the request.
    """
    wanted = [_name_in(name) for name in (accept or "").split(",")]
    offered = [NAMES[name] for name in wanted if name in NAMES]
    kind = offered[0] if offered else kind_of(asked)
    rows = [vars(answer) for answer in answers]
    if kind == LINES:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        return "\n".join(lines).encode(), LINES
    return json.dumps(rows[0] if single else rows, ensure_ascii=False).encode(), JSON
