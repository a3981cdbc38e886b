"""The client of an endpoint: texts in, one `Answer` a text out, wherever the model answers."""

from __future__ import annotations

import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator

from newsserve.predictor import Answer

PORTION = 16  # texts a request
BODY = 1_000_000  # bytes a request, about
LONGEST = 100_000  # characters of one text that are sent; more than any model here reads
PATIENCE = 65  # seconds; a serverless endpoint that sleeps takes most of a minute
JSON = "application/json"
log = logging.getLogger("gpt2news")

# One plain sentence each. AWS's own messages are not shown: they can hold account numbers.
NO_REGION = "The app does not know the endpoint's region: set AWS_DEFAULT_REGION where it runs."
NOT_ALLOWED = (
    "The app is not allowed to ask the endpoint {name}: it needs credentials or a role that may "
    "call sagemaker:InvokeEndpoint."
)
LATE = "The endpoint {name} did not answer in time; it may be waking up, so try again in a minute."
UNREACHABLE = "The endpoint {name} cannot be reached from here."
BUSY = "The endpoint {name} is busy; try again in a moment."
ABSENT = "There is no endpoint {name} in service in this region."
FAILED = "The model behind the endpoint {name} failed; its log has the reason."
STRANGE = "The endpoint {name} answered, but not in the form that this app reads."
BY_STATUS = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: ABSENT, 424: FAILED, 429: BUSY, 503: BUSY}
# AWS answers 400 where others have a status for it.
BY_CODE = {"ThrottlingException": BUSY, "ValidationError": ABSENT}


class EndpointError(RuntimeError):
    """No answer; the message is one plain sentence for whoever is using the app."""


class Endpoint:
    """`Endpoint(where)(texts)` asks a server of ours or a SageMaker endpoint.

    Args:
        where: the address of a server (`http…`; its token is taken from GPT2NEWS_TOKEN), or the
            name of an endpoint, with boto3's own region and credentials.

    Raises:
        EndpointError: boto3 is missing or not set up, or (when asked) there is no answer.
    """

    def __init__(self, where: str):
        self.name = where
        self.over_http = where.startswith(("http://", "https://"))
        self.client = None if self.over_http else self._boto3_client()

    def __call__(self, texts: list[str]) -> list[Answer]:
        answers = []
        for portion in portions(texts):
            body = json.dumps({"texts": portion}, ensure_ascii=False).encode("utf-8", "replace")
            said = self._post(body) if self.over_http else self._invoke(body)
            try:
                rows = [Answer(**row) for row in json.loads(said)]
                readable = [row for row in rows if row.topic in row.probabilities]
            except (TypeError, ValueError) as error:
                raise self._error(STRANGE) from error
            if len(readable) != len(portion):
                raise self._error(STRANGE)
            answers += rows
        return answers

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": JSON, "Accept": JSON}
        if token := os.environ.get("GPT2NEWS_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"{self.name.rstrip('/')}/invocations", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise self._of_status(error.code, str(error.code)) from error
        except TimeoutError as error:
            raise self._error(LATE) from error
        except OSError as error:
            raise self._error(UNREACHABLE) from error

    def _boto3_client(self):
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            needs = "An endpoint needs boto3: pip install 'gpt2-news[app,sagemaker]'."
            raise EndpointError(needs) from error
        times = Config(connect_timeout=5, read_timeout=PATIENCE, retries={"total_max_attempts": 3})
        try:
            return boto3.client("sagemaker-runtime", config=times)
        except BotoCoreError as error:
            raise self._of_class(error) from error

    def _invoke(self, body: bytes) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        asked = {"EndpointName": self.name, "ContentType": JSON, "Accept": JSON, "Body": body}
        try:
            return self.client.invoke_endpoint(**asked)["Body"].read()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            raise self._of_status(status, error.response["Error"].get("Code", "")) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise self._of_class(error) from error

    def _error(self, sentence: str) -> EndpointError:
        return EndpointError(sentence.format(name=self.name))

    def _of_status(self, status: int | None, code: str) -> EndpointError:
        code = code if code.isalnum() and len(code) <= 60 else ""
        log.warning("endpoint: %s %s", status, code)
        other = "The endpoint {name} answered with an error" + (f" ({code})." if code else ".")
        return self._error(BY_CODE.get(code) or BY_STATUS.get(status) or other)

    def _of_class(self, error: Exception) -> EndpointError:
        from botocore import exceptions as aws
        from botocore.parsers import ResponseParserError

        credentials = (
            aws.NoCredentialsError,
            aws.PartialCredentialsError,
            aws.CredentialRetrievalError,
            aws.ProfileNotFound,
            aws.TokenRetrievalError,
            aws.SSOError,
        )
        network = (aws.ConnectionError, aws.HTTPClientError, ResponseParserError)
        log.warning("endpoint: %s", type(error).__name__)
        for kind, sentence in (
            (aws.NoRegionError, NO_REGION),
            (credentials, NOT_ALLOWED),
            (aws.ReadTimeoutError, LATE),
            (network, UNREACHABLE),
        ):
            if isinstance(error, kind):
                return self._error(sentence)
        return self._error("The endpoint {name} could not be asked.")


def portions(texts: list[str]) -> Iterator[list[str]]:
    """The texts in order, cut to LONGEST characters, in lists small enough for one request."""
    portion, size = [], 0
    for text in texts:
        text = text[:LONGEST]
        if portion and (len(portion) == PORTION or size + 4 * len(text) > BODY):
            yield portion
            portion, size = [], 0
        portion.append(text)
        size += 4 * len(text)  # a character of UTF-8 has at most four bytes
    if portion:
        yield portion
