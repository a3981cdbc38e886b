"""Exercises of chapter 03."""

import json
import math

import torch
from transformers import GPT2Config, GPT2ForSequenceClassification

from exercises import AnswerError, call, check, exercise, number  # noqa: F401 (the notebook's)
from gpt2news import split


@exercise("03.layer", float)
def _layer(answer, given):
    file = given["report"].path("model", "config.json")
    config = json.loads(file.read_text(encoding="utf-8"))
    width = config.get("n_embd") or config["hidden_size"]
    topics = len(config["id2label"])
    return number(
        answer,
        width * topics,
        f"{width} × {topics} = {width * topics:,}: all the rest was there before.",
        (
            (width + 1) * topics,
            "Nearly: this layer has no bias, only a weight from each state to each topic.",
        ),
        (width, "That is one topic's weights. How many topics are there?"),
        (
            width * topics * given["max_length"],
            "That is what a layer on *all* positions would need. Ours reads one vector a text.",
        ),
        otherwise="`states.shape[-1]` numbers go in, `len(topics)` scores come out, and every "
        "score has a weight for every number.",
        exact=True,
    )


@exercise("03.blind", float)
def _blind(answer, given):
    k = len(given["topics"])
    return number(
        answer,
        math.log(k),
        f"ln {k} = {math.log(k):.3f} nats (the unit of a natural logarithm). A first loss far "
        "above it means a fault, say labels in the wrong order.",
        (math.log2(k), "That is in bits; torch takes the natural logarithm."),
        (math.log10(k), "That is the logarithm to base 10; torch takes the natural one."),
        (1 / k, "That is the probability of the right topic. The loss is minus its logarithm."),
        (-math.log(k), "The sign: a loss is *minus* the logarithm of the probability."),
        otherwise="Every topic gets the probability 1 / number of topics; the loss is minus the "
        "natural logarithm of that.",
    )


def _tensor(value: object, what: str) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise AnswerError(f"{what} is {type(value).__name__}; a tensor is wanted.")
    return value


@exercise("03.collate", callable)
def _collate(answer, given):
    items = [([5, 6, 7], 1), ([8], 0), ([9, 0], 4)]  # 0 is the padding, and a token of the third
    wanted = {
        "input_ids": [[5, 6, 7], [8, 0, 0], [9, 0, 0]],
        "attention_mask": [[1, 1, 1], [1, 0, 0], [1, 1, 0]],
        "labels": [1, 0, 4],
    }
    batch = call(answer, items, 0)
    if not hasattr(batch, "keys"):
        return False, f"It returns {type(batch).__name__}; a dict is wanted."
    if missing := [name for name in wanted if name not in batch]:
        return False, f"`{missing[0]}` is missing in what it returns."
    found = {name: _tensor(batch[name], f"`{name}`").tolist() for name in wanted}
    if found["input_ids"] == [[5, 6, 7], [0, 0, 8], [0, 9, 0]]:
        return False, "The padding is on the left. With it on the right, no real token sees it."
    if found["input_ids"] != wanted["input_ids"]:
        return False, f"Of three texts it makes the ids {found['input_ids']}."
    if found["attention_mask"] == [[1, 1, 1], [1, 0, 0], [1, 0, 0]]:
        return False, (
            "The mask was made of the ids: a real token that happens to be the padding token gets "
            "a 0. Make it of the lengths."
        )
    if found["attention_mask"] != wanted["attention_mask"]:
        return False, f"For texts of 3, 1 and 2 tokens the mask is {found['attention_mask']}."
    if found["labels"] != wanted["labels"]:
        return False, f"The labels are {found['labels']}, and should be {wanted['labels']}."
    return True, "Ids, mask and labels: that is all that a model is told of a batch."


