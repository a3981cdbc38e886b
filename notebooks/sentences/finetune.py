"""What chapter 03 says of its results."""

from gpt2news.evaluate import wilson
from gpt2news.show import plain
from sentences import SEE, count, listed


def prompted(right: int, n: int, topics: int) -> str:
    """The language model asked for the topic: is it better than a blind guess?"""
    score, chance = wilson(right, n), 1 / topics
    begin = (
        f"Of the {topics} topic words it gives the right one the best score for **{right} of {n}** "
        f"texts ({score['low']:.2f} to {score['high']:.2f}, the 95 % interval). "
    )
    if score["low"] > chance:
        return (
            SEE
            + begin
            + (
                f"A blind guess would be right {chance:.2f} of the time: it knows something, "
                "but not enough to use."
            )
        )
    if score["high"] < chance:
        return SEE + begin + f"That is worse than a blind guess ({chance:.2f})."
    return (
        SEE
        + begin
        + (
            f"A blind guess ({chance:.2f}) lies inside that interval: no difference that n = "
            f"{n} can show."
        )
    )


def dropped(rows: list[tuple[str, str]]) -> str:
    """What the tokenizer cannot see. `rows`: a text, and what comes back of it ('': nothing)."""
    gone = [f"`{text}`" for text, read in rows if not read.strip()]
    changed = [
        f"`{text}` becomes `{read.strip()}`"
        for text, read in rows
        if read.strip() and read.strip() != text
    ]
    if not gone and not changed:
        return SEE + "this tokenizer gives every one of these texts back as it was."
    said = []
    if gone:
        said.append(f"nothing is left of {', '.join(gone)}: the model would read an empty text")
    if changed:
        said.append("; ".join(changed))
    return SEE + ". ".join(said) + ". What is dropped here cannot be learned from later."


def sizes(parameters: int, embedding: int, head: int, width: int, topics: int) -> str:
    """Where the weights are."""
    return (
        f"{parameters / 1e6:.1f} M parameters: {embedding / parameters:.0%} are the token "
        "embedding, "
        f"{head:,} ({head / parameters:.3%}) the new layer, {width} numbers in and "
        f"{topics} scores out."
    )


def moved(last: list[float], first: list[float]) -> str:
    """Which states moved when the last word was changed, and the first: a number a token."""
    if len(last) == 1:
        return SEE + "there is only one token, which is first and last."
    still = sum(value == 0 for value in last)
    causal = still == len(last) - 1
    ends = f"{count(still, 'state')} stay exactly as they were"
    if causal:
        ends = "only the state of the last token moves"
    starts = f"{sum(value > 0 for value in first)} of {len(first)} states move"
    if all(first):
        starts = "every state moves"
    said = f"when the last word changes, {ends}. When the first word changes, {starts}."
    if causal and all(first):
        said += (
            " So information flows from left to right only, and the last token is the one that "
            "has seen the whole text."
        )
    return SEE + said


def padded(right: float, left: float, told: float) -> str:
    """The largest change of a score by padding: right, left, and left with mask and positions."""
    text = f"padding on the right changes the scores by {right:.0e} at most"
    text += ", which is rounding. " if right < 1e-4 else ". "
    if left > 100 * max(right, 1e-7):
        text += (
            f"On the left it changes them by {left:.2g}: the text starts at another position "
            "and looks at the padding. "
        )
    else:
        text += f"On the left it changes them by {left:.0e}. "
    if told < 1e-4:
        text += (
            "With the attention mask and the positions given, the left is as good as the "
            f"right ({told:.0e})."
        )
    return SEE + text


def untrained(right: int, n: int, topics: int) -> str:
    """Accuracy before training."""
    score, chance = wilson(right, n), 1 / topics
    inside = score["low"] <= chance <= score["high"]
    end = (
        "which a blind guess also gets"
        if inside
        else f"where a blind guess gets {chance:.2f}: a random layer may be lucky or unlucky"
    )
    return (
        f"Before training: **{right} of {n}** validation texts right ({right / n:.2f}; 95 "
        "% interval "
        f"{score['low']:.2f} to {score['high']:.2f}), {end}."
    )


def gap(train: float, val: float, before: float, right: int, n: int, topics: int) -> str:
    """The end of the loop: losses on training and validation texts, and `right` of n."""
    score = wilson(right, n)
    said = (
        f"the last batches have a loss of {train:.2f}, the validation texts one of {val:.2f} "
        f"(before training: {before:.2f}). {right} of {n} validation texts are right "
        f"({score['low']:.2f} to {score['high']:.2f}). "
    )
    if val >= before:
        said += "Of texts that it has not seen, the model has learned nothing yet. "
    elif score["low"] <= 1 / topics:
        said += f"A blind guess ({1 / topics:.2f}) is not ruled out. "
    if train < 0.9 * val:
        said += (
            "So few texts, of so few tokens, are memorised before they teach much about others. "
            "This section shows how the loop works; section 7 gives it more to learn from."
        )
    return SEE + said.strip()


def three_ways(losses: dict[str, float], exact: float, near: float, asserted: bool) -> str:
    """Losses on the texts that were learned from: untrained, loop, Trainer, library."""
    untrained, loop, trainer, library = losses.values()
    numbers = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    begin = f"Loss on the texts that they learned from: {numbers}. "
    if not asserted:
        return begin + (
            "This backbone has dropout, which draws lots of its own in each of the three, so that "
            "their closeness is not asserted."
        )
    said = begin + (
        f"The cell asserts it: loop and `Trainer` within {exact:g} (here "
        f"{abs(loop - trainer):.1e}), the library within {near:g} (here "
        f"{abs(loop - library):.2f}). "
    )
    if untrained - loop <= near:
        return said + "So little was learned that the second of these says little."
    return said + "The library differs because it takes the same texts in another order."


