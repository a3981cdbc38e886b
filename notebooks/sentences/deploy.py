"""The computed sentences of chapter 05. Each is said only when the numbers carry it."""

from __future__ import annotations

from gpt2news.show import plain

MATTERS = 0.1  # fall of a probability that a reader would call one


def _of(count: int, n: int) -> str:
    return f"{count} of {n} test text{'s' if n > 1 else ''}"


def parity(same: dict, n: int) -> str:
    """fp32 against torch, and how often int8 says the same.

    Args:
        same: what `parity` of checks/deploy.py returned.
        n: number of test texts.
    """
    kept = round(same["same_answer"] * n)
    said = (
        f"the same topic for all {n} texts" if kept == n else f"the same topic for {_of(kept, n)}"
    )
    return (
        f"fp32 differs from torch by at most {same['parity_max_abs_diff']:.1e} in any score: the "
        "rounding of another order of sums. Plain transformers, which loads the folder `model/` "
        f"without this repository, differs by at most {same['plain_max_abs_diff']:.1e}. "
        f"int8 gives {said}."
    )


def int8_cost(same: dict, n: int) -> str:
    """What int8 costs in right answers, or that so few texts cannot show it."""
    lost = round(same["accuracy_drop"] * n)
    changed = n - round(same["same_answer"] * n)
    if changed == 0:
        return f"int8 changes no answer on these {n} texts, so it costs no accuracy here."
    scores = f"{same['accuracy_torch']:.2f} in torch, {same['accuracy_int8']:.2f} in int8"
    # Were the changed answers right or wrong by a coin, the balance would lie within two of its
    # standard deviations, twice the root of their number.
    if abs(lost) <= 2 * changed**0.5:
        return (
            f"Accuracy: {scores}. {changed} answer{'s' if changed > 1 else ''} changed, and that "
            f"is no difference that n = {n} can show."
        )
    if lost < 0:
        return f"Accuracy: {scores}. int8 is right for {-lost} texts more; do not count on it."
    return (
        f"Accuracy: {scores}. int8 loses {_of(lost, n)}: serve `model.onnx` instead, or train "
        "longer and export again."
    )


def size(smaller: float) -> str:
    """How much smaller the int8 file is, from the sizes of the two."""
    if smaller < 1.5:
        return f"The int8 file is {smaller:.1f} times smaller: most of this file is not weights."
    return f"The int8 file is **{smaller:.1f} times smaller** than the fp32 one."


def timing(timing: dict, n: int) -> str:
    """How long a request takes, with as much of the distribution as n requests have."""
    median = f"median **{timing['p50_ms']:.1f} ms**"
    if n == 1:
        shown = f"one request, **{timing['p50_ms']:.1f} ms**; a single time says little"
    elif n < 20:
        shown = f"{n} requests, {median}; too few for a slowest one in twenty"
    else:
        shown = f"{n} requests, {median}, 19 of 20 within {timing['p95_ms']:.1f} ms"
    return (
        f"One text a request, without a network between: {shown}. The machine may have been busy "
        "with other things: compare within a run, not between machines."
    )


def occlusion(found: list[tuple[str, str, float]]) -> str:
    """Which words carry an answer, of those whose absence is felt.

    Args:
        found: (topic, the word with the largest fall, that fall) of each text.
    """
    strong = [(topic, word, fall) for topic, word, fall in found if fall >= MATTERS]
    if not strong:
        most = max([0.0, *(fall for _, _, fall in found)])
        return (
            "*What to notice:* no single word carries an answer here; leaving one out costs at "
            f"most {most:.2f} of the probability."
        )
    named = []
    for topic, word, fall in strong:
        named.append(f"“{plain(word, markup=True)}” for {plain(topic, markup=True)} ({fall:.2f})")
    rest = len(found) - len(strong)
    others = ""
    if rest:
        one = "The other answer does" if rest == 1 else f"The other {rest} answers do"
        others = f" {one} not hang on a single word."
    return (
        f"*What to notice:* one word can carry much of an answer: {', '.join(named)}.{others} "
        "Is it a word that a person would name?"
    )


def cloud(cloud: dict, n: int, spent: str) -> str:
    """What the endpoint at SageMaker took, and whether it answers as the folder here does."""
    kept = round(cloud["same_topic"] * n)
    same = "the same topics as here" if kept == n else f"the same topic as here for {_of(kept, n)}"
    return (
        f"Up after {cloud['ready_seconds']:.0f} s, first answer after {cloud['first_ms']:.0f} ms, "
        f"then a median of **{cloud['p50_ms']:.0f} ms** over {n} requests; {same}. "
        f"Spent: **{spent}**."
    )
