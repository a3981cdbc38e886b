"""What the new layer reads of a text: five ways to pool the states of its tokens into one answer."""

from __future__ import annotations

import torch
from transformers import AutoConfig
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)

from gpt2news.finetune.backbone import BackboneError, load

# The last two are the article's, kept to compare with: padded on the left to max_length, without mask or position ids.
POOLINGS = {
    "last": "the state of the last real token",
    "mean": "the mean of the states of all real tokens",
    "first": "the state of the first token, which has seen nothing else",
    "left": "the state of the last of max_length positions, text padded on the left",
    "flat": "the states of all max_length positions side by side, text padded on the left",
}
EXPORTABLE = ("last", "mean", "first")


def pool(states: torch.Tensor, last: torch.Tensor, pooling: str) -> torch.Tensor:
    """(batch, tokens, width) states and (batch,) positions of the last real token -> (batch, width), for a pooling of EXPORTABLE."""
    if pooling == "mean":
        real = (
            torch.arange(states.shape[1], device=states.device)[None, :] <= last[:, None]
        ).unsqueeze(-1)
        return (states * real).sum(dim=1) / (last + 1)[:, None]
    return (
        states[:, 0]
        if pooling == "first"
        else states[torch.arange(states.shape[0], device=states.device), last]
    )


class _Pooled:
    """Mixed into a `…ForSequenceClassification` of transformers: the same weights, another reading of the states."""

    def __init__(self, config):
        super().__init__(config)
        if config.pooling == "flat":
            self.score = torch.nn.Linear(
                config.padded_length * config.hidden_size, config.num_labels, bias=False
            )
            self.score.weight.data.normal_(std=config.initializer_range)

    def forward(
        self, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **_
    ) -> SequenceClassifierOutput:
        """(batch, tokens) ids, padded on the right -> (batch, topics) logits, and the loss where labels are given."""
        last = (input_ids != self.config.pad_token_id).sum(dim=1).clamp(min=1) - 1
        if self.config.pooling in EXPORTABLE:
            logits = self.score(pool(self._states(input_ids), last, self.config.pooling))
        else:
            states = self._states(
                _padded_left(input_ids, last, self.config.padded_length, self.config.pad_token_id)
            )
            logits = self.score(
                states.flatten(1) if self.config.pooling == "flat" else states[:, -1]
            )
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _states(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.base_model(input_ids=input_ids, use_cache=False).last_hidden_state


def _padded_left(
    input_ids: torch.Tensor, last: torch.Tensor, length: int, pad_token_id: int
) -> torch.Tensor:
    place = torch.arange(length, device=input_ids.device)[None, :] - (length - 1 - last[:, None])
    return input_ids.gather(1, place.clamp(min=0)).where(place >= 0, pad_token_id)


def classifier_class(config, pooling: str) -> type:
    """The model class of a configuration and a pooling; for `last` it is transformers' own.

    Raises:
        BackboneError: an unknown pooling, or a model that is not a causal language model.
    """
    if pooling not in POOLINGS:
        raise BackboneError(f"pooling {pooling!r}: there are {', '.join(POOLINGS)}")
    causal = (
        type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
        and type(config) in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    )
    base = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)] if causal else None
    if base is not None:
        with torch.device("meta"):
            causal = hasattr(
                base(config), "score"
            )  # what such classes call the layer that reads one token's state
    if not causal:
        raise BackboneError(
            f"a {config.model_type} model: a causal language model is needed, of the kind of GPT-2 or Llama"
        )
    return (
        base
        if pooling == "last"
        else type(f"{pooling.capitalize()}Pooled{base.__name__}", (_Pooled, base), {})
    )


def load_model(
    backbone: str,
    topics: list[str],
    pad_token_id: int,
    max_length: int,
    from_scratch: bool = False,
    pooling: str = "last",
) -> torch.nn.Module:
    """A backbone with a new linear layer, one output a topic (fp32).

    Args:
        pooling: what the layer reads, see `POOLINGS`.
        from_scratch: the backbone's shape with random weights.

    Raises:
        BackboneError: it cannot be had or used, or reads fewer than `max_length` tokens.
    """
    config = load(AutoConfig.from_pretrained, backbone)
    reads = getattr(config, "max_position_embeddings", max_length)
    if max_length > reads:
        raise BackboneError(f"max_length {max_length}: {backbone} reads {reads} tokens at most")
    if getattr(config, "activation_function", "") == "gelu_new":
        config.activation_function = (
            "gelu_pytorch_tanh"  # the same function in one kernel: a fifth faster on a CPU
        )
    config.pooling = pooling
    if pooling not in EXPORTABLE:
        config.padded_length = max_length
    kind = classifier_class(config, pooling)
    config.num_labels = len(topics)
    config.id2label = dict(enumerate(topics))
    config.label2id = {topic: i for i, topic in enumerate(topics)}
    config.pad_token_id = pad_token_id
    config.problem_type = "single_label_classification"
    config.use_cache = (
        False  # keys and values are kept to generate text, which a classifier does not
    )
    if from_scratch:
        return kind(config).float()
    return load(
        kind.from_pretrained, backbone, config=config, dtype=torch.float32, use_safetensors=True
    )
