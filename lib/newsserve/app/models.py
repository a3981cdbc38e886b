"""Who answers: the model of a folder, or a SageMaker endpoint. Both take a list of texts and give one `Answer` a text."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from newsserve.predictor import Answer, Predictor

TOKENS_TO_EXPLAIN = 12_000
PORTION = 16  # texts a request
BODY = 1_000_000  # bytes a request, about
LONGEST = 100_000  # characters of one text that are sent; more than any model here reads
log = logging.getLogger("gpt2news")


class ModelError(RuntimeError):
    """No answer; the message is one plain sentence for whoever is using the app."""


class LocalModel:
    """The model of a folder that chapter 05 made.

    Raises:
        ModelFolderError: the folder cannot be served.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.predictor = Predictor(folder)

    def __call__(self, texts: list[str]) -> list[Answer]:
        return self.predictor(texts)

    def words(self, text: str, tokens: int) -> list[tuple[str, float]]:
        """`Predictor.explain`, in fewer and larger steps for a text of many tokens, so that it takes seconds."""
        return self.predictor.explain(
            text, passes=min(200, max(20, TOKENS_TO_EXPLAIN // max(1, tokens)))
        )


class EndpointModel:
    """A SageMaker endpoint, or our own server when AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME holds its address.

    Region and credentials are boto3's own: environment, profile or role.

    Raises:
        ModelError: boto3 is missing or not set up.
    """

    def __init__(self, name: str):
        if not re.fullmatch(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}", name):
            raise ModelError(
                "GPT2NEWS_ENDPOINT does not hold the name of an endpoint: letters, digits and hyphens, at most 63."
            )
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise ModelError(
                "An endpoint needs boto3: pip install 'gpt2-news[app,sagemaker]'."
            ) from error
        self.name = name
        try:
            self.client = boto3.client(
                "sagemaker-runtime",
                config=Config(
                    connect_timeout=5, read_timeout=65, retries={"total_max_attempts": 3}
                ),
            )
        except BotoCoreError as error:
            raise ModelError(_sentence(error, name)) from error

    def __call__(self, texts: list[str]) -> list[Answer]:
        return [answer for portion in portions(texts) for answer in self._ask(portion)]

    def _ask(self, texts: list[str]) -> list[Answer]:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        kind, body = (
            "application/json",
            json.dumps({"texts": texts}, ensure_ascii=False).encode("utf-8", "replace"),
        )
        try:
            rows = json.loads(
                self.client.invoke_endpoint(
                    EndpointName=self.name, ContentType=kind, Accept=kind, Body=body
                )["Body"].read()
            )
            answers = [Answer(**row) for row in rows]
            if len(answers) != len(texts) or any(
                answer.topic not in answer.probabilities for answer in answers
            ):
                raise ValueError("not one answer a text")
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            log.warning("endpoint: %s %s", type(error).__name__, _code(error))
            raise ModelError(_sentence(error, self.name)) from error
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"The endpoint {self.name} answered, but not in the form that this app reads."
            ) from error
        return answers


def portions(texts: list[str]) -> Iterator[list[str]]:
    """The texts in order, cut to LONGEST characters, in lists that are small enough for one request."""
    portion, size = [], 0
    for text in texts:
        text = text[:LONGEST]
        if portion and (len(portion) == PORTION or size + 4 * len(text) > BODY):
            yield portion
            portion, size = [], 0
        portion.append(text)
        size += 4 * len(text)
    if portion:
        yield portion


def _code(error: Exception) -> str:
    """AWS's short code of an error, or the status of the answer; nothing else of it, for messages can hold account numbers."""
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    return code if re.fullmatch(r"[A-Za-z0-9]{1,60}", code) else ""


def _sentence(error: Exception, name: str) -> str:
    kind, code = type(error).__name__, _code(error)
    if "Region" in kind:
        return "The app does not know the endpoint's region: set AWS_DEFAULT_REGION where it runs."
    if re.search("Credential|Profile|Token|SSO", kind) or re.search(
        "AccessDenied|Token|Signature|Unrecogni[sz]edClient|40[13]", code
    ):
        return f"The app is not allowed to ask the endpoint {name}: it needs credentials or a role that may call sagemaker:InvokeEndpoint."
    if kind == "ReadTimeoutError":
        return f"The endpoint {name} did not answer in time; it may be waking up, so try again in a minute."
    if re.search("Connect|HTTPClient|Proxy|SSL|Parser", kind):
        return f"The endpoint {name} cannot be reached from here."
    if re.search("Throttl|TooMany|Unavailable|429|503", code):
        return f"The endpoint {name} is busy; try again in a moment."
    if re.search("Validation|404", code):
        return f"There is no endpoint {name} in service in this region."
    if code.startswith("Model"):
        return f"The model behind the endpoint {name} failed; its log has the reason."
    return f"The endpoint {name} answered with an error{f' ({code})' if code else ''}."
