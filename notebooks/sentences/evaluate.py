"""The sentences of chapter 04 that depend on its numbers.

Each function takes numbers and returns Markdown. A sentence is there only if its condition holds;
where a comparison shows nothing, it says so and names how many texts that took.
"""

from __future__ import annotations

import pandas as pd

from gpt2news.evaluate import wilson
from gpt2news.show import plain
from sentences import SEE, count

FEW = 10  # a bootstrap of fewer texts has intervals that are far too short
READS = 0.9  # share of the letters; who reads less has seen other texts than the others
SLIGHT = 0.005  # a log loss or calibration error that changes by less has not changed


def listed(names: list[str], last: str = "and", markup: bool = True) -> str:
    """`a`, `a and b`, `a, b and c`; names come from the data and are made safe for Markdown."""
    *first, end = [plain(name, 80, markup=markup) for name in names]
    return f"{', '.join(first)} {last} {end}" if first else end


def spread(score: dict, digits: int = 3) -> str:
    """`0.900 (0.786 to 0.957)`."""
    value, low, high = (f"{score[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def percent(share: float) -> str:
    """`90 %`."""
    return f"{100 * share:.0f} %"


def percents(score: dict) -> str:
    """`90 % (79 % to 96 %)`."""
    return f"{percent(score['value'])} ({percent(score['low'])} to {percent(score['high'])})"


# --- leaks, score, rival -------------------------------------------------------------------------


def leaks(found: pd.DataFrame) -> str:
    """Of `split.find_leaks`: how many texts of validation and test stand in train."""
    if found.empty:
        return (
            "**No text of validation or test stands in the training part**, "
            "neither word for word nor nearly so."
        )
    exact = int((found["jaccard"] == 1).sum())
    shown = [
        f"{row.part} {listed([row.source_id])} (train {listed([row.train_id])}, {row.jaccard:.2f})"
        for row in found.head(10).itertuples()
    ]
    more = f", and {len(found) - 10} more" if len(found) > 10 else ""
    return (
        f"**{count(len(found), 'text')} of validation and test also stand in the training part**, "
        f"{exact} word for word and {len(found) - exact} nearly so: {'; '.join(shown)}{more}. "
        "The scores below are too good."
    )


def never_answered(never: list[str], markup: bool = True) -> str:
    """Topics of the test that are no answer of the model; a short sentence, or nothing."""
    return f"It never answers {listed(never, 'or', markup)}." if never else ""


def accuracy(score: dict, n: int, majority: float, never: list[str]) -> str:
    """The score beside the share of the largest topic, and topics that are never answered."""
    text = (
        f"{SEE}{percent(score['value'])} are right. A program that always answers "
        f"the most frequent topic would have {percent(majority)}"
    )
    if score["low"] > majority:
        text += ". "
    else:
        text += (
            f", and the model is **not better than that as far as n = {n} can show** "
            f"({percent(score['low'])} to {percent(score['high'])}). "
        )
    return (text + never_answered(never)).strip()


def interval(score: dict, n: int) -> str:
    """How wide the interval of the accuracy is."""
    width = 100 * (score["high"] - score["low"])
    return (
        f"{SEE}the accuracy is {spread(score)}. With {count(n, 'test text')} the interval is "
        f"{width:.0f} points wide. Two models that differ by less than that need a test of their "
        "own, see section 3."
    )


def doubts(reads: dict[str, float], scores: dict[str, dict], majority: float) -> list[str]:
    """Why a comparison of model and rival could not be believed; empty when it can.

    Args:
        reads: who -> the share of the test texts' letters that it reads.
        scores: who -> its accuracy with its interval.
        majority: share of the largest topic.
    """
    blind = [
        f"{who} reads {percent(share)} of the letters"
        for who, share in reads.items()
        if share < READS
    ]
    lost = [
        f"{who} does not beat the share of the largest topic, {percent(majority)}"
        for who, score in scores.items()
        if score["value"] <= majority
    ]
    return blind + lost


def verdict(
    model: float,
    rival: float,
    p: float,
    n: int,
    name: str = "TF-IDF + linear SVM",
    never: list[str] = (),
    doubts: list[str] = (),
) -> str:
    """Which of the two is ahead, as far as n texts can tell; a topic never answered is said.

    With `doubts` there is no comparison. Plain text: it goes into metrics.json, and whoever shows
    it makes it safe.
    """
    if doubts:
        text = f"Model and {name} cannot be compared on these texts: {'; '.join(doubts)}."
        return f"{text} {never_answered(never, markup=False)}".strip()
    points = abs(model - rival) * 100
    if p < 0.05:
        side = "ahead of" if model > rival else "behind"
        text = (
            f"The fine-tuned model is {side} {name} by {points:.1f} points "
            f"(n = {n}, McNemar p = {p:.3f})."
        )
    else:
        side = "ahead" if model > rival else "behind"
        lead = "equal on this test set" if model == rival else f"{side} by {points:.1f} points here"
        text = (
            f"The fine-tuned model and {name} show no difference that n = {n} can prove "
            f"({lead}, McNemar p = {p:.2f})."
        )
    return f"{text} {never_answered(never, markup=False)}".strip()


def _times(ours: float, theirs: float) -> str | None:
    """How many times larger; None when the two are within half as much again."""
    if theirs <= 0 or ours / theirs < 1.5:
        return None
    return f"{ours / theirs:.{0 if ours / theirs >= 10 else 1}f}"


def why_not_linear(model: dict, rival: dict, p: float, n: int, doubts: list[str] = ()) -> str:
    """Size, training time, speed and score of this run.

    Args:
        model, rival: `accuracy` (a share), `megabytes`, `seconds` (to train, None if unknown),
            `milliseconds` (a text).
        p: of McNemar's test.
        n: test texts.
        doubts: as in `verdict`; with some, only the costs are compared.
    """
    cheaper, dearer = [], []
    for key, less, more in (
        ("megabytes", "smaller", "larger"),
        ("seconds", "faster to train", "slower to train"),
        ("milliseconds", "faster to answer", "slower to answer"),
    ):
        if model[key] is None or rival[key] is None:
            continue
        if factor := _times(model[key], rival[key]):
            cheaper.append(f"{factor} times {less}")
        elif factor := _times(rival[key], model[key]):
            dearer.append(f"{factor} times {more}")
    parts = []
    if cheaper:
        parts.append(f"The linear model is {listed(cheaper)}.")
    if dearer:
        parts.append(f"The linear model is {'but ' if cheaper else ''}{listed(dearer)}.")
    if not parts:
        parts.append("The two cost about the same here.")
    points = 100 * abs(model["accuracy"] - rival["accuracy"])
    if doubts:
        parts.append("Their scores cannot be compared on these texts.")
    elif p >= 0.05:
        parts.append(f"Their scores show no difference that n = {n} can prove.")
        if cheaper and not dearer:
            parts.append("**Nothing in this test justifies the more expensive model.**")
    elif model["accuracy"] > rival["accuracy"]:
        parts.append(f"The fine-tuned model is right on {points:.1f} points more of the texts.")
        if cheaper:
            parts.append("**That is what its price buys.**")
        else:
            parts.append("**Nothing here speaks for the linear model.**")
    else:
        parts.append(f"The linear model is also right on {points:.1f} points more of the texts.")
        parts.append("**For texts like these, take the linear model.**")
    told = " ".join(parts)
    return SEE + told[0].lower() + told[1:]


# --- confidence ----------------------------------------------------------------------------------


def change(name: str, before: float, after: float, difference: dict, n: int) -> str:
    """One score of which less is better, before and after; what the paired interval allows.

    Args:
        difference: after minus before with its 95 % interval.
    """
    numbers = (
        f"{name} {before:.3f} before, {after:.3f} after (difference {difference['value']:+.3f}, "
        f"95 % interval {difference['low']:+.3f} to {difference['high']:+.3f})"
    )
    if n < FEW or difference["low"] <= 0 <= difference["high"]:
        return f"{numbers}: **no difference that n = {n} can show**"
    if max(-difference["low"], difference["high"]) < SLIGHT:
        return f"{numbers}: **less than {SLIGHT}, too little to matter**"
    side = "lower, so **better**" if difference["high"] < 0 else "higher, so **worse**"
    return f"{numbers}: {side}"


def calibration(temperature: float, fitted_on: int, n: int, log_loss: dict, ece: dict) -> str:
    """What the temperature did to the test.

    Args:
        log_loss, ece: `before`, `after`, `difference` (see `change`).
    """
    if abs(temperature - 1) < 0.05:
        said = "so close to 1 that it changes next to nothing"
    elif temperature > 1:
        said = "over 1: the model had been surer than it was right"
    else:
        said = "under 1: the model had been less sure than it could be"
    return (
        f"{SEE}the temperature fitted on {count(fitted_on, 'validation text')} is "
        f"{temperature:.2f}, {said}. On test:\n\n"
        f"- {change('log loss', n=n, **log_loss)};\n"
        f"- {change('calibration error', n=n, **ece)}."
    )


def threshold(
    value: float, fitted_on: int, target: float, answered: int, right: int, n: int
) -> str:
    """What the threshold does on test.

    Args:
        answered: texts of the n that get an answer.
        right: of these, the ones that are right.
    """
    start = f"{SEE}the threshold is {value:.2f}, chosen on {count(fitted_on, 'validation text')}. "
    if not answered:
        return start + "**No test text is answered**: nothing can be said of its accuracy."
    score = wilson(right, answered)
    share = score["value"]
    told = (
        f"On test {answered} of {n} texts are answered, and {right} of these answers are right "
        f"({percent(share)}; 95 % interval {score['low']:.2f} to {score['high']:.2f}). "
    )
    reached = "reaches" if share >= target else "does not reach"
    end = f"That {reached} the {percent(target)} that was asked for."
    if share >= target > score["low"]:
        end += f" {count(answered, 'text')} cannot prove it."
    elif share < target:
        end += " A threshold is fitted like a weight, and a few validation texts decide it."
    return start + told + end


def off_topic(not_sure: dict, n: int, refused: float, test: int) -> str:
    """How many texts of no topic get "not sure".

    Args:
        not_sure: share of the n off-topic texts, with its interval.
        refused: share of the test texts that get "not sure".
        test: how many those are.
    """
    text = (
        f'{SEE}{percents(not_sure)} of the {n} off-topic texts get "not sure", against '
        f"{percent(refused)} of the {test} test texts. "
    )
    if not_sure["low"] <= refused:
        text += (
            f"**That is no more often than the test texts, as far as n = {n} can show**: "
            "this threshold does not tell the two apart. "
        )
    if not_sure["value"] < 1:
        text += (
            "The others get a topic, since a softmax has to give its whole 100 % to the topics "
            "that it has. Expect that wherever anybody may send any text."
        )
    return text.strip()


def other_kinds(rates: dict) -> str:
    """How often the third answer is a false alarm, and what still gets a topic.

    Args:
        rates: of `kinds.rates`.
    """
    told = []
    for name, share in rates["refused"].items():
        wrongly = f"{round(share['value'] * share['n'])} of {share['n']}"
        told.append(f"{wrongly} texts of the {plain(name, markup=True)} ({percents(share)})")
    text = f"{SEE}the limits refuse {' and '.join(told)}. "
    if rates["refused"]["test"]["low"] > 0.01:
        text += "**That is more than one in a hundred: these texts vary more than the limits.** "
    alone, now = rates["not_sure"]["value"], rates["not_answered"]["value"]
    groups = [f"{name} {percents(share)}" for name, share in rates["groups"].items()]
    text += (
        f"Of the {rates['n']} texts of other kinds {percent(now)} are not answered with a topic, "
        f"{percent(alone)} by the threshold alone: {'; '.join(groups)}."
    )
    if now < 1:
        text += " What is left reads like the training texts to a count of words."
    return text


# --- weak places ---------------------------------------------------------------------------------


def confusion(pairs: pd.DataFrame) -> str:
    """Which pair of topics is mixed up most, if one is.

    Args:
        pairs: `pair` and `mixed_up`, the most frequent first.
    """
    if pairs.empty:
        return f"{SEE}there are no mistakes, so no two topics are mixed up."
    total, most = int(pairs["mixed_up"].sum()), int(pairs["mixed_up"].iloc[0])
    first = pairs.loc[pairs["mixed_up"] == most, "pair"].tolist()
    if total == 1:
        return f"{SEE}there is a single mistake, between {listed(first)}."
    if most == 1:
        return f"{SEE}no two topics are mixed up more than once; no pair stands out."
    times = "twice" if most == 2 else f"{most} times"
    end = f", of {count(total, 'mistake')} in all."
    if len(first) > 3:
        return f"{SEE}{len(first)} pairs of topics are mixed up {times} each{end}"
    if len(first) > 1:
        return f"{SEE}{listed(first)} are mixed up {times} each{end}"
    few = " That is too few to call it a habit." if most <= 3 else ""
    total_told = count(total, "mistake")
    return f"{SEE}{listed(first)} is the pair mixed up most, {times} in {total_told}.{few}"


def slices(table: pd.DataFrame, score: float, small: int) -> str:
    """The weakest slice of enough texts, and whether chance explains it.

    Args:
        table: of `slices.slice_table`, without slices that hold the whole test.
        score: accuracy on all texts.
        small: a slice of fewer texts is not spoken of.
    """
    grey = f"Grey rows have fewer than {small} texts and say next to nothing."
    if score == 1:
        return f"{SEE}all answers are right, so no slice is weak."
    large = table[~table["small"].astype(bool)]
    if large.empty:
        return f"{SEE}no slice has {small} texts or more, so none can be called weak."
    worst = large[large["value"] == large["value"].min()]
    names = [f"{row.slice}: {row.group} (n = {row.n})" for row in worst.itertuples()]
    low = large["value"].min()
    grey = grey if len(large) < len(table) else ""
    if len(large) == 1:
        text = f"only one slice has {small} texts or more, {listed(names)}: "
        text += f"{low:.2f}, against {score:.2f} on all texts."
    elif len(worst) == len(large):
        text = f"the slices of {small} texts or more are equal, {low:.2f} each."
    elif len(worst) > 1:
        text = f"{listed(names[:4])} share the lowest accuracy, {low:.2f}."
    elif worst["high"].iloc[0] >= score:
        text = (
            f"the lowest accuracy has {listed(names)}, {low:.2f}. Its interval reaches the "
            f"{score:.2f} of all texts, so chance may explain it."
        )
    else:
        text = (
            f"**{listed(names)} is weakest, {low:.2f}**, and its interval stays below the "
            f"{score:.2f} of all texts. It is the lowest of {len(large)}, though, and the lowest "
            "of several looks weak by chance alone more often than one interval says."
        )
    return f"{SEE}{text} {grey}".strip()


def neighbours(near: pd.DataFrame) -> str:
    """Where the training text most like a mistake stands.

    Args:
        near: `predicted`, `neighbour_topic`, `similarity`, `source_id`, a row a mistake.
    """
    if near.empty:
        return f"{SEE}no mistakes, so nothing to look up."
    agree = int((near["neighbour_topic"] == near["predicted"]).sum())
    text = (
        f"{SEE}for {agree} of {count(len(near), 'mistake')} the most similar training text has "
        "the topic that was guessed. "
    )
    if 2 * agree > len(near):
        text += "Their words alone could lead there. "
    elif agree == 0:
        text += "So training has no such text to excuse them. "
    same = near.loc[near["similarity"] > 0.95, "source_id"].tolist()
    if same:
        text += (
            f"A similarity near 1 is a duplicate that should not be in training: {listed(same)}."
        )
    return text.strip()


def labels(candidates: int, total: int) -> str:
    """How many labels are in doubt."""
    if not candidates:
        return f"{SEE}none of the {total:,} labels is in doubt, if one asks a linear model."
    return (
        f"{SEE}if one asks a linear model, {count(candidates, 'label')} of {total:,} may be "
        "wrong. Each is a question for a person, not a fault that has been found."
    )


# --- behaviour and reasons -----------------------------------------------------------------------


def behaviour(rates: dict[str, dict], failed: pd.DataFrame, skipped: list[str]) -> str:
    """How many behaviour tests were passed, and which obvious sentences were not.

    Args:
        rates: of `behaviour.pass_rates`.
        failed: `test`, `predicted`, `case` of the obvious sentences that were wrong.
        skipped: topics without written cases.
    """
    text = ""
    if rates:
        passed = [
            f"{kind} {round(tests['all']['value'] * tests['all']['n'])} of {tests['all']['n']}"
            for kind, tests in rates.items()
        ]
        text = f"{SEE}passed: **{'; '.join(passed)}**. "
    for row in failed.head(5).itertuples():
        text += f'"{row.case}" is taken for {listed([row.predicted])}, not {row.test}. '
    if skipped:
        text += f"Direction and minimum have no cases for {listed(skipped)}: these were skipped."
    return text.strip()


def deletion(checked: dict) -> str:
    """Do the words that the method names matter?

    Args:
        checked: falls at one share of words with their intervals, and `gap`.
    """
    n, share = checked["n"], checked["share"]
    text = (
        f"{SEE}without the strongest {percent(share)} of the words the probability falls by "
        f"{spread(checked['strongest'], 2)}, without as many random ones by "
        f"{spread(checked['random'], 2)}. "
    )
    difference = checked["difference"]
    if n < FEW:
        text += f"**That is no difference that n = {n} can show**: more texts are needed. "
    elif difference["low"] > 0:
        text += f"The difference is {spread(difference, 2)}: **the words that are named matter.** "
    elif difference["high"] < 0:
        text += "**It falls less without the named words: do not trust these colours.** "
    else:
        text += f"**That is no difference that n = {n} can show: do not trust these colours.** "
    text += (
        f"The values miss the whole change of the log-odds by {100 * checked['gap']:.1f} % (median)"
    )
    return text + (", little enough." if checked["gap"] < 0.1 else ": more steps are needed.")


# --- studies -------------------------------------------------------------------------------------


STUDIES = (
    "## Over many splits, recipes and sizes\n\n"
    "One split is one draw, and one recipe one choice. `benchmarks/studies.py` has trained this "
    "run's model again and again: over **folds** (all texts divided anew, duplicates together, "
    "each fold scored by a model that learned from the others), with one part of the recipe "
    "changed at a time (**ablation**), and with more and more training texts (**learning curve**)."
)


def studies_alt(summary: dict) -> dict[str, str]:
    """Figures of the studies that are there, `name -> text alternative`."""
    told = {}
    if folds := summary.get("folds"):
        model, rival = folds["accuracy"]["mean"], folds["baseline"]["mean"]
        told["folds"] = (
            f"Accuracy of {folds['runs']} trainings over {folds['folds']} folds, a dot each: "
            f"model {model:.3f}, linear model {rival:.3f} on average."
        )
    if rows := summary.get("ablation"):
        scores = "; ".join(f"{row['row']} {row['accuracy']:.3f}" for row in rows)
        told["ablation"] = f"Mean validation accuracy of {count(len(rows), 'variant')}: {scores}."
    if rows := summary.get("curve"):
        scores = "; ".join(
            f"{row['texts']:,} texts {row['model']:.3f} and {row['baseline']:.3f}" for row in rows
        )
        told["learning_curve"] = f"Test accuracy of model and linear model: {scores}."
    return told


def studies(summary: dict) -> str:
    """What `benchmarks/studies.py` has found; a paragraph a study that is there."""
    paragraphs = []
    folds, ablation, curve = (summary.get(key) for key in ("folds", "ablation", "curve"))
    if folds:
        done = f"{folds['runs']} of {count(folds['wanted'], 'training')}"
        score, rival = folds["accuracy"], folds["baseline"]
        text = (
            f"**Folds**, {done}: accuracy {score['mean']:.3f}, linear model {rival['mean']:.3f}. "
        )
        paragraphs.append(text + folds.get("verdict", ""))
    if ablation:
        ranked = sorted(ablation, key=lambda row: row["accuracy"])
        best, worst = ranked[-1], ranked[0]
        text = f"**Ablation**, {count(len(ranked), 'row')}, on validation: "
        if best["accuracy"] == worst["accuracy"]:
            text += f"{best['accuracy']:.3f}, no row stands out."
        else:
            text += f"best {best['row']} ({best['accuracy']:.3f}), "
            text += f"last {worst['row']} ({worst['accuracy']:.3f})."
            if best["low"] <= worst["high"]:
                text += " Their ranges over the seeds overlap."
        paragraphs.append(text)
    if curve:
        ends = [curve[0], curve[-1]] if len(curve) > 1 else curve
        told = [
            f"{100 * (row['model'] - row['baseline']):+.1f} points with {row['texts']:,} texts"
            for row in ends
        ]
        paragraphs.append(f"**Learning curve**: model against linear model {listed(told)}.")
    return "\n\n".join(paragraphs)
