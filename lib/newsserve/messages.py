"""A request body into texts, answers into a response body.

Our server and SageMaker's hooks share this, so both take and give the same. A body is JSON
(`application/json`, also when no type is named, which is curl's default), JSON lines
(`application/jsonlines`, one object or string a line) or one `text/plain` text:

    {"text": "…"}    "…"    {"texts": ["…", …]}    ["…", …]    [{"text": "…"}, …]

The answer to one text:

    {"topic": "sport", "probability": 0.97, "answered": true,
     "probabilities": {"sport": 0.97, "politics": 0.01, …}, "tokens": 41, "truncated": false}

`answered: false` means "not sure"; `probabilities` has the likeliest first. One text asked gives
one object, several give a list in the same order. `Accept` chooses JSON or JSON lines; without it
the answer comes as the question did.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)

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


class OneText(BaseModel):
    """One text of a list."""

    text: Text


Many = Annotated[list[Text | OneText], Field(min_length=1)]


class AskOne(BaseModel):
    """One text, answered by one object."""

    text: Text | Many


class AskMany(BaseModel):
    """Several texts, answered by a list."""

    texts: Many | Text


def _form_of(content: object) -> str:
    if isinstance(content, dict):
        return "texts" if "texts" in content else "text"
    return "list" if isinstance(content, list) else "string"


# Named by its form, so that an error is about the form that was meant and not about all of them.
Question = Annotated[
    Annotated[AskOne, Tag("text")]
    | Annotated[AskMany, Tag("texts")]
    | Annotated[Many, Tag("list")]
    | Annotated[Text, Tag("string")],
    Discriminator(_form_of),
]
QUESTION = TypeAdapter(Question)


class Problem(BaseModel):
    """What went wrong, under FastAPI's key and under the one that boto3 shows."""

    detail: str
    message: str


def kind_of(content_type: str | None) -> str:
    """JSON, LINES or PLAIN for the value of a `Content-Type` header.

    Raises:
        UnknownTypeError: another type.
    """
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
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not {kind} in UTF-8: {error}") from error
    try:
        asked = QUESTION.validate_python(content)
    except ValidationError as error:
        raise BadRequestError(_what_is_wrong(error)) from error
    single = not isinstance(asked, AskMany)
    if isinstance(asked, AskOne):
        asked = asked.text
    elif isinstance(asked, AskMany):
        asked = asked.texts
    if isinstance(asked, str):
        return [asked], single
    return [item if isinstance(item, str) else item.text for item in asked], False


def _what_is_wrong(error: ValidationError) -> str:
    for each in error.errors(include_url=False, include_input=False):
        for part in each["loc"]:
            if isinstance(part, int):
                return f"text number {part + 1} is not a string"
    return 'no texts: send {"text": "…"} or {"texts": ["…", …]}'


def write(
    answers: Sequence[Answer], single: bool, accept: str | None = None, asked: str | None = None
) -> tuple[bytes, str]:
    """The response body and its content type.

    Args:
        answers: one a text.
        single: as `read` gave it.
        accept: the `Accept` header. A type that is not offered is no error: the next one counts.
        asked: content type of the request, which counts when `accept` names nothing.
    """
    offered = {name: kind for name, kind in KINDS.items() if name not in ("", "*/*", PLAIN)}
    wanted = [name.partition(";")[0].strip().lower() for name in (accept or "").split(",")]
    kinds = [offered[name] for name in wanted if name in offered]
    kind = kinds[0] if kinds else kind_of(asked)
    rows = [vars(answer) for answer in answers]
    if kind == LINES:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        return "".join(lines).encode(), LINES
    return json.dumps(rows[0] if single else rows, ensure_ascii=False).encode(), JSON
