"""Chapters 03 and 05 on Amazon SageMaker, with plain boto3.

`account`: who, where, at what price, and what is missing before money is spent; `jobs`: training;
`endpoints`: answering; `cleanup`: what exists, and its removal. See deploy/sagemaker/README.md.
"""

from newscloud.account import (
    SERVING_IMAGE,
    TRAINING_IMAGE,
    SageMakerError,
    connect,
    dollars,
    preflight,
    require,
)
from newscloud.cleanup import inventory
from newscloud.endpoints import endpoint, transform
from newscloud.jobs import train

__all__ = [
    "SERVING_IMAGE",
    "TRAINING_IMAGE",
    "SageMakerError",
    "connect",
    "dollars",
    "endpoint",
    "inventory",
    "preflight",
    "require",
    "train",
    "transform",
]
