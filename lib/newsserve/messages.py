"""A request body into texts, answers into a response body: shared by our server and by SageMaker's hooks; no web framework in here.

Asked with                                                   body
`application/json` (also: no content type, curl's default)   `{"text": "…"}`, `"…"`, `{"texts": ["…", …]}`, `["…", …]`, `[{"text": "…"}, …]`
`application/jsonlines`, `application/x-ndjson`              one such object or string a line
`text/csv`                                                   a column named `text`, or a single column without a header
`text/plain`                                                 the text itself

The answer to one text, in every format and from every server of this project:

    {"topic": "sport", "probability": 0.97, "answered": true,
     "probabilities": {"sport": 0.97, "politics": 0.01, …}, "tokens": 41, "truncated": false}

`answered: false` means "not sure"; `probabilities` is the article's `{topic: probability}`, likeliest first. One text asked
gives one object, several give a list in the same order. `Accept` chooses JSON, JSON lines or CSV; without it the answer comes
as the question did (plain text is answered in JSON).

    texts, single = read(body, "application/json")
    body, content_type = write(predictor(texts), single, accept)
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from newsserve.predictor import Answer

JSON, LINES, CSV, PLAIN = "application/json", "application/jsonlines", "text/csv", "text/plain"
_NAMES = {
    **dict.fromkeys(
        ["", "*/*", JSON, "application/x-www-form-urlencoded", "application/octet-stream"], JSON
    ),
    **dict.fromkeys(
        [LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson"], LINES
    ),
    CSV: CSV,
    PLAIN: PLAIN,
}
COLUMNS = ("topic", "probability", "answered", "tokens", "truncated")


class BadRequestError(ValueError):
    """A body that cannot be read; the message says what is wrong and which form is taken."""


class UnknownTypeError(BadRequestError):
    """A content type that is not taken."""


def format_of(content_type: str | None) -> str:
    """JSON, LINES, CSV or PLAIN for the value of a `Content-Type` header.

    Raises:
        UnknownTypeError: another type.
    """
    name = (content_type or "").partition(";")[0].strip().lower()
    if name not in _NAMES:
        raise UnknownTypeError(
            f"content type {name!r} is not taken; send {JSON}, {LINES}, {CSV} or {PLAIN}"
        )
    return _NAMES[name]


def read(body: bytes | str, content_type: str | None = None) -> tuple[list[str], bool]:
    """The texts of a request body, and whether a single answer is wanted for them instead of a list.

    Raises:
        BadRequestError: the body is not of the form that its content type says.
    """
    kind = format_of(content_type)
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        if kind == PLAIN:
            return [text], True
        if kind == CSV:
            return _csv(text), False
        if kind == LINES:
            return _strings([json.loads(line) for line in text.split("\n") if line.strip()]), False
        content = json.loads(text)
    except (ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, BadRequestError):
            raise
        raise BadRequestError(f"the body is not {kind} in UTF-8: {error}") from error
    items = content.get("texts", content.get("text")) if isinstance(content, dict) else content
    single = isinstance(items, str) and not (isinstance(content, dict) and "texts" in content)
    return _strings([items] if isinstance(items, str) else items), single


def _strings(items: object) -> list[str]:
    if not isinstance(items, list) or not items:
        raise BadRequestError('no texts: send {"text": "…"} or {"texts": ["…", …]}')
    texts = [item.get("text") if isinstance(item, dict) else item for item in items]
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise BadRequestError(f"text number {number} is not a string")
    return texts


def _csv(text: str) -> list[str]:
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    column = rows[0].index("text") if rows and "text" in rows[0] else None
    if column is not None:
        rows = rows[1:]
    for number, row in enumerate(rows, 1):
        if (len(row) <= column) if column is not None else (len(row) != 1):
            raise BadRequestError(
                f"CSV row {number} has {len(row)} columns: send a header with a column named text, or one column only"
            )
    return _strings([row[column or 0] for row in rows])


def write(
    answers: Sequence[Answer], single: bool, accept: str | None = None, asked: str | None = None
) -> tuple[bytes, str]:
    """The response body and its content type.

    Args:
        answers: one a text.
        single: as `read` gave it.
        accept: the `Accept` header; a type that is not offered is no error, the next that is offered counts.
        asked: content type of the request, which counts when `accept` names nothing.
    """
    wanted = [name.partition(";")[0].strip().lower() for name in (accept or "").split(",")]
    kind = next(
        (_NAMES[name] for name in wanted if _NAMES.get(name) and name not in ("", "*/*")), None
    ) or format_of(asked)
    rows = [vars(answer) for answer in answers]
    if kind == LINES:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), LINES
    if kind == CSV:
        topics = sorted(rows[0]["probabilities"]) if rows else []
        file = io.StringIO(newline="")
        sheet = csv.writer(file, lineterminator="\n")
        sheet.writerow([*COLUMNS, *(f"p_{topic}" for topic in topics)])
        sheet.writerows(
            [*(row[name] for name in COLUMNS), *(row["probabilities"][topic] for topic in topics)]
            for row in rows
        )
        return file.getvalue().encode(), CSV
    return json.dumps(rows[0] if single else rows, ensure_ascii=False).encode(), JSON
