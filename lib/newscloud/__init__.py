"""Chapters 03 and 05 on Amazon SageMaker, with plain boto3: see deploy/sagemaker/README.md."""

# ruff: noqa: F401
from newscloud.account import (
    SERVING_IMAGE,
    TRAINING_IMAGE,
    SageMakerError,
    connect,
    dollars,
    image_uri,
)
from newscloud.cleanup import inventory
