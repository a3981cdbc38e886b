"""Texts in, topics with probabilities out, from a folder that chapter 05 made."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

MANIFEST = "serving.json"


class ModelFolderError(ValueError):
    """A folder that cannot be served; the message names the file and the way out."""


@dataclass(frozen=True)
class Answer:
    """What is said of one text.

    Attributes:
        topic: the likeliest topic.
        probability: of that topic, calibrated on validation.
        answered: False means "not sure": the probability is under the folder's threshold, or there was nothing to read.
        probabilities: topic -> probability, likeliest first.
        tokens: tokens read; `truncated` when the text has more.
    """

    topic: str
    probability: float
    answered: bool
    probabilities: dict[str, float]
    tokens: int
    truncated: bool


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file (a model file is small enough to read whole)."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Predictor:
    """`Predictor(folder)(texts)` gives one `Answer` a text. Safe to use from several threads.

    The folder holds `serving.json` (topics, max_length, pad_token_id, temperature, threshold, model, sha256 of each file),
    `tokenizer.json` and the ONNX model. Nothing else is opened, and no pickle ever.

    Args:
        folder: made by chapter 05.
        model: another ONNX file of the folder than the one that serving.json names.
        threads: of ONNX Runtime; default all cores.

    Raises:
        ModelFolderError: a file is missing, changed, or does not fit the others.
    """

    def __init__(self, folder: str | Path, model: str | None = None, threads: int | None = None):
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise ModelFolderError(f"{folder}: no {MANIFEST}; give a folder that chapter 05 made (reports/<profile>/onnx)")
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            self.topics: list[str] = list(manifest["topics"])
            self.max_length = int(manifest["max_length"])
            self.temperature = float(manifest["temperature"])
            self.threshold = float(manifest["threshold"])
            self.pad = int(manifest["pad_token_id"])
            self.model_file = model or manifest["model"]
            hashes = dict(manifest["sha256"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFolderError(f"{folder / MANIFEST}: {error!r}; make the folder again with chapter 05") from error
        for name in ("tokenizer.json", self.model_file):
            if name not in hashes or not (folder / name).is_file():
                raise ModelFolderError(f"{folder}: {name} is not there or not listed in {MANIFEST}")
            if sha256_of(folder / name) != hashes[name]:
                raise ModelFolderError(f"{folder / name}: not the file that {MANIFEST} lists (sha256 differs); copy the folder again")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = True  # "<|pad|>" in a text is text
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0)
        self.session = ort.InferenceSession(str(folder / self.model_file), options, providers=["CPUExecutionProvider"])
        outputs = self.session.get_outputs()[0].shape[-1]
        if outputs != len(self.topics):
            raise ModelFolderError(f"{folder}: {self.model_file} has {outputs} outputs, {MANIFEST} {len(self.topics)} topics")

    def logits(self, texts: list[str], batch_tokens: int = 4096) -> tuple[np.ndarray, list[int]]:
        """(n, topics) scores before calibration, and each text's number of tokens (before truncation).

        Texts of like length share a batch of at most `batch_tokens` padded tokens, so memory is bounded whatever comes in.
        """
        whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # half a surrogate pair becomes "?"
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(whole)]
        counts = [len(row) for row in ids]
        ids = [row[: self.max_length] or [self.pad] for row in ids]
        result = np.zeros((len(texts), len(self.topics)), dtype=np.float32)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        while order:
            size = 1
            while size < len(order) and (size + 1) * len(ids[order[size]]) <= batch_tokens:
                size += 1
            rows, order = order[:size], order[size:]
            last = np.array([len(ids[i]) - 1 for i in rows], dtype=np.int64)
            batch = np.full((size, last.max() + 1), self.pad, dtype=np.int64)
            for j, i in enumerate(rows):
                batch[j, : len(ids[i])] = ids[i]
            result[rows] = self.session.run(None, {"input_ids": batch, "last": last})[0]
        return result, counts

    def __call__(self, texts: list[str]) -> list[Answer]:
        """One `Answer` a text, in order."""
        if isinstance(texts, str):
            raise TypeError("a list of texts is needed, not one text")
        scores, counts = self.logits(list(texts)) if texts else (np.zeros((0, len(self.topics))), [])
        scaled = scores.astype(np.float64) / self.temperature
        exp = np.exp(scaled - scaled.max(axis=1, keepdims=True)) if len(scaled) else scaled
        probabilities = exp / exp.sum(axis=1, keepdims=True) if len(exp) else exp
        answers = []
        for text, row, count in zip(texts, probabilities, counts, strict=True):
            ranked = {self.topics[i]: float(row[i]) for i in np.argsort(-row)}
            topic = next(iter(ranked))
            answered = bool(text.strip()) and count > 0 and ranked[topic] >= self.threshold
            answers.append(Answer(topic, ranked[topic], answered, ranked, min(count, self.max_length), count > self.max_length))
        return answers

    def explain(self, text: str, passes: int = 200) -> list[tuple[str, float]]:
        """How much each word spoke for the topic: occlusion, Zeiler and Fergus, ECCV 2014.

        Args:
            text: one text; what the model does not read of it is not explained.
            passes: at most this many variants are scored; of a longer text, neighbouring words are left out together and share the drop.

        Returns:
            The words in order, each with the fall of the top topic's probability when the word is left out (negative: it spoke against).
        """
        ends = self.tokenizer.encode(text, add_special_tokens=False).offsets[: self.max_length]
        if not ends:
            return []
        words = text.split()[: len(text[: ends[-1][1]].split())]
        size = -(-len(words) // passes)
        starts = range(0, len(words), size)
        whole, *without = self([" ".join(words), *(" ".join(words[:i] + words[i + size :]) for i in starts)])
        drops = [
            (whole.probability - answer.probabilities[whole.topic]) / len(words[i : i + size])
            for i, answer in zip(starts, without, strict=True)
        ]
        return [(word, drops[i // size]) for i, word in enumerate(words)]
