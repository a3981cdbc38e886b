"""Chapter 05: from a torch model to a small file that answers over HTTP, with proof that it answers the same."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import torch
from onnx import TensorProto
from transformers import AttentionInterface

from gpt2news.finetune import EXPORTABLE, Classifier, pool
from gpt2news.run import atomic
from newsserve.files import sha256_of
from newsserve.predictor import MANIFEST, Predictor

FP32, INT8 = "model.onnx", "model.int8.onnx"


def _fused_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """Attention of a causal model as one node of ONNX Runtime's, (batch, heads, tokens, width) each -> (batch, tokens, heads, width).

    Padding is on the right, where causal attention needs no mask.
    """
    batch, heads, tokens, width = query.shape
    key, value = (
        x.repeat_interleave(heads // x.shape[1], dim=1) for x in (key, value)
    )  # grouped-query models have fewer
    flat = [x.transpose(1, 2).reshape(batch, tokens, heads * width) for x in (query, key, value)]
    attributes = {"num_heads": heads, "unidirectional": 1, "scale": float(scaling or width**-0.5)}
    out = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        flat,
        attributes,
        dtype=query.dtype,
        shape=(batch, tokens, heads * width),
        version=1,
    )
    return out.reshape(batch, tokens, heads, width), None


AttentionInterface.register("onnx_fused", _fused_attention)


class _Exported(torch.nn.Module):
    """(batch, tokens) ids and (batch,) positions of the last real token -> (batch, topics) logits."""

    def __init__(self, model, pooling):
        super().__init__()
        self.model, self.pooling = model, pooling

    def forward(self, input_ids, last):
        hidden = self.model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        return self.model.score(pool(hidden, last, self.pooling))


def export(model_folder: Path, out: Path, temperature: float = 1.0, threshold: float = 0.0) -> Path:
    """Make the folder that `serving.Predictor` reads: fp32 and int8 ONNX models, tokenizer, labels, calibration, hashes.

    Attention, GELU and layer norm with its skip connection are one node each (ONNX Runtime's transformer optimiser). int8: weights
    quantised per channel ahead of time, activations at run time (dynamic quantisation); benchmarks/serving.md has what else was tried.

    Args:
        model_folder: chapter 03's model.
        out: folder to write.
        temperature: logits are divided by it before the softmax.
        threshold: a probability under it is "not sure".

    Returns:
        `out`.

    Raises:
        ValueError: a pooling that is not in `finetune.EXPORTABLE`.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    classifier = Classifier(model_folder)
    if classifier.pooling not in EXPORTABLE:
        raise ValueError(
            f"{model_folder}: pooling {classifier.pooling!r} is for comparison only; export has {', '.join(EXPORTABLE)}"
        )
    model = classifier.model.cpu()
    model.set_attn_implementation("onnx_fused")
    ids = torch.full((2, 16), 5, dtype=torch.long)
    last = torch.tensor([15, 7])
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with atomic(out) as part:
        part.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            torch.onnx.export(
                _Exported(model, classifier.pooling), (ids, last), part / FP32, dynamo=True, verbose=False, external_data=False,
                input_names=["input_ids", "last"], output_names=["logits"],
                dynamic_shapes=({0: "batch", 1: "tokens"}, {0: "batch"}),
            )  # fmt: skip
        config = model.config
        fused = optimize_model(
            str(part / FP32), "bert", config.num_attention_heads, config.hidden_size, opt_level=0
        )
        fused.save_model_to_file(str(part / FP32))
        logging.disable(logging.WARNING)  # it advises a step that has been done
        try:
            known = {"DefaultTensorType": TensorProto.FLOAT}
            quantize_dynamic(
                part / FP32,
                part / INT8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                extra_options=known,
            )
        finally:
            logging.disable(logging.NOTSET)
        shutil.copy(model_folder / "tokenizer.json", part / "tokenizer.json")
        manifest = {
            "topics": classifier.topics,
            "max_length": classifier.max_length,
            "pad_token_id": classifier.tokenizer.pad_token_id,
            "temperature": temperature,
            "threshold": threshold,
            "model": INT8,
            "sha256": {name: sha256_of(part / name) for name in (FP32, INT8, "tokenizer.json")},
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return out


def parity(
    model_folder: Path, onnx_folder: Path, texts: list[str], truth: list[str]
) -> dict[str, float]:
    """How far the exported models are from torch on the same texts.

    Returns:
        `parity_max_abs_diff` (fp32 ONNX against torch, logits), `accuracy_torch`, `accuracy_int8`,
        `accuracy_drop` (torch minus int8), `same_answer` (share of texts).
    """
    classifier = Classifier(model_folder)
    torch_logits = classifier.logits(texts)
    fp32 = Predictor(onnx_folder, FP32).logits(texts)
    int8 = Predictor(onnx_folder, INT8).logits(texts)
    wanted = np.array([classifier.topics.index(topic) for topic in truth])
    right = lambda logits: float((logits.argmax(axis=1) == wanted).mean())  # noqa: E731
    return {
        "parity_max_abs_diff": float(np.abs(torch_logits - fp32).max()),
        "accuracy_torch": right(torch_logits),
        "accuracy_int8": right(int8),
        "accuracy_drop": right(torch_logits) - right(int8),
        "same_answer": float((torch_logits.argmax(axis=1) == int8.argmax(axis=1)).mean()),
    }


@contextmanager
def running_server(folder: Path, timeout: float = 60) -> Iterator[str]:
    """`gpt2news serve` as a process of its own on a free loopback port; gives its address, stops it at the end.

    Raises:
        RuntimeError: it did not answer `/ping` in `timeout` seconds; the message has its last output.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "newsserve",
        "serve",
        "--model",
        str(folder),
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                httpx.get(f"{address}/ping", timeout=2).raise_for_status()
                break
            except httpx.HTTPError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    raise RuntimeError(
                        f"the server did not start: {process.communicate()[0][-2000:]}"
                    ) from error
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def time_requests(address: str, texts: list[str]) -> dict[str, float]:
    """Milliseconds from request to answer, one text at a time over one connection: `p50_ms`, `p95_ms` (the first five are warm-up)."""
    spent = []
    with httpx.Client(timeout=30) as client:
        for text in [*texts[:5], *texts]:
            began = time.perf_counter()
            client.post(f"{address}/invocations", json={"text": text}).raise_for_status()
            spent.append((time.perf_counter() - began) * 1000)
    p50, p95 = np.percentile(spent[5:], [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95)}
