"""Intervals, scores and calibration against figures that are known."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import f1_score

from gpt2news.evaluate import (
    probabilities_of,
    wilson,
)
from gpt2news.run import companion

scoring = companion("scores", "04_evaluate")
bootstrap, scores = scoring.bootstrap, scoring.scores
calibration_error, log_loss = scoring.calibration_error, scoring.log_loss
choose_threshold, fit_temperature = scoring.choose_threshold, scoring.fit_temperature
TOPICS = ["left", "right", "up"]


def two_way(confidences, right) -> tuple[np.ndarray, np.ndarray]:
    """`(truth, probabilities)` of two topics: topic 0 is always guessed, with these confidences."""
    confidence = np.array(confidences, dtype=float)
    return 1 - np.array(right, dtype=int), np.column_stack([confidence, 1 - confidence])


# --- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(211, 223, 0.908, 0.969), (5, 10, 0.237, 0.763), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0)],
)
def test_wilson_against_known_figures(right, n, low, high):
    assert wilson(right, n) == pytest.approx(
        {"value": right / n, "low": low, "high": high}, abs=5e-4
    )


def test_bootstrap_is_seeded():
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (
        bootstrap(lambda rows: values[rows].mean(), 50, draws=200, seed=s) for s in (1, 1, 2)
    )
    assert first == again
    assert first["value"] == other["value"] == pytest.approx(values.mean())
    assert first["low"] != other["low"]


def test_bootstrap_resamples_as_it_always_did():
    """The published intervals were drawn with `default_rng(seed).integers`, a draw a row."""
    values = np.random.default_rng(1).random(37) < 0.8
    random = np.random.default_rng(0)
    means = [values[random.integers(37, size=37)].mean() for _ in range(2000)]
    interval = bootstrap(lambda rows: values[rows].mean(), 37)
    assert [interval["low"], interval["high"]] == pytest.approx(np.percentile(means, [2.5, 97.5]))


def test_bootstrap_of_one_row_is_a_point():
    assert bootstrap(lambda rows: 0.5, 1) == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_bootstrap_is_about_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(size=400)
    interval = bootstrap(lambda rows: values[rows].mean(), 400)
    assert (interval["high"] - interval["low"]) / (2 * 1.96 * values.std() / 20) == pytest.approx(
        1, abs=0.1
    )


def test_bootstrap_covers_the_truth_about_19_times_in_20():
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        right = random.random(150) < 0.8
        interval = bootstrap(
            lambda rows, right=right: right[rows].mean(), 150, draws=200, seed=seed
        )
        covered += interval["low"] <= 0.8 <= interval["high"]
    assert 180 <= covered <= 199


# --- calibration ---------------------------------------------------------------------------------


def test_calibration_error_of_a_perfectly_calibrated_model_is_zero():
    """In each bin the share that is right is the confidence."""
    confidences = [0.55] * 20 + [0.75] * 8 + [0.95] * 20
    right = [1] * 11 + [0] * 9 + [1] * 6 + [0] * 2 + [1] * 19 + [0]
    assert calibration_error(*two_way(confidences, right)) == pytest.approx(0, abs=1e-12)


def test_calibration_error_of_an_over_confident_model_is_large():
    assert calibration_error(*two_way([0.99] * 10, [1] * 5 + [0] * 5)) == pytest.approx(0.49)


def test_calibration_error_weighs_bins_by_size():
    truth, probabilities = two_way([0.6] * 30 + [1.0] * 10, [1] * 30 + [0] * 10)
    assert calibration_error(truth, probabilities) == pytest.approx((30 * 0.4 + 10 * 1.0) / 40)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_fit_temperature_recovers_a_known_temperature(temperature):
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, (20000, 4))
    truth = (softmax(honest, axis=1).cumsum(axis=1) < random.random((20000, 1))).sum(axis=1)
    assert fit_temperature(honest * temperature, truth) == pytest.approx(temperature, rel=0.05)


def test_probabilities_of_divides_by_the_temperature():
    given = probabilities_of(
        np.array([[0.0, np.log(4), np.log(16)]], dtype=np.float32), temperature=2.0
    )
    assert given.dtype == np.float64
    assert given == pytest.approx(np.array([[1, 2, 4]]) / 7)


# --- when to answer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confidences", "right", "target", "threshold"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 1], 0.95, 0.0),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.95, 0.7),
        ([0.6, 0.9, 0.7, 0.8], [0, 1, 1, 0], 0.66, 0.7),  # a mistake on the way is made good
        ([0.9, 0.8, 0.8, 0.6], [1, 1, 0, 0], 0.95, 0.9),  # 0.8 would take both
        ([0.9, 0.9, 0.8, 0.6], [1, 0, 1, 0], 0.95, np.nextafter(0.9, 2)),
        ([1.0, 0.9], [0, 1], 0.95, np.nextafter(1.0, 2)),
    ],
)
def test_choose_threshold(confidences, right, target, threshold):
    truth, probabilities = two_way(confidences, right)
    assert choose_threshold(truth, probabilities, target) == threshold


@pytest.mark.parametrize("seed", range(5))
def test_answers_at_or_above_the_chosen_threshold_are_right_often_enough(seed):
    random = np.random.default_rng(seed)
    confidence = random.integers(50, 101, 300) / 100  # with many ties
    truth, probabilities = two_way(confidence, random.random(300) < confidence)
    threshold = choose_threshold(truth, probabilities, 0.85)
    answered = confidence >= threshold
    assert answered.any()
    assert (truth[answered] == 0).mean() >= 0.85
    for lower in np.unique(confidence[~answered]):
        assert (truth[confidence >= lower] == 0).mean() < 0.85


# --- scores and rivals ---------------------------------------------------------------------------


def test_scores_by_hand():
    truth = np.array([0, 0, 0, 1, 1, 2])
    guess = np.array([0, 0, 1, 1, 1, 1])
    probabilities = np.full((6, 3), 0.1)
    probabilities[np.arange(6), guess] = 0.8
    given = scores(truth, probabilities, TOPICS)
    assert given["n"] == 6
    assert given["accuracy"] == wilson(4, 6)
    assert given["per_topic"]["left"] == pytest.approx(
        {"precision": 1.0, "recall": 2 / 3, "f1": 0.8, "n": 3}
    )
    assert given["per_topic"]["right"] == pytest.approx(
        {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "n": 2}
    )
    assert given["per_topic"]["up"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 1}
    assert given["macro_f1"]["value"] == pytest.approx((0.8 + 2 / 3) / 3)
    assert given["macro_f1"]["low"] <= given["macro_f1"]["value"] <= given["macro_f1"]["high"]
    assert given["log_loss"] == pytest.approx(-(4 * np.log(0.8) + 2 * np.log(0.1)) / 6)
    interval = given["log_loss_interval"]
    assert interval["low"] < interval["value"] == given["log_loss"] < interval["high"]
    assert given["majority"] == 0.5
    assert given["ece"] == pytest.approx(0.8 - 4 / 6)


def test_scores_of_a_part_that_lacks_a_topic():
    given = scores(np.array([0, 1]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]), TOPICS)
    assert given["per_topic"]["up"]["n"] == 0
    assert given["log_loss"] == pytest.approx(-np.log(0.8))


def test_macro_f1_is_that_of_sklearn():
    random = np.random.default_rng(0)
    truth, probabilities = random.integers(3, size=60), random.dirichlet(np.ones(4), 60)
    guess = probabilities.argmax(axis=1)
    expected = f1_score(truth, guess, labels=range(4), average="macro", zero_division=0)
    assert scores(truth, probabilities, list("abcd"))["macro_f1"]["value"] == pytest.approx(
        expected
    )


def test_scores_of_a_single_text():
    given = scores(np.array([1]), np.array([[0.2, 0.8, 0.0]]), TOPICS)
    assert given["accuracy"]["value"] == given["majority"] == 1.0
    assert given["macro_f1"]["low"] == given["macro_f1"]["high"]


def test_log_loss_of_an_impossible_topic_is_finite():
    assert 30 < log_loss(np.array([0]), np.array([[0.0, 1.0]])) < 40