def waste(shares: dict[str, float]) -> str:
    """Share of a batch that is padding, by the way batches are made; the library's comes last."""
    *others, ours = shares.values()
    if ours >= min(others) - 0.005:
        return SEE + "these texts are so alike in length that the order saves nothing."
    return SEE + (
        f"with texts of like length in a batch, {ours:.0%} of the work is padding instead of "
        f"{others[-1]:.0%}: {1 - (1 - others[-1]) / (1 - ours):.0%} fewer tokens are computed."
    )


def trained(training: dict) -> str:
    """What the run was."""
    texts = training["texts_at_once"] * training["accumulation"] * training["processes"]
    turns = ""
    if training["accumulation"] > 1:
        turns = (
            f", in {training['accumulation']} turns of {training['texts_at_once']} whose "
            "gradients are summed"
        )
    part = (
        "all of them trained"
        if training["trained"] == training["parameters"]
        else f"{training['trained'] / training['parameters']:.1%} of them trained"
    )
    return (
        f"{training['parameters'] / 1e6:.1f} M parameters, {part}: {training['steps']:,} steps of "
        f"{texts} texts{turns}, in {training['seconds']:.0f} s, on {training['device']}."
    )


def kept_epoch(history: list[dict], early_stopping: int) -> str:
    """Is the epoch that was kept the best one by validation loss?"""
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    best = losses.index(min(losses)) + 1
    tie = losses[-1] == min(losses)
    if early_stopping:
        return (
            f"Kept is epoch {best} of {len(losses)}, the one with the lowest validation loss "
            "(`early_stopping`)."
        )
    if tie:
        return f"The last epoch, which is kept, has the lowest validation loss ({losses[-1]:.3f})."
    return (
        f"Kept is the last epoch (validation loss {losses[-1]:.3f}), and not epoch "
        f"{best}, whose loss "
        f"was the lowest ({min(losses):.3f}): choosing the best of {len(losses)} on so "
        "few texts is "
        "partly choosing the luckiest. `early_stopping` would choose it."
    )


def pretraining(right: dict[str, int], n: int, learned: int) -> str:
    """What the backbone's own training was worth: of `n` validation texts, right with it and right
    from random weights, after training on `learned` texts."""
    if len(right) < 2:
        return (
            "The comparison with random weights was not asked for in this run "
            "(`compare_from_scratch`)."
        )
    (name, with_it), (other, without) = right.items()
    a, b = wilson(with_it, n), wilson(without, n)
    begin = (
        f"With {learned} texts to learn from: {name} **{with_it} of {n}** validation texts right, "
        f"{other} **{without} of {n}**. "
    )
    if a["low"] > b["high"]:
        return (
            SEE
            + begin
            + (
                "The intervals do not overlap. Shape, texts, steps and rate are the same, so the "
                "difference comes from the weights at the start. (One seed, and a rate that was "
                "chosen for the backbone.)"
            )
        )
    if b["low"] > a["high"]:
        return SEE + begin + "Here the random weights did better, and the intervals do not overlap."
    return (
        SEE
        + begin
        + (
            f"The intervals overlap: no difference that n = {n} can show. Chapter 04 compares "
            "on the test part."
        )
    )


def parts(right: dict[str, int], n: int) -> str:
    """Head only, last block, LoRA, all weights: can any two be told apart? `right`: texts of n."""
    scores = {name: wilson(number, n) for name, number in right.items()}
    best = max(right, key=right.get)
    worse = [name for name, score in scores.items() if score["high"] < scores[best]["low"]]
    if not worse:
        return SEE + (
            f"all intervals overlap: no difference that n = {n} can show after so short a "
            "training, so read no ranking here. A rule of thumb: train all weights; freeze blocks "
            "when that is too slow, and take LoRA when memory runs out."
        )
    return SEE + (
        f"*{best}* did best, and the interval of {listed(worse)} does not reach it. The others "
        f"cannot be told from it on n = {n}."
    )


def turns(words: list[str], answers: list[str], confidence: list[float]) -> str:
    """Word by word: where the answer changes. `answers`: the topic after each word."""
    changes = [i for i in range(1, len(words)) if answers[i] != answers[i - 1]]
    words, answers = ([plain(name, markup=True) for name in names] for names in (words, answers))
    ends = f"It ends at {answers[-1]}, {confidence[-1]:.2f}."
    if not changes:
        return (
            SEE
            + f"the answer is {answers[-1]} from the first word on, and no word turns it. "
            + ends
        )
    last = changes[-1]
    return SEE + (
        f"the answer changes {count(len(changes), 'time')}; the last time at the word "
        f"“{words[last]}”, from "
        f"{answers[last - 1]} to {answers[last]}. {ends} Nothing is decided before the "
        "last token, and "
        "a half-read sentence is not what the model was trained on."
    )


def trial(seconds: float | None, memory: float | None, steps: int, card: str) -> str:
    """What GPT-2 itself would take, from a timed trial; None where there is no GPU."""
    if seconds is None:
        return (
            "**GPT-2 is not timed here:** this machine has no GPU. Open the chapter on one (on "
            "Colab: Runtime, Change runtime type, T4 GPU), and this cell times three steps of "
            "GPT-2 and computes minutes and memory from them."
        )
    minutes = seconds * steps / 60
    return (
        f"On {card}: {seconds:.2f} s a step and {memory:.1f} GiB of its memory, so {steps:,} steps "
        f"are about **{count(max(1, round(minutes)), 'minute')}**. Computed from three "
        "steps on full-length texts, so "
        "real texts take less."
    )
