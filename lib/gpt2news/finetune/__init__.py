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
