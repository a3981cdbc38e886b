"""Exercises of chapter 01."""

from itertools import pairwise

import numpy as np
import pandas as pd

from exercises import check, exercise, share


@exercise("01.balance", float)
def _balance(answer, given):
    counts = given["counts"]
    return share(
        answer, counts.max() / counts.sum(),
        f"Always saying *{counts.idxmax()}* is right for {counts.max():,} of {counts.sum():,} texts. Read every score against this one.",
        (1 / len(counts), f"Guessing among {len(counts)} topics at random gets that. Always giving the largest topic gets more."),
        (counts.min() / counts.sum(), "That is the smallest topic; the lazy model would pick the largest."),
        otherwise="How many texts has the largest topic, and how many are there in all? `counts.max()` and `counts.sum()`.",
    )  # fmt: skip


@exercise("01.longest", str)
def _longest(answer, given):
    by_topic = pd.Series(given["tokens"]).groupby(given["texts"]["topic"].to_numpy())
    medians = by_topic.median()
    if answer not in medians:
        return (
            False,
            f"`{answer}` is not a topic of this corpus. They are {', '.join(medians.index)}.",
        )
    if medians[answer] == medians.max():
        lost = by_topic.agg(lambda n: (n > 128).mean())
        return (
            True,
            f"The median *{answer}* text has {medians[answer]:.0f} tokens; {lost[answer]:.0%} of them are longer than 128.",
        )
    if answer == by_topic.mean().idxmax():
        return (
            False,
            "It has the largest *mean*, which a few very long texts can lift. Compare the medians.",
        )
    if answer == medians.idxmin():
        return False, "That is the topic with the shortest texts."
    return (
        False,
        f"Its median is {medians[answer]:.0f} tokens, and another topic has more. Group the tokens by topic and take the median.",
    )


@exercise("01.lost", float)
def _lost(answer, given):
    tokens, limit = np.asarray(given["tokens"]), 128
    beyond, total = (tokens - limit).clip(0).sum(), tokens.sum()
    return share(
        answer, beyond / total,
        f"{beyond:,} of {total:,} tokens stand behind position {limit}. Many texts are cut, but most lose only their end.",
        ((tokens > limit).mean(), "That is the share of *texts* that are cut. Here each token counts: how many stand behind position 128?"),
        (1 - beyond / total, "That is the share that is read. What is lost is the rest."),
        (tokens[tokens > limit].sum() / total, "You counted long texts whole; their first 128 tokens are read."),
        otherwise="A text of 300 tokens loses 172, a text of 100 loses none: `(tokens - 128).clip(0)`. Sum, and divide by all tokens.",
    )  # fmt: skip


@exercise("01.jaccard", float)
def _jaccard(answer, given):
    words = [headline.lower().split() for headline in given["headlines"]]
    a, b = ({*pairwise(w)} for w in words)
    both = len(a & b)
    singles = len({*words[0]} & {*words[1]}) / len({*words[0]} | {*words[1]})
    return share(
        answer, both / len(a | b),
        f"{both} runs are in both, {len(a | b)} in either: {both} / {len(a | b)} = {both / len(a | b):.2f}.",
        (both / (len(a) + len(b)), "You divided by the sum of the two sets, which counts shared runs twice. Divide by the union."),
        (both / len(a), "You divided by the runs of one headline. Divide by the runs that are in either of the two."),
        (both / len(b), "You divided by the runs of one headline. Divide by the runs that are in either of the two."),
        (singles, "That is the index of single words. Take runs of two: *the bank*, *bank cut*, …"),
        otherwise="Write down the runs of two words of each headline. How many are in both? How many are in either, each counted once?",
    )  # fmt: skip


@exercise("01.pieces", str)
def _pieces(answer, given):
    if not answer.isalpha() or len(answer) > 12:
        return False, "One word of at most 12 letters is wanted: no spaces, digits or hyphens."
    reader = given["reader"]
    parts = [reader.decode([i]).strip() for i in reader.backend_tokenizer.encode(answer).ids]
    shown = " + ".join(f"`{part}`" for part in parts)
    if len(parts) >= 5:
        return (
            True,
            f"{len(parts)} tokens: {shown}. Names and rare words cost most, and they are what news is full of.",
        )
    whole = "a frequent word is kept whole" if len(parts) == 1 else "its parts are frequent"
    return (
        False,
        f"{shown}: {len(parts)} token{'s' * (len(parts) > 1)}; {whole}. Try a name, a foreign word, or one with rare letters.",
    )
