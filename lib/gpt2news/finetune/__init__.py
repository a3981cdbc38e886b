"""Chapter 03: fine-tune a causal language model to sort texts, with `transformers.Trainer` underneath.

`backbone`: find and load a model and its tokenizer; `heads`: what the new layer reads of it; `data`: texts in batches;
`frozen`: training a part of it; `training`: the run, `trainer`, `device`, `options` and `progress` its parts; `classifier`: the
finished folder, answering. From a shell: `python -m gpt2news.finetune --help`.
"""

from gpt2news.finetune.backbone import (
    END,
    PAD,
    BackboneError,
    encode,
    load_tokenizer,
    locate_backbone,
    pad,
    train_tokenizer,
)
from gpt2news.finetune.classifier import Classifier
from gpt2news.finetune.data import Order
from gpt2news.finetune.device import device_line, use_all_cores
from gpt2news.finetune.heads import EXPORTABLE, POOLINGS, load_model, pool
from gpt2news.finetune.trainer import CheckpointError, DivergedError
from gpt2news.finetune.training import finetune

__all__ = [
    "END",
    "EXPORTABLE",
    "PAD",
    "POOLINGS",
    "BackboneError",
    "CheckpointError",
    "Classifier",
    "DivergedError",
    "Order",
    "device_line",
    "encode",
    "finetune",
    "load_model",
    "load_tokenizer",
    "locate_backbone",
    "pad",
    "pool",
    "train_tokenizer",
    "use_all_cores",
]
