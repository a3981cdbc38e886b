"""Exercises of chapter 01."""

import numpy as np
import pandas as pd

from exercises import call_number, exercise, near, share
from exercises import check as check


@exercise("01.balance", float)
def _balance(answer, given):
    counts = given["counts"]
    return share(
        answer,
        counts.max() / counts.sum(),
        f"Always saying *{counts.idxmax()}* is right for {counts.max():,} of {counts.sum():,} "
        "texts. Read every score against this one.",
        (
            1 / len(counts),
            f"Guessing among {len(counts)} topics at random gets that. "
            "Always giving the largest topic gets more.",
        ),
        (
            counts.min() / counts.sum(),
            "That is the smallest topic; the lazy model would pick the largest.",
        ),
        otherwise="How many texts has the largest topic, and how many are there in all? "
        "`counts.max()` and `counts.sum()`.",
    )


@exercise("01.longest", str)
def _longest(answer, given):
    answer = answer.strip()
    by_topic = pd.Series(given["tokens"]).groupby(given["texts"]["topic"].to_numpy())
    medians = by_topic.median()
    if answer not in medians:
        topics = ", ".join(medians.index)
        return False, f"`{answer}` is not a topic of this corpus. They are {topics}."
    if medians[answer] == medians.max():
        longer = by_topic.agg(lambda n: (n > 128).mean())[answer]
        return True, (
            f"The median *{answer}* text has {medians[answer]:.0f} tokens; "
            f"{longer:.0%} of them are longer than 128."
        )
    if answer == by_topic.mean().idxmax():
        return False, (
            "It has the largest *mean*, which a few very long texts can lift. Compare the medians."
        )
    if answer == medians.idxmin():
        return False, "That is the topic with the shortest texts."
    return False, (
        f"Its median is {medians[answer]:.0f} tokens, and another topic has more. "
        "Group the tokens by topic and take the median."
    )


@exercise("01.lost", float)
def _lost(answer, given):
    tokens, limit = np.asarray(given["tokens"]), 128
    beyond, total = (tokens - limit).clip(0).sum(), tokens.sum()
    return share(
        answer,
        beyond / total,
        f"{beyond:,} of {total:,} tokens come after position {limit}.",
        (
            (tokens > limit).mean(),
            "That is the share of *texts* that are cut. Here each token counts: "
            f"how many come after position {limit}?",
        ),
        (1 - beyond / total, "That is the share that is read. What is lost is the rest."),
        (
            tokens[tokens > limit].sum() / total,
            f"You counted long texts whole; their first {limit} tokens are read.",
        ),
        otherwise="A text of 300 tokens loses 172, a text of 100 loses none: "
        "`(tokens - 128).clip(0)`. Sum, and divide by all tokens.",
    )


CASES = [  # two texts, the size of a run, the index, and what goes wrong when it is missed
    ("a b c", "a b c", 1, 1.0, "two texts that are the same have the index 1"),
    ("a b", "c d", 1, 0.0, "two texts that share nothing have the index 0"),
    ("a b a b", "a b", 2, 0.5, "*a b* is twice in the first text, and a set holds it once"),
    ("a b c d", "b c d e", 3, 1 / 3, "the runs are of `size` words, three here"),
]


@exercise("01.jaccard", callable)
def _jaccard(answer, given):
    first, second = given["headlines"]
    value = call_number(answer, first, second, 2)
    slips = [
        (4 / 11, "You divided by the sum of the two sets, which counts shared runs twice."),
        (4 / 5, "You divided by the runs of one headline. Divide by those in either of the two."),
        (4 / 6, "You divided by the runs of one headline. Divide by those in either of the two."),
        (5 / 8, "That is the index of single words. Take runs of `size` words: *the bank*, …"),
        (4, "That counts what both have. Divide by what either has, each run counted once."),
    ]
    if not near(value, 4 / 7):
        hint = "How many runs are in both? How many are in either, each counted once?"
        hint = next((why for slip, why in slips if near(value, slip)), hint)
        return False, f"For the two headlines and runs of two words it gives {value:g}. {hint}"
    for one, other, size, expected, why in CASES:
        got = call_number(answer, one, other, size)
        if not near(got, expected):
            case = f"`{answer.__name__}({one!r}, {other!r}, {size})` gives {got:g}"
            return False, f"The headlines are right, and {case}: {why}."
    return True, f"4 runs are in both headlines, 7 in either: 4 / 7 = {value:.2f}."


@exercise("01.pieces", str)
def _pieces(answer, given):
    answer = answer.strip()
    if not answer.isalpha() or len(answer) > 12:
        return False, "One word of at most 12 letters is wanted: no spaces, digits or hyphens."
    reader = given["reader"]
    parts = [reader.decode([i]).strip() for i in reader(answer)["input_ids"]]
    if not parts:
        return False, (
            f"The model reads none of the letters of `{answer}`: its tokenizer keeps a to z, so "
            "nothing is left to cut. Try a word in Latin letters."
        )
    shown = " + ".join(f"`{part}`" for part in parts)
    if len(parts) >= 5:
        return True, (
            f"{len(parts)} tokens: {shown}. Names and rare words cost most, "
            "and they are what news is full of."
        )
    whole = "a frequent word is kept whole" if len(parts) == 1 else "its parts are frequent"
    return False, (
        f"{shown}: {len(parts)} token{'s' * (len(parts) > 1)}; {whole}. "
        "Try a name, a foreign word, or one with rare letters."
    )
