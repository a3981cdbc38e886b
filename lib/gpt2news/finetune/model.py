"""The backbone: find it, load its tokenizer and its weights, and put a new layer on top."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.utils import logging

from gpt2news.explore import NORMALISER
from gpt2news.run import ROOT

# The hub's revision of the day this was written: a moved branch must not change a result.
PINNED = {"openai-community/gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e"}
POOLINGS = {
    "last": "the state of the last token of the text",
    "mean": "the mean of the states of all its tokens",
    "first": "the state of its first token, which has seen nothing else",
}


class BackboneError(ValueError):
    """A backbone that cannot be had or used; the message says the way out."""


@contextmanager
def quiet() -> Iterator[None]:
    """No message about new weights, no bars: chapter 03 shows the message once, on purpose."""
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of libraries about one another
            yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def locate_backbone(name: str) -> tuple[str, str | None]:
    """`(folder or hub name, revision)` of a folder, or of `owner/name[@revision]`."""
    for folder in (Path(name), ROOT / name):
        if (folder / "config.json").exists():
            return os.path.relpath(folder), None  # what is printed of it names no home folder
    hub, _, revision = name.partition("@")
    if name.startswith(("models/", ".", "/")) or hub.count("/") != 1:
        why = "no folder with a config.json there, and not a hub name (owner/name)"
        raise BackboneError(f"backbone {name!r}: {why}")
    return hub, revision or PINNED.get(hub)


def load(loader, backbone: str, **options):
    """`loader(folder or hub name, …)`, such as `AutoConfig.from_pretrained`; or BackboneError."""
    where, revision = locate_backbone(backbone)
    try:
        with quiet():
            return loader(where, revision=revision, **options)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise BackboneError(
            f"backbone {backbone!r} could not be loaded ({first}). Without a hub, download the "
            "model elsewhere and give the path of its folder."
        ) from error


def load_tokenizer(
    backbone: str, max_length: int, normalise: bool = False
) -> PreTrainedTokenizerFast:
    """The backbone's tokenizer, with a padding token and truncation to `max_length`.

    `normalise` puts `explore.NORMALISER` into it. All of that is saved in tokenizer.json, so that
    server, batch job and plain transformers cut a text as training did.
    """
    tokenizer = load(AutoTokenizer.from_pretrained, backbone)
    if tokenizer.pad_token is None:  # GPT-2 was never trained on batches of unequal texts
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    if normalise:
        tokenizer.backend_tokenizer.normalizer = NORMALISER
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.enable_truncation(max_length)
    tokenizer.model_max_length = max_length
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, truncated, not padded; an empty text is one padding token."""
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True  # "<|pad|>" inside a text is text
    return [encoding.ids or [tokenizer.pad_token_id] for encoding in backend.encode_batch(texts)]


def pad(rows: list[list[int]], pad_token_id: int) -> torch.Tensor:
    """(n, longest) ids, padded on the right.

    No attention mask comes with them, as DataCollatorWithPadding would add: with causal attention
    no token of a text sees what is on its right, and without a mask attention runs faster.
    """
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [pad_token_id] * (longest - len(row)) for row in rows])


def pool(states: torch.Tensor, last: torch.Tensor, pooling: str) -> torch.Tensor:
    """(n, tokens, width) states and (n,) places of the last token of each text -> (n, width)."""
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        # Not len(states): that would fix the number of texts in an export.
        rows = torch.arange(states.shape[0], device=states.device)
        return states[rows, last]
    places = torch.arange(states.shape[1], device=states.device)
    real = (places[None, :] <= last[:, None]).unsqueeze(-1)
    return (states * real).sum(dim=1) / (last + 1)[:, None]


def score(model, states: torch.Tensor, input_ids: torch.Tensor) -> SequenceClassifierOutput:
    """(n, topics) logits of (n, tokens, width) states of ids that are padded on the right."""
    last = (input_ids != model.config.pad_token_id).sum(dim=1).clamp(min=1) - 1
    return SequenceClassifierOutput(logits=model.score(pool(states, last, model.config.pooling)))


class _Pooled:
    """Mixed into a `…ForSequenceClassification`: the same weights, another pooling."""

    def forward(self, input_ids, **_) -> SequenceClassifierOutput:
        states = self.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        return score(self, states, input_ids)


def classifier_class(config, pooling: str) -> type:
    """The model class for a configuration and a pooling; for `last` it is transformers' own."""
    if pooling not in POOLINGS:
        raise BackboneError(f"pooling {pooling!r}: there are {', '.join(POOLINGS)}")
    base = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    with torch.device("meta"):  # the shape alone, no memory
        # BERT and its kin call the layer `classifier`, T5 `classification_head`.
        causal = base and hasattr(base(config), "score")
    if not causal:
        raise BackboneError(f"a {config.model_type} model: a causal language model is needed")
    if pooling == "last":
        return base
    return type(f"Pooled{base.__name__}", (_Pooled, base), {})


def load_model(
    backbone: str,
    topics: list[str],
    pad_token_id: int,
    max_length: int,
    from_scratch: bool = False,
    pooling: str = "last",
) -> torch.nn.Module:
    """A backbone with a new linear layer, one output a topic (fp32).

    `from_scratch` takes the backbone's shape with random weights.

    Raises:
        BackboneError: it cannot be had or used, or reads fewer than `max_length` tokens.
    """
    config = load(AutoConfig.from_pretrained, backbone)
    reads = getattr(config, "max_position_embeddings", max_length)
    if max_length > reads:
        raise BackboneError(f"max_length {max_length}: {backbone} reads {reads} tokens at most")
    if config.model_type == "gpt2":
        # The same function in one kernel instead of seven: a fifth faster on a CPU.
        config.activation_function = "gelu_pytorch_tanh"
        config.attn_pdrop = 0.0  # dropout there rules out the fast kernel of attention
    config.pooling = pooling
    config.id2label = dict(enumerate(topics))  # and so their number
    config.label2id = {topic: i for i, topic in enumerate(topics)}
    config.pad_token_id = pad_token_id
    config.problem_type = "single_label_classification"
    config.use_cache = False  # keys and values are kept for writing text, which this does not
    kind = classifier_class(config, pooling)
    if from_scratch:
        return kind(config).float()
    options = {"config": config, "dtype": torch.float32, "use_safetensors": True}
    return load(kind.from_pretrained, backbone, **options)
