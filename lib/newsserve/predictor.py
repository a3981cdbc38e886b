"""Texts in, topics with probabilities out, from a folder that chapter 05 made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from newsserve.folder import AGAIN, MANIFEST, ModelFolderError, read_listed, read_manifest
from newsserve.kind import Kind as Kind
from newsserve.kind import measure as measure

LONGEST = 2**17  # characters of a text without words
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


@dataclass(frozen=True)
class Answer:
    """What is said of one text.

    Attributes:
        probability: of the likeliest topic, calibrated on validation.
        answered: False is "not sure", under the folder's threshold, or where there is a `reason`.
        probabilities: topic -> probability, likeliest first.
        tokens: tokens read; `truncated` when the text has more.
        reason: why this is not the model's kind of text; None when it is.
    """

    topic: str
    probability: float
    answered: bool
    probabilities: dict[str, float]
    tokens: int
    truncated: bool
    reason: str | None = None


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
        self.manifest = read_manifest(self.folder)
        self.topics, self.max_length = self.manifest.topics, self.manifest.max_length
        self.temperature, self.threshold = self.manifest.temperature, self.manifest.threshold
        self.pad, self.model_file = self.manifest.pad_token_id, model or self.manifest.model
        self.threads = threads or _cores()
        self._sessions: dict[int, ort.InferenceSession] = {}
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="predictor")
        tokenizer = read_listed(self.folder, "tokenizer.json", self.manifest)
        session = self._session(self.threads)
        try:
            self.tokenizer = Tokenizer.from_buffer(tokenizer)
            self.tokenizer.no_truncation()
            self.tokenizer.encode_special_tokens = True  # "<|pad|>" in a text is text
            # BERT's [CLS] and [SEP]
            self._around = self.tokenizer.num_special_tokens_to_add(is_pair=False)
            outputs = session.get_outputs()[0].shape[-1]
            # The longest text, of the largest token: do the files fit each other?
            longest = [max(self.pad, self.tokenizer.get_vocab_size() - 1)] * self.max_length
            fits = outputs == len(self.topics) and np.isfinite(self._score([longest])).all()
        except Exception as error:  # tokenizers and ONNX Runtime have no class of their own
            raise self._refusal("the files do not fit", error) from error
        if outputs != len(self.topics):
            given = f"{outputs} outputs, {MANIFEST} {len(self.topics)} topics"
            raise ModelFolderError(f"{folder}: {self.model_file} has {given}")
        if not fits:
            raise ModelFolderError(f"{folder}: {self.model_file} gives no numbers; {AGAIN}")

    def _refusal(self, what: str, error: Exception) -> ModelFolderError:
        reason = str(error).partition("\n")[0]
        return ModelFolderError(f"{self.folder}: {what}: {reason}; {AGAIN}")

    def _session(self, threads: int) -> ort.InferenceSession:
        if threads not in self._sessions:
            # From the bytes that were hashed, and with no folder for weights outside of them.
            content = read_listed(self.folder, self.model_file, self.manifest)
            options = ort.SessionOptions()
            options.log_severity_level = 4
            options.intra_op_num_threads = threads
            options.add_session_config_entry(WEIGHTS_FOLDER, os.devnull)
            try:
                session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            except Exception as error:
                raise self._refusal(f"{self.model_file} cannot be loaded", error) from error
            session._model_bytes = None  # or it would keep them
            self._sessions[threads] = session
        return self._sessions[threads]

    def encode(self, text: str) -> tuple[list[int], bool]:
        """Token ids of a text, at most `max_length`, and whether there are more."""
        length = 32 * self.max_length  # of a very long text no more is tokenised than is needed
        while True:
            head, longer = text[:length], len(text) > length
            if longer:
                head = head.rpartition(" ")[0] or head
            head = head.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is "?"
            # A batch of one: other threads go on meanwhile.
            (encoding,) = self.tokenizer.encode_batch([head], add_special_tokens=False)
            more = len(encoding) > self.max_length - self._around
            if more or not longer or length > LONGEST:
                encoding.truncate(self.max_length - self._around)
                return self.tokenizer.post_process(encoding).ids or [self.pad], longer or more
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
            order = np.argsort(-row, kind="stable")
            ranked = {self.topics[i]: float(row[i]) for i in order}
            topic = self.topics[order[0]]
            tokens = len(ids) - self._around if text.strip() and ids != [self.pad] else 0
            reason = None if tokens else "nothing can be read"
            if tokens and self.manifest.kind:
                reason = self.manifest.kind.reason(self.tokenizer, text, topic)
            sure = reason is None and ranked[topic] >= self.threshold
            answers.append(Answer(topic, ranked[topic], sure, ranked, tokens, truncated, reason))
        return answers

    def explain(self, text: str, passes: int = 200) -> list[tuple[str, float]]:
        """How much each word spoke for the topic: occlusion, Zeiler and Fergus, ECCV 2014.

        Returns the words that were read, each with the fall of the topic's probability without it.
        With more words than `passes`, neighbours are left out together and share the fall.
        """
        ends = self.tokenizer.encode(text, add_special_tokens=False).offsets
        if not ends:
            return []
        read = ends[: self.max_length - self._around][-1][1]
        words = text.split()[: len(text[:read].split())]
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
