"""AWS on loopback: moto's server in this process, behind a layer that records calls.

The layer can answer in AWS's place, for what moto cannot: a job that fails, an endpoint that never
gets healthy, stop_*_job, quotas.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs

SHIPPED = Path(__file__).parents[2] / "models" / "gpt2-mini-bbc"
REGION, ACCOUNT = "us-east-1", "123456789012"
ROLE, BUCKET = f"arn:aws:iam::{ACCOUNT}:role/news-role", "news-bucket"
Reply = tuple[int, str, bytes]


def reply(content: dict, status: int = 200) -> Reply:
    return status, "application/x-amz-json-1.1", json.dumps(content).encode()


def refusal(code: str, says: str, status: int = 400) -> Reply:
    """A refusal by one of the services that speak JSON."""
    return reply({"__type": code, "message": says}, status)


def refusal_in_xml(code: str, says: str, status: int = 400) -> Reply:
    """A refusal by STS or IAM."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{says}</Message></Error>"
    return status, "text/xml", f"<ErrorResponse>{error}</ErrorResponse>".encode()


@lru_cache
def client(service: str, region: str = REGION):
    """A boto3 client of the tests' own; address and dummy keys are in the environment by then."""
    import boto3

    return boto3.client(service, region_name=region)


# What a training job leaves, in name and content.
MODEL = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "tokenizer.json": b"{}",
    "training.json": b'{"epochs": 2, "parameters": 7}',
}


def archive(entries: dict[str, bytes] | list[tarfile.TarInfo], path: Path | None = None) -> bytes:
    """A tar.gz of names and contents, or of entries without content."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for entry in entries:
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
            content = entries[entry] if isinstance(entries, dict) else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    if path:
        path.write_bytes(raw.getvalue())
    return raw.getvalue()


def exists() -> list[str]:
    """What SageMaker lists, asked without the library's help."""
    ours = client("sagemaker")
    return [
        *(entry["EndpointName"] for entry in ours.list_endpoints()["Endpoints"]),
        *(entry["EndpointConfigName"] for entry in ours.list_endpoint_configs()["EndpointConfigs"]),
        *(entry["ModelName"] for entry in ours.list_models()["Models"]),
    ]


class Cloud:
    """The recorded calls, and what is answered in moto's place.

    Attributes:
        calls: (operation, body), in order.
        answers: operation -> function of the body; it gives a reply, or None to let moto answer.
        after: operation -> function of the body, called once moto has answered.
    """

    def __init__(self, moto_app):
        self.moto_app, self.address = moto_app, ""
        self.calls: list[tuple[str, dict]] = []
        self.answers: dict[str, Callable[[dict], Reply | None]] = {}
        self.after: dict[str, Callable[[dict], None]] = {}

    def __call__(self, environ, start_response):
        target, form = (
            environ.get("HTTP_X_AMZ_TARGET"),
            "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""),
        )
        invoked = environ["PATH_INFO"].startswith("/endpoints/")
        if target or form or invoked:
            raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(raw)
            body = (
                {key: values[0] for key, values in parse_qs(raw.decode()).items()}
                if form
                else json.loads(raw or b"{}")
            )
            operation = (
                target.split(".")[-1] if target else body["Action"] if form else "InvokeEndpoint"
            )
            self.calls.append((operation, body))
            answer = self.answers.get(operation, lambda _: None)(body)
            if answer:
                status, kind, content = answer
                start_response(
                    f"{status} .", [("Content-Type", kind), ("Content-Length", str(len(content)))]
                )
                return [content]
            answered = self.moto_app(environ, start_response)
            if operation in self.after:
                answered = [b"".join(answered)]
                self.after[operation](body)
            return answered
        return self.moto_app(environ, start_response)

    def called(self, operation: str) -> list[dict]:
        """Bodies of the calls of one operation."""
        return [body for name, body in self.calls if name == operation]

    def quota(self, name: str, value: float) -> Callable[[dict], Reply]:
        """An answer of service-quotas:ListServiceQuotas."""
        return lambda _: reply(
            {"Quotas": [{"QuotaName": "other", "Value": 5.0}, {"QuotaName": name, "Value": value}]}
        )

    @property
    def sagemaker(self):
        """moto's own record of SageMaker: its objects can be changed, say to a job that failed."""
        from moto.backends import get_backend

        return get_backend("sagemaker")[ACCOUNT][REGION]

    def change(self, kind: str, **facts) -> Callable[[dict], None]:
        """For `after`: the job or endpoint that was just made gets other facts."""
        key = {"training_jobs": "TrainingJobName", "endpoints": "EndpointName"}[kind]

        def change(body: dict) -> None:
            for name, value in facts.items():
                setattr(getattr(self.sagemaker, kind)[body[key]], name, value)

        return change
