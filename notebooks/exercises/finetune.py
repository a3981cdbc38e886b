"""Exercises of chapter 03."""

import json
import math

from gpt2news import split
from exercises import check, exercise, number


@exercise("03.layer", float)
def _layer(answer, given):
    config = json.loads(
        given["record"]
        .needs("model", "config.json", chapter="03_finetune")
        .read_text(encoding="utf-8")
    )
    width, topics = config["n_embd"], len(config["id2label"])
    positions = given["max_length"] if config.get("pooling") == "flat" else 1
    return number(
        answer, width * topics * positions,
        f"{width} × {topics * positions} = {width * topics * positions:,}: all the rest was there before.",
        ((width + 1) * topics, "Nearly: this layer has no bias, only a weight from each state to each topic."),
        (width, "That is one topic's weights. How many topics are there?"),
        (width * topics * given["max_length"], "That is what a layer on *all* positions would need. Ours reads one vector a text."),
        otherwise="`states.shape[-1]` numbers go in, `len(topics)` scores come out, and every score has a weight for every number.",
        exact=True,
    )  # fmt: skip


@exercise("03.blind", float)
def _blind(answer, given):
    k = len(given["topics"])
    return number(
        answer, math.log(k),
        f"ln {k} = {math.log(k):.3f} nats. A first loss far above it means a fault, say labels in the wrong order.",
        (math.log2(k), "That is in bits; torch counts in nats, with the natural logarithm."),
        (math.log10(k), "That is the logarithm to base 10; torch takes the natural one."),
        (1 / k, "That is the probability of the right topic. The loss is minus its logarithm."),
        (-math.log(k), "The sign: a loss is *minus* the logarithm of the probability."),
        otherwise="Every topic gets the probability 1 / number of topics; the loss is minus the natural logarithm of that.",
    )  # fmt: skip


@exercise("03.mask", float)
def _mask(answer, given):
    return number(
        answer, 21,
        "1 + 2 + … + 6 = 21 of 36. The other 15 are closed: that is what let the model learn by guessing the next token.",
        (36, "That is without a mask, as in BERT. In GPT-2 no token may look at what comes after it."),
        (15, "Those are the closed ones, or you left out the diagonal: a token may look at itself."),
        otherwise="The first token may look at one (itself), the second at two, … Add them up.",
        exact=True,
    )  # fmt: skip


@exercise("03.padding", bool)
def _padding(answer, given):
    if not answer:
        return (
            True,
            "The filling stands to the right of every real token, where none of them looks. No mask is needed.",
        )
    return (
        False,
        "Look at the causal mask: which tokens does the last *real* token see? The filling comes after it.",
    )


@exercise("03.steps", float)
def _steps(answer, given):
    texts = len(split.read_split(given["record"].path("splits"))["train"])
    batch, epochs = given["batch_size"], given["epochs"]
    steps = math.ceil(texts / batch) * epochs
    return number(
        answer, steps,
        f"⌈{texts:,} / {batch}⌉ × {epochs} = {steps:,}: so often were the weights changed.",
        (math.ceil(texts / batch), "That is one epoch."),
        (texts * epochs, "That counts texts. A step takes a whole batch of them."),
        (texts * epochs / batch, "Round up in each epoch: the last, smaller batch is a step too."),
        otherwise="Batches an epoch (the last one may be smaller), times epochs. `len(parts[\"train\"])`, `batch_size`, `epochs`.",
        exact=True,
    )  # fmt: skip
