"""Chapter 03: fine-tune a causal language model to sort texts, by `transformers.Trainer`.

`recipe`: settings; `model`: backbone, tokenizer, new layer; `train`: the run, `trainer`: its
Trainer; `part`: training a part of the weights; `predict`: the finished folder.
"""

# ruff: noqa: F401
from gpt2news.finetune.model import (
    POOLINGS,
    BackboneError,
    encode,
    load_model,
    load_tokenizer,
    locate_backbone,
    pad,
)
from gpt2news.finetune.pooled import pool
from gpt2news.finetune.predict import Classifier
from gpt2news.finetune.recipe import Recipe, device_line, suits, use_all_cores
from gpt2news.finetune.train import finetune
from gpt2news.finetune.trainer import CheckpointError, DivergedError, LengthGroupedSampler


def summary(training: dict, options: dict) -> dict:
    """The section `model` of metrics.json."""
    names = ("parameters", "max_length", "pooling", "backbone", "from_scratch", "epochs")
    section = {name: training[name] for name in (*names, "seconds", "dtype")}
    name = "from scratch" if training["from_scratch"] else training["backbone"].split("/")[-1]
    job = {"job": training["job"]} if "job" in training else {}
    return {"name": name, **section, "options": options, **job}
