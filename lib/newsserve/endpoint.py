"""The client of an endpoint: texts in, one `Answer` a text out, wherever the model answers."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from newsserve.predictor import Answer

# A request stays under 2 MB, which our server and AWS both take.
PORTION = 16  # texts a request
LONGEST = 15_000  # characters of one text that are sent; more than any model here reads
PATIENCE = 65  # seconds; a serverless endpoint that sleeps takes most of a minute
JSON = "application/json"
ANSWERS = TypeAdapter(list[Answer])
log = logging.getLogger("gpt2news")

# A sentence for each error, by AWS's code, the HTTP status or botocore's class. AWS's own messages
# can hold account numbers.
SENTENCES = {
    key: entry["says"]
    for entry in json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    for key in entry["of"]
}


class EndpointError(RuntimeError):
    """No answer; the message is one plain sentence for whoever is using the app."""


class Endpoint:
    """`Endpoint(where)(texts)` asks a server of ours or a SageMaker endpoint.

    `where` is the address of a server (`http…`; its token is in GPT2NEWS_TOKEN), or the name of an
    endpoint, with boto3's own region and credentials. Raises EndpointError, also when asked.
    """

    def __init__(self, where: str):
        self.name = where
        try:
            import boto3
            from botocore import UNSIGNED
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
            from botocore.parsers import ResponseParserError
        except ImportError as error:
            raise EndpointError("boto3 is missing: pip install 'gpt2-news[sagemaker]'") from error
        self.errors = (BotoCoreError, ClientError, ResponseParserError)
        how = Config(connect_timeout=5, read_timeout=PATIENCE, retries={"total_max_attempts": 3})
        address = {}
        if where.startswith(("http://", "https://")):
            # Our server answers what this client asks; it wants no signature and knows no region.
            how = how.merge(Config(signature_version=UNSIGNED))
            address = {"endpoint_url": where, "region_name": "us-east-1"}
        try:
            self.client = boto3.client("sagemaker-runtime", config=how, **address)
        except self.errors as error:
            raise self._explained(error) from error
        if address and os.environ.get("GPT2NEWS_TOKEN"):
            self.client.meta.events.register("before-call.sagemaker-runtime", _add_token)
        self.endpoint = "news" if address else where  # our server takes any name

    def __call__(self, texts: list[str]) -> list[Answer]:
        answers = []
        for start in range(0, len(texts), PORTION):
            answers += self._ask([text[:LONGEST] for text in texts[start : start + PORTION]])
        return answers

    def _ask(self, texts: list[str]) -> list[Answer]:
        body = json.dumps({"texts": texts}, ensure_ascii=False).encode("utf-8", "replace")
        asked = {"EndpointName": self.endpoint, "ContentType": JSON, "Accept": JSON, "Body": body}
        try:
            said = self.client.invoke_endpoint(**asked)["Body"].read()
        except self.errors as error:
            raise self._explained(error) from error
        try:
            answers = ANSWERS.validate_json(said)
        except ValidationError:
            answers = []
        whole = all(answer.topic in answer.probabilities for answer in answers)
        if not whole or len(answers) != len(texts):
            strange = "answered, but not in the form that this app reads"
            raise EndpointError(f"The endpoint {self.name} {strange}.")
        return answers

    def _explained(self, error: Exception) -> EndpointError:
        """The sentence for its code, its status, its class or the class above."""
        response = getattr(error, "response", None) or {}
        keys = [
            response.get("Error", {}).get("Code"),
            str(response.get("ResponseMetadata", {}).get("HTTPStatusCode")),
            *(kind.__name__ for kind in type(error).__mro__),
        ]
        log.warning("endpoint: %s", keys[:3])
        sentence = next(SENTENCES[key] for key in keys if key in SENTENCES)
        return EndpointError(sentence.format(name=self.name))


def _add_token(params: dict, **_) -> None:
    params["headers"]["Authorization"] = f"Bearer {os.environ['GPT2NEWS_TOKEN'].strip()}"
