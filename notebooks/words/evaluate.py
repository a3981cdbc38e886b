"""Why this answer? Integrated gradients, word by word, and a check that those words matter."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerIntegratedGradients

from gpt2news.evaluate import probabilities_of
from gpt2news.finetune import Classifier, encode
from words import excerpt as excerpt

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
DRAWS = 3  # random choices a share, of which the mean is taken


@dataclass(frozen=True)
class Explanation:
    """Why one text got its topic."""

    topic: str  # the likeliest, of which the words speak
    words: list[str]  # those that the model read, in order
    values: np.ndarray  # (words,) what each adds to the log-odds of `topic`
    gap: float  # by what share the values miss the whole change of the log-odds; small is exact


def explain(model: Classifier, text: str) -> Explanation:
    """Integrated gradients of one answer, on the way from as many "the" to this text.

    Sundararajan, Taly and Yan, ICML 2017 (captum). Of the log-odds of the likeliest topic against
    the others: a probability near 1 has no slope left. Tokens are added up to words.

    Raises:
        ValueError: there is no word in the text.
    """
    words = list(re.finditer(r"\S+", text))
    if not words:
        raise ValueError("a text with at least one word is needed")
    ids = torch.tensor(encode(model.tokenizer, [text]), device=model.device)
    top = int(model.logits([text])[0].argmax())

    def log_odds(input_ids: torch.Tensor) -> torch.Tensor:
        logits = model.model(input_ids=input_ids).logits
        rest = torch.cat([logits[:, :top], logits[:, top + 1 :]], dim=1)
        return logits[:, top] - rest.logsumexp(dim=1)

    gradients = LayerIntegratedGradients(log_odds, model.model.get_input_embeddings())
    start = torch.full_like(ids, encode(model.tokenizer, [" the"])[0][-1])
    given, delta = gradients.attribute(
        ids, start, n_steps=16, internal_batch_size=8, return_convergence_delta=True
    )
    tokens = given.sum(dim=-1)[0].detach().cpu().numpy()
    values, read = np.zeros(len(words)), 0
    ends = [word.end() for word in words]
    offsets = model.tokenizer.backend_tokenizer.encode(text).offsets
    # By its end, since a token's first character may be the space before the word.
    for (begin, end), value in zip(offsets, tokens, strict=False):
        if end > begin:
            word = min(int(np.searchsorted(ends, end)), len(words) - 1)
            values[word] += value
            read = max(read, word + 1)
    gap = abs(float(delta)) / max(1e-9, abs(float(tokens.sum() - delta)))
    read = read or len(words)
    return Explanation(model.topics[top], [word[0] for word in words[:read]], values[:read], gap)


def deletion(
    model: Classifier, explanations: list[Explanation], temperature: float = 1.0
) -> pd.DataFrame:
    """Does the probability fall faster without the strongest words than without random ones?

    Samek et al., IEEE TNNLS 28(11), 2017. Only what the model reads is given, so nothing moves up
    from behind.

    Returns:
        One row a text and share of its words taken out: `text`, `share`, and the fall of the
        probability, `strongest` and `random`.
    """
    random = np.random.default_rng(0)
    rows = []
    for number, made in enumerate(explanations):
        n, strongest_first = len(made.words), np.argsort(-made.values)
        rows.append((number, 0.0, "whole", strongest_first[:0]))
        for share in SHARES:
            k = max(1, round(share * n))
            rows.append((number, share, "strongest", strongest_first[:k]))
            rows += [(number, share, "random", random.permutation(n)[:k]) for _ in range(DRAWS)]
    table = pd.DataFrame(rows, columns=["text", "share", "kind", "gone"])
    asked = [explanations[number] for number in table["text"]]
    pairs = zip(asked, table["gone"], strict=True)
    texts = [" ".join(np.delete(made.words, gone)) for made, gone in pairs]
    top = [model.topics.index(made.topic) for made in asked]
    probabilities = probabilities_of(model.logits(texts), temperature)
    table["p"] = probabilities[np.arange(len(top)), top]
    whole = table[table["kind"] == "whole"].set_index("text")["p"]
    table["fall"] = table["text"].map(whole) - table["p"]
    parts = table[table["kind"] != "whole"]
    return parts.pivot_table(index=["text", "share"], columns="kind", values="fall").reset_index()
