"""Does the exported model answer as the one that was trained?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gpt2news import deploy
from gpt2news.finetune import Classifier
from newsserve.predictor import Predictor


def parity(
    model_folder: Path, onnx_folder: Path, texts: list[str], truth: list[str]
) -> dict[str, float]:
    """How far the exported models are from torch on the same texts.

    Returns:
        `parity_max_abs_diff` (fp32 ONNX against torch, logits), `accuracy_torch`, `accuracy_int8`,
        `accuracy_drop` (torch minus int8), `same_answer` (share of texts).
    """
    classifier = Classifier(model_folder)
    logits = classifier.logits(texts)
    fp32 = Predictor(onnx_folder, deploy.FP32).logits(texts)
    said = logits.argmax(axis=1)
    int8 = Predictor(onnx_folder, deploy.INT8).logits(texts).argmax(axis=1)
    wanted = np.array([classifier.topics.index(topic) for topic in truth])
    accuracy, accuracy_int8 = float((said == wanted).mean()), float((int8 == wanted).mean())
    return {
        "parity_max_abs_diff": float(np.abs(logits - fp32).max()),
        "accuracy_torch": accuracy,
        "accuracy_int8": accuracy_int8,
        "accuracy_drop": accuracy - accuracy_int8,
        "same_answer": float((said == int8).mean()),
    }
