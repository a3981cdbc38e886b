"""Exercises of chapter 04: the folded solutions are right, and a common slip gets its hint."""

import importlib
import re

import nbformat
import numpy as np
import pytest
from scipy.stats import binomtest

from gpt2news import evaluate
from gpt2news.run import ROOT, companion

companion("exercises", "04_evaluate")  # finds the package too
exercises = importlib.import_module("exercises")
CELLS = nbformat.read(ROOT / "notebooks" / "04_evaluate.ipynb", as_version=4).cells
SOLUTIONS = {
    cell.id.removeprefix("ask-04-"): re.search(r"```python\n(.*?)```", cell.source, re.DOTALL)[1]
    for cell in CELLS
    if cell.id.startswith("ask-04-")
}


@pytest.fixture(scope="module")
def given():
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (60, 3))
    labels = logits.argmax(axis=1)
    labels[:10] = random.integers(3, size=10)
    confidence = evaluate.probabilities_of(logits, 1.0).max(axis=1)
    return {
        "np": np,
        "evaluate": evaluate,
        "scoring": companion("scores", "04_evaluate"),
        "binomtest": binomtest,
        "logits": {"val": logits},
        "truth": {"val": labels},
        "temperature": companion("scores", "04_evaluate").fit_temperature(logits, labels),
        "confidence": confidence,
        "right": logits.argmax(axis=1) == labels,
        "n": 60,
    }


@pytest.mark.parametrize("name", sorted(SOLUTIONS))
def test_the_folded_solution_is_right(name, given):
    variables = dict(given)
    exec(SOLUTIONS[name], variables)
    verdict = exercises.check(f"04.{name}", variables["answer"], variables)
    assert verdict.right is True, verdict.text


def test_every_exercise_has_a_cell_and_each_cell_an_exercise():
    exercises.check("04.sentence", "c", {})
    known = {name.partition(".")[2] for name in exercises.EXERCISES if name.startswith("04.")}
    assert known == set(SOLUTIONS)
    assert 3 <= len(known) <= 5


@pytest.mark.parametrize("name", sorted(SOLUTIONS))
def test_no_answer_is_no_error(name, given):
    (cell,) = [cell for cell in CELLS if cell.id == f"check-04-{name}"]
    said = []

    def check(*asked):
        said.append(exercises.check(*asked, given))

    exec(cell.source, {**given, "check": check})
    assert said[0].right is None


def hint(name, answer, given) -> str:
    verdict = exercises.check(f"04.{name}", answer, given)
    assert verdict.right is False
    return verdict.text


@pytest.mark.parametrize(
    ("answer", "told"),
    [(10, "*root* of their number"), (0.316, "other way up"), (5, "high minus low")],
)
def test_slips_with_the_interval(answer, told, given):
    assert told in hint("interval", answer, given)


@pytest.mark.parametrize(
    ("factor", "told"),
    [(1, "as they were"), (1 / 5, "*divided* by more"), (25, "once more"), (3, "fit_temperature")],
)
def test_slips_with_the_calibration(factor, told, given):
    assert told in hint("calibration", factor * given["temperature"], given)


def counts(model, rival):
    only_model, only_rival = (model & ~rival).sum(), (~model & rival).sum()
    return int(only_model), int(only_model + only_rival)


def without_a_guard(model, rival):
    k, differ = counts(model, rival)
    return binomtest(k, differ).pvalue


def one_sided(model, rival):
    k, differ = counts(model, rival)
    return binomtest(k, differ, alternative="less").pvalue if differ else 1.0


def of_all_texts(model, rival):
    k, differ = counts(model, rival)
    return binomtest(k, len(model)).pvalue if differ else 1.0


def share_of_the_model(model, rival):
    k, differ = counts(model, rival)
    return k / differ if differ else 1.0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (without_a_guard, "`without_a_guard` stops with ValueError"),
        (lambda model, rival: 0.0, "return 1.0 for"),
        (one_sided, "That is one side"),
        (of_all_texts, "both wrong, do not count"),
        (share_of_the_model, "How likely is it between equals?"),
        (lambda model, rival: 0.5 + 0.5 * bool((model == rival).all()), "one a text on which"),
        (lambda model, rival: None, "returns nothing"),
        (lambda model, rival: "0.1 or so", "a number is wanted"),
        (0.05, "function"),
    ],
)
def test_slips_with_mcnemar(answer, told, given):
    assert told in hint("mcnemar", answer, given)


def first_mistake(confidence, right, target):
    """Stops at the first wrong answer, from the surest on."""
    best = np.inf
    for candidate in np.sort(np.unique(confidence))[::-1]:
        if right[confidence >= candidate].mean() < target:
            return best
        best = candidate
    return best


def over_not_at(confidence, right, target):
    """`>` in the place of `>=`: ties and the last text go missing."""
    for candidate in np.sort(np.unique(confidence)):
        if right[confidence > candidate].mean() >= target:
            return candidate
    return np.inf


def text_by_text(confidence, right, target):
    """Cuts through texts of one confidence."""
    order = np.argsort(-confidence, kind="stable")
    share = right[order].cumsum() / np.arange(1, len(right) + 1)
    enough = np.flatnonzero(share >= target)
    return confidence[order][enough[-1]] if len(enough) else np.inf


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (first_mistake, "is lower and will do as well"),
        (over_not_at, "of the answers at or above it are right"),
        (text_by_text, "only 67% of the answers at or above it are right"),
        (lambda confidence, right, target: np.inf, "nothing is answered"),
        (lambda confidence, right, target: 0.0, "of the answers at or above it are right"),
        (lambda confidence, right: 0.5, "stops with TypeError"),
        (lambda confidence, right, target: confidence, "a number is wanted"),
    ],
)
def test_slips_with_the_threshold(answer, told, given):
    assert told in hint("threshold", answer, given)


@pytest.mark.parametrize(
    ("answer", "told"),
    [("a", "intervals overlap"), ("B", "not a proof of equality"), ("d", "is wanted")],
)
def test_slips_with_the_sentence(answer, told, given):
    assert told in hint("sentence", answer, given)
