import functools

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from gpt2news import evaluate
from gpt2news.evaluate import (
    bootstrap,
    calibration_error,
    choose_threshold,
    confident_mistakes,
    fit_temperature,
    mcnemar_p,
    predictions,
    probabilities_of,
    reliability,
    scores,
    verdict,
    wilson,
)

TOPICS = ["left", "right", "up"]


def two_way(confidences, right) -> tuple[np.ndarray, np.ndarray]:
    """`(truth, probabilities)` of two topics: topic 0 is always guessed, with these confidences."""
    confidence = np.array(confidences, dtype=float)
    return 1 - np.array(right, dtype=int), np.column_stack([confidence, 1 - confidence])


# --- intervals --------------------------------------------------------------------------------------------------------


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


# --- calibration ------------------------------------------------------------------------------------------------------


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
    table = reliability(truth, probabilities)
    assert table.to_numpy().tolist() == [[30, pytest.approx(0.6), 1.0], [10, 1.0, 0.0]]


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


# --- when to answer ---------------------------------------------------------------------------------------------------


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


def test_coverage_goes_from_the_surest_text_to_all():
    table = evaluate.coverage(*two_way([0.6, 0.9, 0.8, 0.7], [0, 1, 0, 1]))
    assert table["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert table["threshold"].tolist() == [0.9, 0.8, 0.7, 0.6]
    assert table["accuracy"].tolist() == [1.0, 0.5, pytest.approx(2 / 3), 0.5]


# --- scores and rivals ------------------------------------------------------------------------------------------------


@pytest.fixture
def few_draws(monkeypatch):
    """2,000 macro F1 scores take seconds."""
    monkeypatch.setattr(evaluate.scoring, "bootstrap", functools.partial(bootstrap, draws=50))


@pytest.mark.usefixtures("few_draws")
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
    assert given["ece"] == pytest.approx(0.8 - 4 / 6)


@pytest.mark.usefixtures("few_draws")
def test_scores_of_a_part_that_lacks_a_topic():
    given = scores(np.array([0, 1]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]), TOPICS)
    assert given["per_topic"]["up"]["n"] == 0
    assert given["log_loss"] == pytest.approx(-np.log(0.8))


def test_baseline_learns_what_marks_a_topic():
    texts = [f"{word} and the rest of it" for word in ("tractor", "lighthouse") for _ in range(5)]
    model = evaluate.baseline(texts, ["farm"] * 5 + ["sea"] * 5)
    assert model.predict(["a tractor", "the lighthouse"]).tolist() == ["farm", "sea"]


@pytest.mark.parametrize(
    ("only_model", "only_rival", "p"),
    [
        (8, 2, 2 * (1 + 10 + 45) / 2**10),
        (2, 8, 2 * (1 + 10 + 45) / 2**10),
        (5, 0, 2 / 2**5),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_p_is_the_two_sided_binomial_of_the_rows_that_differ(only_model, only_rival, p):
    model = np.array([1] * only_model + [0] * only_rival + [1] * 90 + [0] * 7, dtype=bool)
    rival = np.array([0] * only_model + [1] * only_rival + [1] * 90 + [0] * 7, dtype=bool)
    assert mcnemar_p(model, rival) == pytest.approx(p)


@pytest.mark.parametrize(
    ("model", "rival", "p", "sentence"),
    [
        (
            0.97,
            0.93,
            0.012,
            "The fine-tuned model is ahead of X by 4.0 points (n = 206, McNemar p = 0.012).",
        ),
        (
            0.91,
            0.97,
            0.003,
            "The fine-tuned model is behind X by 6.0 points (n = 206, McNemar p = 0.003).",
        ),
        (
            0.96,
            0.95,
            0.38,
            "no difference that n = 206 can prove (ahead by 1.0 points here, McNemar p = 0.38).",
        ),
        (
            0.95,
            0.96,
            0.38,
            "no difference that n = 206 can prove (behind by 1.0 points here, McNemar p = 0.38).",
        ),
        (
            0.96,
            0.96,
            1.0,
            "no difference that n = 206 can prove (equal on this test set, McNemar p = 1.00).",
        ),
        (0.96, 0.95, 0.05, "no difference that n = 206 can prove"),
    ],
)
def test_verdict_claims_no_more_than_the_test_shows(model, rival, p, sentence):
    given = verdict(model, rival, p, 206, name="X")
    assert sentence in given
    assert given.startswith("The fine-tuned model ")
    assert given.count("X") == 1


# --- what is written down ---------------------------------------------------------------------------------------------


@pytest.fixture
def part() -> pd.DataFrame:
    texts = [" ".join(f"text{i}word{j}" for j in range(30)) for i in range(6)]
    return pd.DataFrame(
        {
            "text": texts,
            "topic": ["left", "right", "up"] * 2,
            "source_id": [f"id{i}" for i in range(6)],
        }
    )


@pytest.fixture
def table(part) -> pd.DataFrame:
    """Rows 0, 2, 3 and 5 are wrong, the surest of them 3, then 5, 0, 2."""
    sure = {0: (1, 0.7), 1: (1, 0.99), 2: (0, 0.6), 3: (2, 0.95), 4: (1, 0.5), 5: (1, 0.8)}
    probabilities = np.array(
        [[p if i == k else (1 - p) / 2 for i in range(3)] for k, p in sure.values()]
    )
    return predictions(part, probabilities, TOPICS, rival=np.array(["left"] * 6))


def test_predictions_columns(part, table):
    assert list(table.columns) == [
        "source_id",
        "topic",
        "predicted",
        "confidence",
        "baseline",
        "p_left",
        "p_right",
        "p_up",
    ]
    assert table["predicted"].tolist() == ["right", "right", "left", "up", "right", "right"]
    assert table["confidence"].tolist() == [0.7, 0.99, 0.6, 0.95, 0.5, 0.8]
    assert table["source_id"].tolist() == part["source_id"].tolist()
    assert table[["p_left", "p_right", "p_up"]].sum(axis=1).to_numpy() == pytest.approx(
        np.ones(6), abs=2e-6
    )


def test_predictions_hold_no_text(table):
    assert "word" not in table.to_csv()


def test_confident_mistakes_are_sorted_and_begin_with_20_words_at_most(part, table):
    wrong = confident_mistakes(part, table)
    assert wrong["source_id"].tolist() == ["id3", "id5", "id0", "id2"]
    assert wrong["confidence"].is_monotonic_decreasing
    for number, begins in zip((3, 5, 0, 2), wrong["begins"], strict=True):
        assert begins.removesuffix(" …").split() == part["text"][number].split()[:20]
    assert confident_mistakes(part, table, n=2)["source_id"].tolist() == ["id3", "id5"]


def test_confident_mistakes_match_by_place_not_by_index(part, table):
    shuffled = part.set_index(pd.Index([5, 4, 3, 2, 1, 0]))
    assert confident_mistakes(shuffled, table)["begins"].iloc[0].startswith("text3word0 ")
