"""A finished model folder, answering in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax
from transformers import AutoTokenizer

from gpt2news.finetune.device import device_type
from gpt2news.finetune.model import classifier_class, encode, pad, quiet, read_config
from gpt2news.finetune.recipe import use_all_cores


class Classifier:
    """A fine-tuned model folder: `Classifier(folder)(texts)` gives probabilities.

    Attributes: `topics` (in the order of the outputs), `max_length` (tokens read of a text),
    `pooling` (a name of `model.POOLINGS`), `tokenizer`, `model`, `device`.
    """

    def __init__(self, folder: Path):
        config = read_config(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, config=config)
        self.pooling = config.pooling = getattr(config, "pooling", "last")
        kind = classifier_class(config, self.pooling)
        with quiet():
            self.model = kind.from_pretrained(folder, config=config, dtype=torch.float32).eval()
        self.topics = [config.id2label[i] for i in range(config.num_labels)]
        self.max_length = self.tokenizer.model_max_length
        self.device = torch.device(device_type())
        self.model.to(self.device)
        use_all_cores()

    def logits(self, texts: list[str], batch_size: int = 32) -> np.ndarray:
        """(n, topics) scores, in the order of `texts`."""
        ids = encode(self.tokenizer, texts)
        result = np.zeros((len(texts), len(self.topics)), dtype=np.float32)
        # Texts of like length share a batch: less padding, less time.
        order = np.argsort([len(row) for row in ids], kind="stable")
        with quiet(), torch.inference_mode():  # no advice to pass a mask: see `pad`
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = pad([ids[i] for i in rows], self.tokenizer.pad_token_id)
                logits = self.model(input_ids=batch.to(self.device)).logits
                result[rows] = logits.float().cpu().numpy()
        return result

    def __call__(self, texts: list[str], batch_size: int = 32) -> np.ndarray:
        """(n, topics) probabilities."""
        return softmax(self.logits(texts, batch_size), axis=1)
