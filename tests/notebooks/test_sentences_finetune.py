"""What chapter 03 says of its results: null and degenerate cases of every sentence."""

import pytest

from gpt2news.run import companion

say = companion("sentences", "03_finetune")


@pytest.mark.parametrize(
    ("right", "n", "told", "silent"),
    [
        (8, 40, "no difference that n = 40 can show", "it knows something"),
        (30, 40, "it knows something, but not enough", "no difference"),
        (0, 40, "worse than a blind guess", "no difference"),
        (0, 1, "no difference that n = 1 can show", "worse"),
    ],
    ids=["null", "better", "worse", "one text"],
)
def test_prompted(right, n, told, silent):
    said = say.prompted(right, n, 5)
    assert told in said
    assert silent not in said


def test_dropped():
    assert "gives every one of these texts back" in say.dropped([("a", " a"), ("£3.5bn", "£3.5bn")])
    said = say.dropped([("日本語", ""), ("naïve", " naive"), ("plain", "plain")])
    assert "nothing is left of `日本語`" in said
    assert "`naïve` becomes `naive`" in said
    assert "plain" not in said
    assert "nothing is left" not in say.dropped([("naïve", "naive")])
    assert "becomes" not in say.dropped([("🙂", "")])


def test_sizes():
    assert "50% are the token embedding, 10 (0.001%)" in say.sizes(1_000_000, 500_000, 10, 2, 5)


def test_moved():
    said = say.moved([0, 0, 1.5], [1, 2, 3])
    assert "only the state of the last token moves" in said
    assert "every state moves" in said
    both = say.moved([0.1, 0.2, 1.5], [1, 2, 3])  # a model that looks both ways
    assert "no states stay" in both
    assert "left to right" not in both
    alone = say.moved([1.0], [1.0])
    assert "only one token" in alone


@pytest.mark.parametrize(
    ("errors", "told", "silent"),
    [
        ((4e-7, 0.23, 4e-7), "which is rounding. On the left it changes them by 0.23", "4e-07 on"),
        ((0.0, 0.0, 0.0), "by 0e+00 at most, which is rounding. On the left it", "looks at the"),
        ((0.1, 0.2, 0.3), "changes the scores by 1e-01 at most. On the left", "rounding"),
    ],
    ids=["as measured", "null", "a model that minds"],
)
def test_padded(errors, told, silent):
    said = say.padded(*errors)
    assert told in said
    assert silent not in said
    assert ("as good as the right" in said) == (errors[2] < 1e-4)


@pytest.mark.parametrize(
    ("right", "n", "told"),
    [
        (8, 50, "which a blind guess also gets"),
        (40, 50, "a random layer may be lucky"),
        (0, 1, "also"),
    ],
)
def test_untrained(right, n, told):
    assert told in say.untrained(right, n, 5)


@pytest.mark.parametrize(
    ("losses", "right", "memorised", "nothing", "blind"),
    [
        ((0.24, 1.45, 1.67), 25, True, False, False),
        ((0.24, 1.45, 1.67), 12, True, False, True),
        ((1.67, 1.67, 1.67), 10, False, True, False),
        ((0.10, 2.00, 1.67), 12, True, True, False),
        ((1.40, 1.45, 1.67), 25, False, False, False),
    ],
    ids=["clear", "as measured", "null", "worse than before", "no gap"],
)
def test_gap(losses, right, memorised, nothing, blind):
    said = say.gap(*losses, right, 50, 5)
    assert f"{right} of 50 validation texts" in said
    assert ("memorised" in said) == memorised
    assert ("learned nothing yet" in said) == nothing
    assert ("is not ruled out" in said) == blind


def test_three_ways():
    losses = {"untrained": 1.67, "loop": 0.452, "Trainer": 0.452, "library": 0.473}
    said = say.three_ways(losses, 0.01, 0.25, True)
    assert "within 0.01 (here 0.0e+00), the library within 0.25 (here 0.02)" in said
    assert "says little" not in said
    assert "asserts" not in say.three_ways(losses, 0.01, 0.25, False)
    assert "not asserted" in say.three_ways(losses, 0.01, 0.25, False)
    null = dict.fromkeys(losses, 1.6)  # nothing was learned: then all are alike for no reason
    assert "says little" in say.three_ways(null, 0.01, 0.25, True)


