"""No label at all: a language model is asked in words, and the likeliest topic's name counts."""

from __future__ import annotations

import time

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gpt2news.finetune.model import quiet
from ladder.rungs import Answer
from ladder.tuning import autocast, batch_of
from ladder.vectors import TOKENS, folder_of

MODEL = "smollm2"
PROMPT = (
    "<|im_start|>user\nWhich topic does this news text belong to: {topics}?\n\n{text}<|im_end|>\n"
    "<|im_start|>assistant\nThe topic is"
)
# In words that are one token each, where a topic's own name is not.
WORDS = {"Sci/Tech": "Technology"}
NOTHING = "N/A"


@torch.inference_mode()
def answers(texts: list[str], topics: list[str]) -> dict[str, Answer]:
    """The topic whose name the model finds likeliest, as it is and less what it says of no text.

    The second is contextual calibration: Zhao et al., "Calibrate before use", ICML 2021.

    Raises:
        MissingError: the model is not here.
        ValueError: two topics begin with the same token.
    """
    folder = folder_of(MODEL)
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    words = [WORDS.get(topic, topic) for topic in topics]
    names = [tokenizer.encode(f" {word}", add_special_tokens=False)[0] for word in words]
    if len(set(names)) < len(names):
        raise ValueError(f"topics {', '.join(words)}: two begin with the same token")
    torch.set_num_threads(1)  # so that its seconds are those of one core
    tokenizer.backend_tokenizer.no_padding()
    cut = [_cut(tokenizer, text) for text in texts]
    began = time.process_time()
    said = _logarithms(model, tokenizer, cut, words, names)
    seconds = (time.process_time() - began) / len(texts)
    prior = _logarithms(model, tokenizer, [NOTHING], words, names)
    size = 4 * sum(p.numel() for p in model.parameters()) / 1e6
    chosen = np.array(topics)
    return {
        "prompt": Answer(chosen[said.argmax(axis=1)], 0.0, seconds, 0, size),
        "prompt, calibrated": Answer(chosen[(said - prior).argmax(axis=1)], 0.0, seconds, 0, size),
    }


def _cut(tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)[:TOKENS])


def _logarithms(model, tokenizer, texts: list[str], words: list[str], names: list[int]):
    asked = [PROMPT.format(topics=", ".join(words), text=text) for text in texts]
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in asked]
    order = np.argsort([len(row) for row in ids], kind="stable")
    found = np.zeros((len(ids), len(names)))
    for start in range(0, len(order), 16):
        rows = order[start : start + 16]
        batch, last = batch_of(ids, rows)
        with autocast():
            states = model.model(input_ids=batch)[0]  # causal: what is behind the text is not seen
            logits = model.lm_head(states[torch.arange(len(rows)), last]).float()
        found[rows] = torch.log_softmax(logits, dim=1)[:, names].numpy()
    return found
