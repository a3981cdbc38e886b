"""Texts in, topics with probabilities out, from a folder that chapter 05 made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from newsserve.files import sha256_of

MANIFEST = "serving.json"


class ModelFolderError(ValueError):
    """A folder that cannot be served; the message names the file and the way out."""


@dataclass(frozen=True)
class Answer:
    """What is said of one text.

    Attributes:
        probability: of the likeliest topic, calibrated on validation.
        answered: False, "not sure", is under the folder's threshold, or nothing was read.
        probabilities: topic -> probability, likeliest first.
        tokens: tokens read; `truncated` when the text has more.
    """

    topic: str
    probability: float
    answered: bool
    probabilities: dict[str, float]
    tokens: int
    truncated: bool


Model = Callable[[list[str]], list[Answer]]  # a Predictor, or the client of one


def _cores() -> int:
    """Cores that this process may use; a container has fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Predictor:
    """`Predictor(folder)(texts)` gives one `Answer` a text, from several threads as well.

    Of the folder it opens `serving.json`, `tokenizer.json` and the ONNX model, and no pickle ever.
    `model` is another ONNX file than serving.json names; `threads` are all cores by default.
    Raises ModelFolderError: a file is missing, changed, or does not fit the others.
    """

    def __init__(self, folder: str | Path, model: str | None = None, threads: int | None = None):
        self.folder = Path(folder)
        hashes = self._read_manifest()
        self.model_file = model or self.model_file
        for name in ("tokenizer.json", self.model_file):
            path = self.folder / name
            if name not in hashes or not path.is_file():
                raise ModelFolderError(f"{path} is not there or not listed in {MANIFEST}")
            if sha256_of(path) != hashes[name]:
                changed = f"not the file that {MANIFEST} lists (sha256 differs)"
                raise ModelFolderError(f"{path}: {changed}; copy the folder again")
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = True  # "<|pad|>" in a text is text
        self.threads = threads or _cores()
        self._sessions: dict[int, ort.InferenceSession] = {}
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="predictor")
        outputs = self._session(self.threads).get_outputs()[0].shape[-1]
        if outputs != len(self.topics):
            given = f"{outputs} outputs, {MANIFEST} {len(self.topics)} topics"
            raise ModelFolderError(f"{folder}: {self.model_file} has {given}")

    def _read_manifest(self) -> dict[str, str]:
        path = self.folder / MANIFEST
        if not path.is_file():
            made = "a folder that chapter 05 made (reports/<profile>/onnx)"
            raise ModelFolderError(f"{self.folder}: no {MANIFEST}; give {made}")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            self.topics: list[str] = list(manifest["topics"])
            self.max_length = int(manifest["max_length"])
            self.temperature = float(manifest["temperature"])
            self.threshold = float(manifest["threshold"])
            self.pad = int(manifest["pad_token_id"])
            self.model_file: str = manifest["model"]
            return dict(manifest["sha256"])
        except (KeyError, TypeError, ValueError) as error:
            again = "make the folder again with chapter 05"
            raise ModelFolderError(f"{path}: {error!r}; {again}") from error

    def _session(self, threads: int) -> ort.InferenceSession:
        if threads not in self._sessions:
            options = ort.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads = threads
            file, on = str(self.folder / self.model_file), ["CPUExecutionProvider"]
            self._sessions[threads] = ort.InferenceSession(file, options, providers=on)
        return self._sessions[threads]

    def encode(self, text: str) -> tuple[list[int], bool]:
        """Token ids of a text, at most `max_length`, and whether there are more."""
        text = text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair becomes "?"
        length = 32 * self.max_length  # of a very long text no more is tokenised than is needed
        while True:
            head = text if len(text) <= length else text[:length].rpartition(" ")[0]
            ids = self.tokenizer.encode(head, add_special_tokens=False).ids
            if len(ids) > self.max_length or len(text) <= length:
                return ids[: self.max_length] or [self.pad], len(ids) > self.max_length
            length *= 4

    def logits(self, texts: list[str]) -> np.ndarray:
        """(n, topics) scores before calibration.

        Each text runs by itself: int8 scales are taken from all that runs together, so in a batch
        an answer would depend on its neighbours. One text uses all threads, several one each.
        """
        return self._score([self.encode(text)[0] for text in texts])

    def _score(self, rows: list[list[int]]) -> np.ndarray:
        many = len(rows) > 1 and self.threads > 1
        session = self._session(1 if many else self.threads)
        wanted = [node.name for node in session.get_inputs()]

        def run(ids: list[int]) -> np.ndarray:
            inputs = {"input_ids": np.array([ids]), "last": np.array([len(ids) - 1])}
            return session.run(None, {name: inputs[name] for name in wanted})[0][0]

        scores = list(self._pool.map(run, rows)) if many else [run(ids) for ids in rows]
        return np.array(scores, dtype=np.float32).reshape(len(rows), len(self.topics))

    def __call__(self, texts: Iterable[str]) -> list[Answer]:
        """One `Answer` a text, in order; the same whatever the other texts are."""
        if isinstance(texts, str):
            raise TypeError("a list of texts is needed, not one text")
        texts, answers = list(texts), []
        encoded = [self.encode(text) for text in texts]
        scaled = self._score([ids for ids, _ in encoded]).astype(np.float64) / self.temperature
        exp = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        softmax = exp / exp.sum(axis=1, keepdims=True)
        for text, (ids, truncated), row in zip(texts, encoded, softmax, strict=True):
            tokens = len(ids) if text.strip() and ids != [self.pad] else 0
            order = np.argsort(-row, kind="stable")
            ranked = {self.topics[i]: float(row[i]) for i in order}
            topic = self.topics[order[0]]
            sure = tokens > 0 and ranked[topic] >= self.threshold
            answers.append(Answer(topic, ranked[topic], sure, ranked, tokens, truncated))
        return answers

    def explain(self, text: str, passes: int = 200) -> list[tuple[str, float]]:
        """How much each word spoke for the topic: occlusion, Zeiler and Fergus, ECCV 2014.

        Returns the words that were read, each with the fall of the topic's probability without it.
        With more words than `passes`, neighbours are left out together and share the fall.
        """
        ends = self.tokenizer.encode(text, add_special_tokens=False).offsets[: self.max_length]
        if not ends:
            return []
        words = text.split()[: len(text[: ends[-1][1]].split())]
        size = -(-len(words) // passes)  # rounded up
        starts = range(0, len(words), size)
        variants = [" ".join(words[:i] + words[i + size :]) for i in starts]
        whole, *without = self([" ".join(words), *variants])
        explained = []
        for start, answer in zip(starts, without, strict=True):
            together = words[start : start + size]
            fall = whole.probability - answer.probabilities[whole.topic]
            explained += [(word, fall / len(together)) for word in together]
        return explained
