"""A request body into texts, answers into a response body; shared by our server and AWS's hooks.

A body is JSON (also when no type is named, which is curl's default), JSON lines (an object or a
string a line) or one text/plain text:

    {"text": "…"}    "…"    {"texts": ["…", …]}    ["…", …]    [{"text": "…"}, …]

One text is answered by one object, several by a list in the same order. `answered: false` means
"not sure"; `probabilities` has the likeliest first:

    {"topic": "sport", "probability": 0.97, "answered": true,
     "probabilities": {"sport": 0.97, "politics": 0.01, …}, "tokens": 41, "truncated": false}
"""

from __future__ import annotations

import json
from typing import Annotated

import pydantic
from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag

from newsserve.predictor import Answer

JSON, LINES, PLAIN = "application/json", "application/jsonlines", "text/plain"
KINDS = {
    **dict.fromkeys(["", "*/*", JSON], JSON),
    # What curl and simple clients send when they are told nothing.
    **dict.fromkeys(["application/x-www-form-urlencoded", "application/octet-stream"], JSON),
    **dict.fromkeys([LINES, "application/x-jsonlines", "application/jsonl"], LINES),
    "application/x-ndjson": LINES,
    PLAIN: PLAIN,
}


class BadRequestError(ValueError):
    """A body that cannot be read; the message says what is wrong and which form is taken."""


class UnknownTypeError(BadRequestError):
    """A content type that is not taken."""


def _whole(text: object) -> object:
    # Half a surrogate pair, all that is left of an emoji that was cut in two, becomes "?".
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_whole)]


class Item(BaseModel):
    """A text of a list."""

    text: Text


Many = Annotated[list[Text | Item], Field(min_length=1)]


class One(BaseModel):
    """One text."""

    text: Text | Many


class Several(BaseModel):
    """Several texts, answered by a list even when there is one."""

    texts: Many | Text


def _form_of(content: object) -> str:
    if isinstance(content, dict):
        return "several" if "texts" in content else "one"
    return "list" if isinstance(content, list) else "string"


# Told apart by their form, so that an error is about the form that was meant and not about all.
QUESTION = pydantic.TypeAdapter(
    Annotated[
        Annotated[One, Tag("one")]
        | Annotated[Several, Tag("several")]
        | Annotated[Many, Tag("list")]
        | Annotated[Text, Tag("string")],
        Discriminator(_form_of),
    ]
)


class Problem(BaseModel):
    """What went wrong, under FastAPI's key and under the one that boto3 shows."""

    detail: str
    message: str


def kind_of(content_type: str | None) -> str:
    """JSON, LINES or PLAIN for a `Content-Type` header; raises UnknownTypeError for others."""
    name = (content_type or "").partition(";")[0].strip().lower()
    if name not in KINDS:
        raise UnknownTypeError(
            f"content type {name!r} is not taken; send {JSON}, {LINES} or {PLAIN}"
        )
    return KINDS[name]


def read(body: bytes | str, content_type: str | None = None) -> tuple[list[str], bool]:
    """The texts of a request body, and whether one answer is wanted for them and not a list.

    Raises:
        BadRequestError: the body is not of the form that its content type says.
    """
    kind = kind_of(content_type)
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        if kind == PLAIN:
            return [text], True
        if kind == LINES:
            content = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            content = json.loads(text)
        asked = QUESTION.validate_python(content)
    except pydantic.ValidationError as error:
        raise BadRequestError(_what_is_wrong(error)) from error
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not {kind} in UTF-8: {error}") from error
    items = asked
    if isinstance(asked, One):
        items = asked.text
    elif isinstance(asked, Several):
        items = asked.texts
    if isinstance(items, str):
        return [items], not isinstance(asked, Several)
    return [item if isinstance(item, str) else item.text for item in items], False


def _what_is_wrong(error: pydantic.ValidationError) -> str:
    for each in error.errors(include_url=False, include_input=False):
        for part in each["loc"]:
            if isinstance(part, int):
                return f"text number {part + 1} is not a string"
    return 'no texts: send {"text": "…"} or {"texts": ["…", …]}'


def write(
    answers: list[Answer], single: bool, accept: str | None = None, asked: str | None = None
) -> tuple[bytes, str]:
    """The response body and its content type.

    Args:
        answers: one a text.
        single: as `read` gave it.
        accept: the `Accept` header. A type that is not offered is no error: the next one counts.
        asked: content type of the request, which counts when `accept` names nothing.
    """
    wanted = [name.partition(";")[0].strip().lower() for name in (accept or "").split(",")]
    offered = [KINDS[name] for name in wanted if name in KINDS and name not in ("", "*/*", PLAIN)]
    kind = offered[0] if offered else kind_of(asked)
    rows = [vars(answer) for answer in answers]
    if kind == LINES:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        return "".join(lines).encode(), LINES
    return json.dumps(rows[0] if single else rows, ensure_ascii=False).encode(), JSON