def test_waste():
    some = {"padded to max_length": 0.4, "as shuffled": 0.2, "of like length": 0.02}
    assert "2% of the work is padding instead of 20%: 18% fewer tokens" in say.waste(some)
    assert "saves nothing" in say.waste(dict.fromkeys(some, 0.0))
    assert "saves nothing" in say.waste({**some, "as shuffled": 0.02})


TRAINING = {
    "parameters": 5_000_000, "trained": 5_000_000, "steps": 125, "texts_at_once": 16,
    "accumulation": 1, "processes": 1, "seconds": 36.7, "device": "CPU",
}  # fmt: skip


def test_trained():
    said = say.trained(TRAINING)
    assert "all of them trained: 125 steps of 16 texts, in 37 s, on CPU." in said
    said = say.trained({**TRAINING, "trained": 50_000, "accumulation": 4, "texts_at_once": 4})
    assert "1.0% of them trained" in said
    assert "steps of 16 texts, in 4 turns of 4 whose gradients are summed" in said
    assert "32 texts" in say.trained({**TRAINING, "processes": 2})


def history(*losses):
    return [{"loss": 1.0}, *({"eval_loss": loss} for loss in losses)]


@pytest.mark.parametrize(
    ("losses", "stopping", "told"),
    [
        (
            (0.7, 0.5, 0.2),
            0,
            "The last epoch, which is kept, has the lowest validation loss (0.200)",
        ),
        ((0.7, 0.189, 0.208), 0, "and not epoch 2, whose loss was the lowest (0.189)"),
        ((0.7, 0.189, 0.208), 1, "Kept is epoch 2 of 3"),
        ((0.7,), 0, "The last epoch, which is kept"),
        ((0.5, 0.5), 0, "The last epoch, which is kept"),
    ],
    ids=["falls", "rises again", "early stopping", "one epoch", "a tie"],
)
def test_kept_epoch(losses, stopping, told):
    assert told in say.kept_epoch(history(*losses), stopping)


@pytest.mark.parametrize(
    ("right", "n", "told"),
    [
        ({"pretrained": 46, "from scratch": 20}, 50, "comes from the weights at the start"),
        ({"pretrained": 30, "from scratch": 30}, 50, "no difference that n = 50 can show"),
        ({"pretrained": 20, "from scratch": 46}, 50, "the random weights did better"),
        ({"pretrained": 5, "from scratch": 4}, 5, "no difference that n = 5 can show"),
        ({"pretrained": 46}, 50, "was not asked for"),
    ],
    ids=["clear", "a tie", "the other way", "n = 5", "alone"],
)
def test_pretraining(right, n, told):
    said = say.pretraining(right, n, 80)
    assert told in said
    assert ("With 80 texts to learn from" in said) == (len(right) == 2)


def test_parts():
    tie = dict.fromkeys(("head only", "LoRA", "all weights"), 20)
    assert "no difference that n = 50 can show" in say.parts(tie, 50)
    assert "n = 5 can show" in say.parts({"head only": 2, "all weights": 4}, 5)
    said = say.parts({"head only": 10, "LoRA": 12, "all weights": 45}, 50)
    assert "*all weights* did best" in said
    assert "head only and LoRA does not reach it" in said


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (["a", "a", "a"], "no word turns it"),
        (["a"], "no word turns it"),
        (["a", "b", "b"], "1 time; the last time at the word “two”, from a to b"),
        (["a", "b", "a"], "2 times; the last time at the word “three”, from b to a"),
    ],
)
def test_turns(answers, told):
    words = ["one", "two", "three"][: len(answers)]
    said = say.turns(words, answers, [0.9] * len(words))
    assert told in said
    assert f"It ends at {answers[-1]}, 0.90." in said
    assert ("before the last token" in said) == (len(set(answers)) > 1)


def test_trial():
    assert "GPT-2 is not timed here" in say.trial(None, None, 75, "")
    said = say.trial(0.8, 6.2, 75, "T4")
    assert "On T4: 0.80 s a step and 6.2 GiB" in said
    assert "75 steps are about **1 minutes**" not in said
    assert "about **1 minute**" in said


def test_markup_in_topics_and_words_stays_text():
    evil = "<img src=x onerror=alert(1)>"
    for answers in ([evil, evil], [evil, "![p](http://elsewhere.invalid)"]):
        told = say.turns([evil, evil], answers, [0.5, 0.5])
        assert "<img" not in told
        assert "![" not in told
