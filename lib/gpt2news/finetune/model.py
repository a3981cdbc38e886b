"""The backbone: find it, load its tokenizer and its weights, and put a new layer on top."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    is_progress_bar_enabled,
)

from gpt2news.explore import NORMALISER
from gpt2news.finetune import pooled
from gpt2news.finetune.pooled import Pooled
from gpt2news.run import ROOT

# The hub's revision of the day this was written: a moved branch must not change a result.
PINNED = {"openai-community/gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e"}
# The hub's old names, as everybody writes them.
OWNERS = {"gpt2": "openai-community", "distilgpt2": "distilbert"}
POOLINGS = {
    "last": "the state of the last token of the text",
    "mean": "the mean of the states of all its tokens",
    "first": "the state of its first token, which in GPT-2 has seen nothing else",
}
POOLED = "pooled_"  # before the type, where transformers does not know the pooling
# What makes `pooled.py` the code of one model.
OF_ONE_MODEL = """

from transformers import {config}, {model}


class Config({config}):
    model_type = "{kind}"


class Model(Pooled, {model}):
    config_class = Config

    def __init__(self, config):
        super().__init__({config}.from_dict(config.to_dict()))
"""
TRIED = "The bank cut its forecast; 3 goals, 2 votes."


class BackboneError(ValueError):
    """A backbone that cannot be had or used; the message says the way out."""


@contextmanager
def quiet() -> Iterator[None]:
    """No bars, and no warnings: they are of libraries about one another, and about new weights,
    which chapter 03 shows once on purpose."""
    level, bar = logging.root.manager.disable, is_progress_bar_enabled()
    logging.disable(logging.WARNING)
    disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        if bar:
            enable_progress_bar()


def locate_backbone(name: str) -> tuple[str, str | None]:
    """`(folder or hub name, revision)` of a folder, or of `owner/name[@revision]`."""
    for folder in (Path(name), ROOT / name):
        if (folder / "config.json").exists():
            return os.path.relpath(folder), None  # what is printed of it names no home folder
    hub, _, revision = name.partition("@")
    hub = f"{OWNERS[hub]}/{hub}" if hub in OWNERS else hub
    if name.startswith(("models/", ".", "/")) or hub.count("/") != 1:
        why = "no folder with a config.json there, and not a hub name (owner/name)"
        made = "`gpt2news backbone smollm2` and `… minilm` make folders of these names in models/"
        raise BackboneError(f"backbone {name!r}: {why}; {made}")
    return hub, revision or PINNED.get(hub)


def load(loader, backbone: str, **options):
    """`loader(folder or hub name, …)`, such as `AutoConfig.from_pretrained`; or BackboneError."""
    where, revision = locate_backbone(backbone)
    try:
        with quiet():
            return loader(where, revision=revision, **options)
    except Exception as error:  # transformers has no class of its own
        first = str(error).partition("\n")[0] or type(error).__name__
        raise BackboneError(
            f"backbone {backbone!r} could not be loaded ({first}). Without a hub, download the "
            "model elsewhere and give the path of its folder."
        ) from error


def read_config(folder: str | Path, revision: str | None = None):
    """`AutoConfig.from_pretrained`, also where `save_model` put `pooled.py`."""
    settings, _ = PreTrainedConfig.get_config_dict(folder, revision=revision)
    kind = settings.get("model_type", "")
    if not kind.startswith(POOLED):
        return AutoConfig.from_pretrained(folder, revision=revision)
    del settings["auto_map"]
    settings["model_type"] = kind.removeprefix(POOLED)
    return AutoConfig.for_model(settings["model_type"]).from_dict(settings)


def save_model(model: torch.nn.Module, folder: Path, weights: dict | None = None) -> None:
    """In Hugging Face's layout, with `weights` for its own: transformers answers alike."""
    try:
        model.save_pretrained(folder, state_dict=weights)
    except SafetensorError as error:
        raise OSError(f"the model could not be written: {error}") from error
    config, file = model.config, folder / "config.json"
    if not isinstance(model, Pooled):
        return
    base = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    kind, settings = POOLED + config.model_type, json.loads(file.read_text("utf-8"))
    model_name = "AutoModelForSequenceClassification"
    autos = {"AutoConfig": "pooled.Config", model_name: "pooled.Model"}
    settings |= {"model_type": kind, "auto_map": autos}
    file.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    end = OF_ONE_MODEL.format(config=type(config).__name__, model=base.__name__, kind=kind)
    (folder / "pooled.py").write_text(Path(pooled.__file__).read_text("utf-8") + end, "utf-8")


def load_tokenizer(
    backbone: str, max_length: int, normalise: bool = False
) -> PreTrainedTokenizerFast:
    """The backbone's tokenizer, with a padding token and truncation to `max_length`.

    `normalise` puts `explore.NORMALISER` into it. All of that is saved with it, so that server,
    batch job and plain transformers cut a text as training did; "<|pad|>" in a text is text.

    Raises:
        BackboneError: it cannot be had or used.
    """
    tokenizer = load(AutoTokenizer.from_pretrained, backbone, config=load(read_config, backbone))
    if tokenizer.pad_token is None:  # GPT-2 was never trained on batches of unequal texts
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise BackboneError(f"backbone {backbone!r}: no end and no padding token")
    if _letters(tokenizer.decode(tokenizer.encode(TRIED, add_special_tokens=False))) != _letters(
        TRIED
    ):
        lost = "its tokenizer does not give a text back; is tokenizer.json there?"
        raise BackboneError(f"backbone {backbone!r}: {lost}")
    tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = True
    tokenizer.padding_side = "right"
    if normalise:
        tokenizer.backend_tokenizer.normalizer = NORMALISER
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.enable_truncation(max_length)
    tokenizer.model_max_length = max_length
    return tokenizer


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


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


def classifier_class(config, pooling: str) -> type:
    """The model class for a configuration and a pooling; for `last` it is transformers' own."""
    if pooling not in POOLINGS:
        raise BackboneError(f"pooling {pooling!r}: there are {', '.join(POOLINGS)}")
    base = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    with torch.device("meta"):  # the shape alone, no memory
        shape = base and base(config)
    # GPT-2 and its kin call the new layer `score`, encoders `classifier`, T5 otherwise.
    if not (hasattr(shape, "score") or hasattr(shape, "classifier")):
        given = f"a {config.model_type} model"
        raise BackboneError(f"{given}: a causal language model is needed, or an encoder")
    if pooling == "last" and hasattr(shape, "score"):
        return base
    return type(f"Pooled{base.__name__}", (Pooled, base), {})


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
    config = load(read_config, backbone)
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
    options |= {"ignore_mismatched_sizes": True, "output_loading_info": True}
    model, found = load(kind.from_pretrained, backbone, **options)
    new = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    if lost := new - {"score.weight"}:
        which = f"{len(lost)} of its weights are missing or of another shape"
        raise BackboneError(f"backbone {backbone!r}: {which}, as {min(lost)}")
    if not all(weight.isfinite().all() for weight in model.parameters()):
        raise BackboneError(f"backbone {backbone!r}: some of its weights are not numbers")
    if "score.weight" not in found["missing_keys"]:  # an earlier classifier's
        model.score.weight.data.normal_(std=config.initializer_range)
    return model