@exercise("03.pool", callable)
def _pool(answer, given):
    states = torch.arange(24.0).reshape(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    pooled = _tensor(call(answer, states, mask), "What it returns")
    wanted = torch.stack([states[0, 1], states[1, 3]])
    if pooled.shape != wanted.shape:
        shape = tuple(pooled.shape)
        return False, f"For states of (2, 4, 3) it returns {shape}; one vector a text is (2, 3)."
    slips = {
        "That is the last *position*: for a padded text it is padding.": states[:, -1],
        "That is the first token, which has seen nothing but itself.": states[:, 0],
        "That is one too far: counting starts at 0.": torch.stack([states[0, 2], states[1, 3]]),
        "That is the mean of all tokens, padding included.": states.mean(dim=1),
        "That is the mean of the real tokens: `pooling = \"mean\"`, and not asked here.":
        torch.stack([states[0, :2].mean(dim=0), states[1].mean(dim=0)]),
    }  # fmt: skip
    if torch.equal(pooled, wanted):
        return True, "Each text is read where it ends, however long its neighbour is."
    reason = [why for why, slip in slips.items() if torch.equal(pooled, slip)]
    return False, reason[0] if reason else "These are not the states at the last real tokens."


@exercise("03.mask", callable)
def _mask(answer, given):
    mask = _tensor(call(answer, 4), "What it returns").bool()
    if mask.shape != (4, 4):
        return False, f"For 4 tokens it has the shape {tuple(mask.shape)}; (4, 4) is wanted."
    full = torch.ones(4, 4)
    if torch.equal(mask, full.tril().bool()):
        return True, (
            "10 of 16 pairs are open. All True would be BERT's: then the next token could be seen, "
            "and guessing it would teach nothing."
        )
    if mask.all():
        return False, "Nothing is masked: that is BERT's. A token must not see what comes later."
    if torch.equal(mask, full.triu().bool()):
        return False, "The wrong way round: here a token sees only what comes after it."
    if torch.equal(mask, full.tril(-1).bool()):
        return False, "A token may look at itself, too: the diagonal is open."
    return False, "Row i is True in the columns 0 to i, and False after that."


def _weights_after(function) -> torch.Tensor:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [(torch.randn(4, 3), torch.tensor([0, 1, 0, 1])) for _ in range(3)]
    function(model, optimizer, batches)
    return model.weight.detach().clone()


def _reference(model, optimizer, batches, forget=True, step=True):
    for inputs, labels in batches:
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        if step:
            optimizer.step()
        if forget:
            optimizer.zero_grad()


def _adding(*arguments):
    _reference(*arguments, forget=False)


def _standing(*arguments):
    _reference(*arguments, step=False)


@exercise("03.zero", callable)
def _zero(answer, given):
    try:
        found = _weights_after(answer)
    except Exception as error:  # whatever it is, the learner is told
        return False, f"`{answer.__name__}` stops with {type(error).__name__}: {error}"
    if torch.allclose(found, _weights_after(_reference), atol=1e-6):
        return True, "Now each step follows the gradient of its own batch, and of no other."
    if torch.allclose(found, _weights_after(_standing), atol=1e-6):
        return False, "The weights have not moved at all. Are the gradients gone before `step()`?"
    if torch.allclose(found, _weights_after(_adding), atol=1e-6):
        return False, "Still as before: `backward()` *adds* to the gradients that are there."
    return False, "The weights end elsewhere. Only one line is missing; the others are right."


@exercise("03.freeze", callable)
def _freeze(answer, given):
    shape = {"n_layer": 4, "n_embd": 16, "n_head": 2, "vocab_size": 32, "n_positions": 8}
    model = GPT2ForSequenceClassification(GPT2Config(**shape, num_labels=3, pad_token_id=0))
    try:
        answer(model)  # it need not return anything
    except Exception as error:  # whatever it is, the learner is told
        return False, f"`{answer.__name__}` stops with {type(error).__name__}: {error}"
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    upper = ("transformer.h.2.", "transformer.h.3.", "score.")
    if len(learns) == len(list(model.parameters())):
        return False, "Everything still learns. Set `requires_grad_(False)` on the model first."
    if "score.weight" not in learns:
        return False, "The new layer is frozen, too: it would stay random. Open `model.score`."
    if open_below := sorted(name for name in learns if not name.startswith(upper)):
        return False, f"`{open_below[0]}` still learns. It is below the last two blocks."
    for name, _ in model.named_parameters():
        if name.startswith(upper) and name not in learns:
            return False, f"`{name}` is frozen. The blocks to open are `model.transformer.h[-2:]`."
    share = sum(p.numel() for p in model.parameters() if p.requires_grad)
    whole = sum(p.numel() for p in model.parameters())
    return True, f"In the check's small model {share:,} of {whole:,} parameters learn."


@exercise("03.rate", str)
def _rate(answer, given):
    guesses = given["guesses"]
    answer = answer.strip().lower()
    if answer not in guesses:
        return False, f"`{answer}` is not one of the curves: {', '.join(guesses)}."
    order = sorted(guesses, key=guesses.get)
    if answer == order[-1]:
        return True, f"{guesses[answer]:g} a step is too much: each step overshoots."
    if answer == order[0]:
        return False, "That one hardly moves: its rate is too *low*."
    return False, "That one stays in bounds: it is the rate of this run."


@exercise("03.steps", float)
def _steps(answer, given):
    texts = len(split.read_split(given["report"].path("splits"))["train"])
    batch, epochs = given["batch_size"], given["epochs"]
    steps = math.ceil(texts / batch) * epochs
    return number(
        answer,
        steps,
        f"⌈{texts:,} / {batch}⌉ × {epochs} = {steps:,}: so often were the weights changed.",
        (math.ceil(texts / batch), "That is one epoch."),
        (texts * epochs, "That counts texts. A step takes a whole batch of them."),
        (
            texts * epochs / batch,
            "Round up in each epoch: the last, smaller batch is a step too.",
        ),
        otherwise="Batches an epoch (the last one may be smaller), times epochs. "
        '`len(parts["train"])`, `batch_size`, `epochs`.',
        exact=True,
    )
