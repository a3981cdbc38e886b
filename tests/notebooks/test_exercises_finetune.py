"""The exercises of chapter 03 that take code: right, and each known slip with its hint."""

import pytest
import torch

from gpt2news import run

run.companion("exercises", "03_finetune")
import exercises  # noqa: E402 (notebooks/ is on the path now)

cross_entropy = torch.nn.functional.cross_entropy


def collate(items, pad_token_id, left=False, from_ids=False):
    longest = max(len(ids) for ids, _ in items)
    fill = [[pad_token_id] * (longest - len(ids)) for ids, _ in items]
    texts = [ids for ids, _ in items]
    rows = [f + t if left else t + f for t, f in zip(texts, fill, strict=True)]
    mask = [[1] * len(t) + [0] * len(f) for t, f in zip(texts, fill, strict=True)]
    if from_ids:
        mask = [[int(i != pad_token_id) for i in row] for row in rows]
    labels = [label for _, label in items]
    named = {"input_ids": rows, "attention_mask": mask, "labels": labels}
    return {name: torch.tensor(value) for name, value in named.items()}


def on_the_left(items, pad_token_id):
    return collate(items, pad_token_id, left=True)


def mask_of_ids(items, pad_token_id):
    return collate(items, pad_token_id, from_ids=True)


def pool(states, mask):
    return states[torch.arange(len(states)), mask.sum(dim=1) - 1]


def mended(model, optimizer, batches):
    for inputs, labels in batches:
        optimizer.zero_grad()
        cross_entropy(model(inputs), labels).backward()
        optimizer.step()


def as_before(model, optimizer, batches):
    for inputs, labels in batches:
        cross_entropy(model(inputs), labels).backward()
        optimizer.step()


def too_early(model, optimizer, batches):
    for inputs, labels in batches:
        cross_entropy(model(inputs), labels).backward()
        optimizer.zero_grad()
        optimizer.step()


def freeze(model):
    model.requires_grad_(False)
    model.transformer.h[-2:].requires_grad_(True)
    model.score.requires_grad_(True)


def freeze_all(model):
    model.requires_grad_(False)


def freeze_too_little(model):
    freeze(model)
    model.transformer.h[-3:].requires_grad_(True)


def freeze_too_much(model):
    freeze(model)
    model.transformer.h[-2].requires_grad_(False)


GIVEN = {"guesses": {"a": 0.05, "b": 5e-6, "c": 5e-4}}


@pytest.mark.parametrize(
    ("name", "answer", "right", "told"),
    [
        ("03.collate", collate, True, "all that a model is told"),
        ("03.collate", on_the_left, False, "The padding is on the left"),
        ("03.collate", mask_of_ids, False, "The mask was made of the ids"),
        ("03.collate", lambda items, pad: {"labels": 1}, False, "`input_ids` is missing"),
        ("03.collate", lambda items, pad: [1], False, "a dict is wanted"),
        ("03.collate", lambda items, pad: None, False, "returns nothing"),
        ("03.collate", lambda items: 1, False, "stops with TypeError"),
        ("03.pool", pool, True, "where it ends"),
        ("03.pool", lambda s, m: s[:, -1], False, "last *position*"),
        ("03.pool", lambda s, m: s[:, 0], False, "first token"),
        ("03.pool", lambda s, m: s.mean(dim=1), False, "padding included"),
        ("03.pool", lambda s, m: s, False, "one vector a text is (2, 3)"),
        ("03.pool", lambda s, m: [1], False, "a tensor is wanted"),
        ("03.mask", lambda n: torch.ones(n, n).tril().bool(), True, "10 of 16"),
        ("03.mask", lambda n: torch.ones(n, n), False, "that is BERT's"),
        ("03.mask", lambda n: torch.ones(n, n).triu(), False, "wrong way round"),
        ("03.mask", lambda n: torch.ones(n, n).tril(-1), False, "the diagonal is open"),
        ("03.mask", lambda n: torch.ones(n), False, "(4, 4) is wanted"),
        ("03.mask", lambda n: torch.zeros(n, n), False, "Row i is True"),
        ("03.zero", mended, True, "of its own batch"),
        ("03.zero", as_before, False, "*adds* to the gradients"),
        ("03.zero", too_early, False, "gone before `step()`"),
        ("03.zero", lambda *_: 1 / 0, False, "stops with ZeroDivisionError"),
        ("03.freeze", freeze, True, "parameters learn"),
        ("03.freeze", lambda model: None, False, "Everything still learns"),
        ("03.freeze", freeze_all, False, "new layer is frozen"),
        ("03.freeze", freeze_too_little, False, "`transformer.h.1."),
        ("03.freeze", freeze_too_much, False, "`transformer.h.2."),
        ("03.rate", "A ", True, "overshoots"),
        ("03.rate", "b", False, "too *low*"),
        ("03.rate", "c", False, "the rate of this run"),
        ("03.rate", "d", False, "not one of the curves: a, b, c"),
    ],
)
def test_verdict(name, answer, right, told):
    verdict = exercises.check(name, answer, GIVEN)
    assert verdict.right is right
    assert told in verdict.text
