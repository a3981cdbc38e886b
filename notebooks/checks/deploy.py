"""Does the exported model answer as the one that was trained?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from gpt2news import deploy
from gpt2news.finetune import Classifier
from gpt2news.finetune.model import quiet
from newsserve.predictor import Predictor


@torch.inference_mode()
def plain_logits(folder: Path, texts: list[str]) -> np.ndarray:
    """(n, topics) scores of a model folder in transformers alone, as its users would load it.

    nan where nothing of a text can be read. `trust_remote_code` is for the poolings that
    transformers does not know: their folders bring their own code, and are refused without it.
    """
    with quiet():  # a bar of loading would be a widget, which a page cannot show
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    model.eval()
    logits = np.full((len(texts), model.config.num_labels), np.nan)
    for row, text in enumerate(texts):
        inputs = tokenizer(text, truncation=True, return_tensors="pt")
        if inputs["input_ids"].shape[1]:  # transformers fails where nothing is left of a text
            logits[row] = model(**inputs).logits[0]
    return logits


def parity(
    model_folder: Path, onnx_folder: Path, texts: list[str], truth: list[str]
) -> dict[str, float]:
    """How far the exported models are from torch on the same texts.

    Returns:
        `parity_max_abs_diff` (fp32 ONNX against torch, logits), `plain_max_abs_diff` (plain
        transformers against ours), `accuracy_torch`, `accuracy_int8`, `accuracy_drop` (torch minus
        int8), `same_answer` (share of texts).
    """
    classifier = Classifier(model_folder)
    logits = classifier.logits(texts)
    fp32 = Predictor(onnx_folder, deploy.FP32).logits(texts)
    plain = plain_logits(model_folder, texts)
    said = logits.argmax(axis=1)
    int8 = Predictor(onnx_folder, deploy.INT8).logits(texts).argmax(axis=1)
    wanted = np.array([classifier.topics.index(topic) for topic in truth])
    accuracy, accuracy_int8 = float((said == wanted).mean()), float((int8 == wanted).mean())
    return {
        "parity_max_abs_diff": float(np.abs(logits - fp32).max()),
        "plain_max_abs_diff": float(np.nanmax(np.abs(logits - plain), initial=0)),
        "accuracy_torch": accuracy,
        "accuracy_int8": accuracy_int8,
        "accuracy_drop": accuracy - accuracy_int8,
        "same_answer": float((said == int8).mean()),
    }
