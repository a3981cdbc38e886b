"""Chapter 05: a folder that answers without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from onnx import ModelProto, TensorProto
from transformers import AttentionInterface

from gpt2news.finetune import Classifier
from gpt2news.finetune.model import quiet
from gpt2news.finetune.pooled import score, states_of
from gpt2news.run import atomic, seal, sha256_of
from newsserve.predictor import MANIFEST

FP32, INT8 = "model.onnx", "model.int8.onnx"
NARROW = 256  # width of the states; in wider ones int8 saves more, and one rounding counts less


def _fused_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """Causal attention as one node of ONNX Runtime's; padding on the right needs no mask.

    (batch, heads, tokens, width) each -> (batch, tokens, heads, width).
    """
    batch, heads, tokens, width = query.shape
    flat = []
    for states in (query, key, value):
        # Grouped-query models have fewer heads of keys and values.
        states = states.repeat_interleave(heads // states.shape[1], dim=1)
        flat.append(states.transpose(1, 2).reshape(batch, tokens, heads * width))
    out = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        flat,
        {"num_heads": heads, "unidirectional": 1, "scale": float(scaling or width**-0.5)},
        dtype=query.dtype,
        shape=(batch, tokens, heads * width),
        version=1,
    )
    return out.reshape(batch, tokens, heads, width), None


AttentionInterface.register("onnx_fused", _fused_attention)


class _Exported(torch.nn.Module):
    """(batch, tokens) ids, (batch,) places of the last token -> (batch, topics) logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, last):
        return score(self.model, states_of(self.model, input_ids, last), last).logits


def _strip(model: ModelProto) -> None:
    """Remove the exporter's stack traces: the hash must not depend on where the repository lies."""
    for graph in [model.graph, *model.functions]:
        for part in (graph, *graph.node, *graph.value_info):
            part.doc_string = ""
            del part.metadata_props[:]
    del model.metadata_props[:]


def _steady(model: ModelProto, config) -> list[str]:
    """Operations that stay in floats: queries and keys of the first half of a narrow GPT-2.

    Where a float's last bit differs between machines, int8 rounds the other way; attention carries
    that to all tokens: 1.5 points of a probability between server and browser, 0.5 without these.
    """
    layers = config.num_hidden_layers // 2 if config.hidden_size <= NARROW else 0
    names = []
    for node in model.graph.node:
        if any(f".h.{i}.attn.c_attn." in " ".join(node.input) for i in range(layers)):
            names += [node.name, f"{node.name}_MatMul"]  # a Gemm is parted first
    return names


def export(
    model_folder: Path,
    out: Path,
    temperature: float = 1.0,
    threshold: float = 0.0,
    kind: dict | None = None,
) -> Path:
    """Make the folder `out` that `Predictor` reads: two ONNX models, tokenizer, labels, hashes.

    Fused by ONNX Runtime's transformer optimiser; int8 by dynamic quantisation, per channel.
    benchmarks/serving.md has what else was tried.

    Args:
        model_folder: chapter 03's model.
        temperature: logits are divided by it before the softmax.
        threshold: a probability under it is "not sure".
        kind: the limits of its kind of text (`newsserve.kind`).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    classifier = Classifier(model_folder)
    model, config = classifier.model.cpu(), classifier.model.config
    encoder = getattr(model, "encoder", False)
    model.set_attn_implementation("eager" if encoder else "onnx_fused")
    example = (torch.full((2, 16), 5, dtype=torch.long), torch.tensor([15, 7]))
    with atomic(out) as part, quiet():
        part.mkdir()
        torch.onnx.export(
            _Exported(model),
            example,
            part / FP32,
            input_names=["input_ids", "last"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch", 1: "tokens"}, {0: "batch"}),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        fused = optimize_model(
            str(part / FP32), "bert", config.num_attention_heads, config.hidden_size, opt_level=0
        )
        _strip(fused.model)
        fused.save_model_to_file(str(part / FP32))
        quantize_dynamic(
            part / FP32,
            part / INT8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=_steady(fused.model, config),
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
        shutil.copy(model_folder / "tokenizer.json", part / "tokenizer.json")
        manifest = {
            "topics": classifier.topics,
            "max_length": classifier.max_length,
            "pad_token_id": classifier.tokenizer.pad_token_id,
            "temperature": temperature,
            "threshold": threshold,
            "kind": kind,
            "model": INT8,
            "sha256": {name: sha256_of(part / name) for name in (FP32, INT8, "tokenizer.json")},
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        seal(part)
    return out
