"""A finished model folder, answering in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer

from gpt2news.finetune.backbone import encode, pad
from gpt2news.finetune.device import use_all_cores
from gpt2news.finetune.heads import classifier_class


class Classifier:
    """A fine-tuned model folder, in torch: `Classifier(folder)(texts)` gives probabilities.

    Attributes:
        topics: the labels, in the order of the outputs.
        max_length: tokens read of a text.
        pooling: a name of `heads.POOLINGS`.
    """

    def __init__(self, folder: Path):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        config = AutoConfig.from_pretrained(folder)
        self.pooling = getattr(config, "pooling", "last")
        self.model = (
            classifier_class(config, self.pooling)
            .from_pretrained(folder, dtype=torch.float32)
            .eval()
        )
        self.topics = [self.model.config.id2label[i] for i in range(self.model.config.num_labels)]
        self.max_length = self.tokenizer.model_max_length
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(self.device)
        use_all_cores()

    def logits(self, texts: list[str], batch_size: int = 32) -> np.ndarray:
        """(n, topics) scores; texts of like length share a batch."""
        ids = encode(self.tokenizer, texts)
        result = np.zeros((len(texts), len(self.topics)), dtype=np.float32)
        order = np.argsort([len(row) for row in ids], kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = pad([ids[i] for i in rows], self.tokenizer.pad_token_id).to(self.device)
                result[rows] = self.model(input_ids=batch).logits.float().cpu().numpy()
        return result

    def __call__(self, texts: list[str], batch_size: int = 32) -> np.ndarray:
        """(n, topics) probabilities."""
        return torch.softmax(torch.from_numpy(self.logits(texts, batch_size)), dim=-1).numpy()
