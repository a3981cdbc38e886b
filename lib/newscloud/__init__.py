"""Chapters 03 and 05 on Amazon SageMaker, with plain boto3: a training job, an endpoint, a batch job, and nothing left behind.

`account`: who, where, what an hour costs; `preflight`: what is missing before money is spent; `jobs`: training; `endpoints`:
answering; `cleanup`: what exists, and its removal. The walk-through is deploy/sagemaker/README.md.
"""

from newscloud.account import (
    SERVING_IMAGE,
    TRAINING_IMAGE,
    Account,
    SageMakerError,
    app_url,
    connect,
    dollars,
    image_uri,
)
from newscloud.cleanup import Thing, files, guard, inventory, remove
from newscloud.endpoints import Endpoint, endpoint, pack_model, transform
from newscloud.jobs import follow, pack_source, train, unpack
from newscloud.preflight import Check, preflight, require

__all__ = [
    "SERVING_IMAGE", "TRAINING_IMAGE", "Account", "Check", "Endpoint", "SageMakerError", "Thing", "app_url", "connect", "dollars",
    "endpoint", "files", "follow", "guard", "image_uri", "inventory", "pack_model", "pack_source", "preflight", "remove", "require",
    "train", "transform", "unpack",
]  # fmt: skip
