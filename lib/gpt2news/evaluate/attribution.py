"""Why this answer? Integrated gradients, word by word, and a check that the words they name matter."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerIntegratedGradients

from gpt2news.evaluate.calibration import probabilities_of
from gpt2news.evaluate.scoring import bootstrap, wilson
from gpt2news.finetune import Classifier, encode

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class Explanation:
    """Why one text got its topic.

    Attributes:
        topic: the likeliest, of which the words speak.
        words: those that the model read, in order.
        values: (words,) what each adds to the log-odds of `topic`.
        gap: how far the values are from adding up to the whole change of the log-odds, as a share of it; small is exact.
    """

    topic: str
    words: list[str]
    values: np.ndarray
    gap: float


def explain(model: Classifier, text: str, steps: int = 16, batch_size: int = 8) -> Explanation:
    """Integrated gradients of one answer: Sundararajan, Taly and Yan, ICML 2017 (captum), on the way from as many "the" to this text.

    Of the log-odds of the likeliest topic against the others: a probability near 1 has no slope left. Tokens are added up to words.

    Raises:
        ValueError: there is no word in the text.
    """
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    if not spans:
        raise ValueError("a text with at least one word is needed")
    ids = torch.tensor(encode(model.tokenizer, [text]), device=model.device)
    network = model.model
    with torch.no_grad():
        top = int(network(input_ids=ids).logits[0].argmax())

    def log_odds(input_ids: torch.Tensor) -> torch.Tensor:
        logits = network(input_ids=input_ids).logits
        rest = torch.cat([logits[:, :top], logits[:, top + 1 :]], dim=1)
        return logits[:, top] - rest.logsumexp(dim=1)

    gradients = LayerIntegratedGradients(log_odds, network.get_input_embeddings())
    nothing = torch.full_like(ids, encode(model.tokenizer, [" the"])[0][-1])
    given, delta = gradients.attribute(
        ids, nothing, n_steps=steps, internal_batch_size=batch_size, return_convergence_delta=True
    )
    tokens = (
        given.sum(dim=-1)[0, -ids.shape[1] :].detach().cpu().numpy()
    )  # a head that pads on the left has more places
    offsets = model.tokenizer.backend_tokenizer.encode(text).offsets
    ends = np.array([end for _, end in spans])
    values = np.zeros(len(spans))
    read = 0
    for (start, end), value in zip(offsets, tokens, strict=False):
        if end > start:
            word = min(
                int(np.searchsorted(ends, end)), len(spans) - 1
            )  # a token's first character may be the space before
            values[word] += value
            read = max(read, word + 1)
    read = read or len(spans)
    total = abs(float(tokens.sum() - delta))
    words = [text[start:end] for start, end in spans[:read]]
    return Explanation(
        model.topics[top], words, values[:read], abs(float(delta)) / max(total, 1e-9)
    )


def deletion(
    model: Classifier,
    explanations: list[Explanation],
    temperature: float = 1.0,
    draws: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """Take words out, the strongest first or at random: does the probability of the topic fall faster?

    Samek et al., IEEE TNNLS 28(11), 2017. Only what the model reads is given, so nothing moves up from behind.

    Returns:
        One row a text and share of its words: `text`, `share`, and the fall of the probability, `strongest` and `random` (mean of `draws`).
    """
    random = np.random.default_rng(seed)
    texts, keys = [], []
    for number, made in enumerate(explanations):
        texts.append(" ".join(made.words))
        keys.append((number, 0.0, "whole"))
        for share in SHARES:
            k = max(1, round(share * len(made.words)))
            orders = [
                ("strongest", np.argsort(-made.values)),
                *(("random", random.permutation(len(made.words))) for _ in range(draws)),
            ]
            for kind, order in orders:
                gone = set(order[:k].tolist())
                texts.append(" ".join(word for i, word in enumerate(made.words) if i not in gone))
                keys.append((number, share, kind))
    probabilities = probabilities_of(model.logits(texts), temperature)
    top = [model.topics.index(explanations[number].topic) for number, _, _ in keys]
    table = pd.DataFrame(keys, columns=["text", "share", "kind"]).assign(
        p=probabilities[np.arange(len(top)), top]
    )
    whole = table[table["kind"] == "whole"].set_index("text")["p"]
    parts = table[table["kind"] != "whole"]
    parts = parts.assign(fall=whole.loc[parts["text"]].to_numpy() - parts["p"])
    return parts.pivot_table(index=["text", "share"], columns="kind", values="fall").reset_index()


def deletion_summary(table: pd.DataFrame, share: float = 0.2) -> dict:
    """What metrics.json keeps of `deletion` at one share of words: mean falls and how often the strongest win, with intervals."""
    at = table[table["share"] == share]
    mean = lambda kind: bootstrap(lambda rows: at[kind].to_numpy()[rows].mean(), len(at))  # noqa: E731
    wins = wilson((at["strongest"] > at["random"]).sum(), len(at))
    return {
        "n": len(at),
        "share": share,
        "strongest": mean("strongest"),
        "random": mean("random"),
        "strongest_falls_more": wins,
    }
