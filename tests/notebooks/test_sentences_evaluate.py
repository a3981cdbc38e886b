"""The sentences of chapter 04: true or silent, also without an effect and with little data."""

import numpy as np
import pandas as pd
import pytest

from gpt2news import evaluate
from gpt2news.run import companion

say = companion("sentences", "04_evaluate")
slices = companion("slices", "04_evaluate")


def score(value, low, high):
    return {"value": value, "low": low, "high": high}


# --- leaks ---------------------------------------------------------------------------------------


def found(*jaccard):
    rows = [("test", f"id{i}", f"old{i}", j) for i, j in enumerate(jaccard)]
    return pd.DataFrame(rows, columns=["part", "source_id", "train_id", "jaccard"])


def test_no_leak():
    assert say.leaks(found()).startswith("**No text of validation or test")


def test_leaks_are_counted_and_named():
    told = say.leaks(found(1.0, 0.8))
    assert told.startswith("**2 texts of validation and test also stand")
    assert "1 word for word and 1 nearly so" in told
    assert "test id0 (train old0, 1.00)" in told
    assert "too good" in told
    assert "**1 text of" in say.leaks(found(1.0))
    assert "and 5 more" in say.leaks(found(*[0.9] * 15))


# --- accuracy ------------------------------------------------------------------------------------


def test_accuracy_beside_the_largest_topic():
    told = say.accuracy(score(0.9, 0.79, 0.96), 50, 0.2, [])
    assert "90 % are right" in told
    assert told.endswith("would have 20 %.")


def test_a_model_no_better_than_the_largest_topic_is_told_so():
    """n = 5, four of them right, four of one topic."""
    interval = evaluate.wilson(4, 5)
    told = say.accuracy(interval, 5, 0.8, ["sport"])
    assert "not better than that as far as n = 5 can show" in told
    assert told.endswith("It never answers sport.")


def test_a_model_that_is_always_wrong():
    told = say.accuracy(evaluate.wilson(0, 5), 5, 0.4, ["sport", "tech", "farm"])
    assert "0 % are right" in told
    assert "not better than that" in told
    assert "never answers sport, tech or farm." in told


def test_the_interval_of_a_single_text():
    told = say.interval(evaluate.wilson(1, 1), 1)
    assert "With 1 test text the interval is 79 points wide" in told


@pytest.mark.parametrize(
    ("model", "rival", "p", "sentence"),
    [
        (0.97, 0.93, 0.012, "is ahead of X by 4.0 points (n = 206, McNemar p = 0.012)."),
        (0.91, 0.97, 0.003, "is behind X by 6.0 points (n = 206, McNemar p = 0.003)."),
        (0.96, 0.95, 0.38, "that n = 206 can prove (ahead by 1.0 points here, McNemar p = 0.38)."),
        (0.95, 0.96, 0.38, "that n = 206 can prove (behind by 1.0 points here, McNemar p = 0.38)."),
        (0.96, 0.96, 1.0, "that n = 206 can prove (equal on this test set, McNemar p = 1.00)."),
        (0.96, 0.95, 0.05, "no difference that n = 206 can prove"),
    ],
)
def test_verdict_claims_no_more_than_the_test_shows(model, rival, p, sentence):
    given = say.verdict(model, rival, p, 206, name="X")
    assert sentence in given
    assert given.startswith("The fine-tuned model ")
    assert given.count("X") == 1
    assert "never" not in given


def test_a_topic_that_is_never_answered_stands_in_the_verdict():
    given = say.verdict(0.8, 0.8, 1.0, 50, never=["sport", "tech"])
    assert given.endswith("It never answers sport or tech.")
    assert "never answers a_b." in say.verdict(0.8, 0.8, 1.0, 50, never=["a_b"])


def test_labels_of_the_data_are_no_markup():
    for told in (
        say.accuracy(score(0.9, 0.8, 1.0), 50, 0.2, ["<img src=x>"]),
        say.confusion(pairs_of(("<img src=x> / a", 9, 5))),
        say.slices(slices_of(("topic", "<img src=x>", 30, 0.5)), 0.9, 20),
        say.behaviour({}, pd.DataFrame(columns=["test", "case", "predicted"]), ["<img src=x>"]),
    ):
        assert "<img" not in told
        assert "img src" in told


# --- why not the linear model? -------------------------------------------------------------------

DEAR = {"megabytes": 20.0, "seconds": 40.0, "milliseconds": 10.0}
CHEAP = {"megabytes": 0.5, "seconds": 0.4, "milliseconds": 0.1}


@pytest.mark.parametrize(
    ("model", "rival", "p", "told", "not_told"),
    [
        (0.90, 0.88, 1.0, "justifies the more expensive model", "take the linear model"),
        (0.90, 0.90, 1.0, "justifies the more expensive model", "points more"),
        (0.95, 0.85, 0.01, "10.0 points more of the texts. **That is what its price buys", "do.**"),
        (0.90, 0.97, 0.01, "take the linear model", "dearer"),
    ],
)
def test_why_not_linear_follows_score_and_test(model, rival, p, told, not_told):
    given = say.why_not_linear({"accuracy": model, **DEAR}, {"accuracy": rival, **CHEAP}, p, 50)
    assert "the linear model is 40 times smaller, 100 times faster to train and 100" in given
    assert told in given
    assert not_told not in given


def test_why_not_linear_where_the_two_cost_the_same():
    same = {"accuracy": 0.9, **CHEAP}
    given = say.why_not_linear(same, same, 1.0, 50)
    assert "the two cost about the same" in given
    assert "dearer" not in given
    assert "times" not in given


def test_why_not_linear_where_the_linear_model_is_dearer():
    given = say.why_not_linear({"accuracy": 0.99, **CHEAP}, {"accuracy": 0.9, **DEAR}, 0.001, 500)
    assert "40 times larger" in given
    assert "smaller" not in given
    assert "Nothing here speaks for the linear model" in given


def test_why_not_linear_without_the_seconds_of_training():
    model = {"accuracy": 0.9, **DEAR, "seconds": None}
    given = say.why_not_linear(model, {"accuracy": 0.9, **CHEAP}, 1.0, 50)
    assert "to train" not in given


# --- confidence ----------------------------------------------------------------------------------


def compared(before, after, low, high):
    return {"before": before, "after": after, "difference": score(after - before, low, high)}


def test_a_temperature_that_changes_nothing_is_not_called_better():
    """What the quick run gives: log loss a little worse, calibration error a little better."""
    losses = compared(0.306, 0.307, -0.001, 0.004)
    distances = compared(0.080, 0.066, -0.032, 0.001)
    told = say.calibration(0.99, 50, 50, losses, distances)
    assert "changes next to nothing" in told
    assert told.count("no difference that n = 50 can show") == 2
    assert "better" not in told
    assert "worse" not in told


def test_a_temperature_that_helps_one_and_hurts_the_other():
    told = say.calibration(
        2.1, 200, 200, compared(0.5, 0.3, -0.3, -0.1), compared(0.03, 0.06, 0.01, 0.05)
    )
    assert "surer than it was right" in told
    assert "log loss 0.500 before, 0.300 after" in told
    assert told.index("**better**") < told.index("calibration error") < told.index("**worse**")
    assert "no difference" not in told


def test_a_change_of_next_to_nothing_is_neither_better_nor_worse():
    """All intervals on one side of 0, and all within 0.003: seen on 45 texts without a mistake."""
    told = say.change("log loss", 0.045, 0.044, score(-0.001, -0.0014, -0.0006), 45)
    assert told.endswith("**less than 0.005, too little to matter**")


def test_five_texts_show_nothing():
    told = say.change("log loss", 2.0, 3.0, score(1.0, 0.8, 1.2), 5)
    assert told.endswith("**no difference that n = 5 can show**")


def test_an_interval_that_touches_zero_shows_nothing():
    assert "no difference that n = 5 can show" in say.change("x", 1, 1, score(0, 0, 0), 5)
    assert "no difference" in say.change("x", 1, 0.9, score(-0.1, -0.2, 0.0), 5)


@pytest.mark.parametrize(
    ("answered", "right", "told", "not_told"),
    [
        (39, 39, "right (100 %; 95 % interval 0.91 to 1.00). That reaches the 99 %", "fitted like"),
        (40, 36, "That does not reach the 99 % that was asked for. A threshold is fitted", "No "),
        (0, 0, "**No test text is answered**", "reach"),
        (1, 0, "right (0 %; 95 % interval 0.00 to 0.79). That does not reach", "No "),
    ],
)
def test_what_the_threshold_does(answered, right, told, not_told):
    given = say.threshold(0.93, 50, 0.99, answered, right, 50)
    assert told in given
    assert not_told not in given


def test_off_topic_texts_that_are_refused_no_more_than_the_test():
    told = say.off_topic(evaluate.wilson(12, 48), 48, 0.22, 50)
    assert "no more often than the test texts, as far as n = 48 can show" in told
    told = say.off_topic(evaluate.wilson(35, 48), 48, 0.22, 50)
    assert "no more often" not in told
    assert "73 % (59 % to 83 %) of the 48 off-topic texts" in told
    assert "The others get a topic" in told


def test_off_topic_texts_that_are_all_refused_or_none():
    assert "The others" not in say.off_topic(evaluate.wilson(48, 48), 48, 0.1, 50)
    told = say.off_topic(evaluate.wilson(0, 48), 48, 0.0, 50)
    assert "no more often" in told
    assert told.startswith("*What to notice:* 0 % (0 % to 7 %)")


def rates(refused=(0, 206), alone=25, now=77, n=85) -> dict:
    def share(right, of):
        return {"n": of, **evaluate.wilson(right, of)}

    groups = {"noise": share(20, 20), "off-topic": share(now - 20, n - 20)}
    shares = {"not_sure": share(alone, n), "not_answered": share(now, n), "groups": groups}
    return {"n": n, **shares, "refused": {"test": share(*refused)}}


def test_other_kinds_of_text():
    told = say.other_kinds(rates())
    assert "0 of 206 texts of the test (0 % (0 % to 2 %))" in told
    assert "91 % are not answered with a topic, 29 % by the threshold alone" in told
    assert "noise 100 %" in told
    assert "one in a hundred" not in told
    assert "What is left reads like the training texts" in told


def test_other_kinds_where_the_limits_refuse_too_much_or_let_nothing_through():
    assert "more than one in a hundred" in say.other_kinds(rates(refused=(20, 206)))
    assert "more than one in a hundred" not in say.other_kinds(rates(refused=(1, 50)))
    assert "What is left" not in say.other_kinds(rates(now=85))


READS = {"the model": 1.0, "the linear model": 0.97, "the search for leaks": 1.0}


def test_a_comparison_that_can_be_believed_has_no_doubts():
    scores = {"the model": evaluate.wilson(45, 50), "rival": evaluate.wilson(44, 50)}
    assert say.doubts(READS, scores, 0.2) == []
    assert "no difference" in say.verdict(0.9, 0.88, 1.0, 50, doubts=[])


def test_who_cannot_read_or_is_no_better_than_the_largest_topic_is_not_compared():
    scores = {"the model": evaluate.wilson(10, 50), "rival": evaluate.wilson(44, 50)}
    doubts = say.doubts(READS | {"the model": 0.02}, scores, 0.2)
    assert doubts == [
        "the model reads 2 % of the letters",
        "the model does not beat the share of the largest topic, 20 %",
    ]
    told = say.verdict(0.2, 0.88, 0.001, 50, never=["x"], doubts=doubts)
    assert told.startswith("Model and TF-IDF + linear SVM cannot be compared on these texts: ")
    assert told.endswith("It never answers x.")
    assert "ahead" not in told
    assert "behind" not in told
    cost = {"accuracy": 0.2, "megabytes": 1, "seconds": 1, "milliseconds": 1}
    told = say.why_not_linear(cost, cost | {"accuracy": 0.88}, 0.001, 50, doubts)
    assert "cannot be compared" in told
    assert "take the linear model" not in told


# --- weak places ---------------------------------------------------------------------------------


def pairs_of(*rows):
    return pd.DataFrame(rows, columns=["pair", "n", "mixed_up"])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((), "there are no mistakes"),
        ((("a / b", 9, 1),), "a single mistake, between a / b."),
        ((("a / b", 9, 1), ("a / c", 9, 1)), "no two topics are mixed up more than once"),
        (
            (("a / b", 9, 2), ("a / c", 9, 1)),
            "a / b is the pair mixed up most, twice in 3 mistakes.",
        ),
        ((("a / b", 9, 2), ("a / c", 9, 2)), "a / b and a / c are mixed up twice each, of 4"),
        ((("a / b", 99, 40), ("a / c", 99, 1)), "mixed up most, 40 times in 41 mistakes."),
        (tuple((f"a / {x}", 9, 2) for x in "bcdef"), "5 pairs of topics are mixed up twice each"),
    ],
)
def test_the_pair_that_is_mixed_up_most(rows, told):
    assert told in say.confusion(pairs_of(*rows))


def test_two_mistakes_are_no_habit():
    assert "too few to call it a habit" in say.confusion(pairs_of(("a / b", 9, 2), ("a / c", 9, 1)))
    assert "habit" not in say.confusion(pairs_of(("a / b", 99, 40), ("a / c", 99, 1)))


def slices_of(*rows):
    table = []
    for name, group, n, value in rows:
        interval = evaluate.wilson(round(value * n), n)
        table.append({"slice": name, "group": group, "n": n, **interval, "small": n < 20})
    columns = ["slice", "group", "n", "value", "low", "high", "small"]
    return pd.DataFrame(table, columns=columns)


def test_no_slice_is_large_enough():
    told = say.slices(slices_of(("topic", "a", 5, 0.2)), 0.9, 20)
    assert "no slice has 20 texts or more, so none can be called weak" in told
    assert "no slice has" in say.slices(slices_of(), 0.9, 20)


def test_one_slice_of_enough_texts_is_not_the_weakest_of_anything():
    told = say.slices(slices_of(("border", "clear", 37, 0.92), ("topic", "a", 5, 0.2)), 0.9, 20)
    assert "only one slice has 20 texts or more, border: clear (n = 37): 0.92, against 0.90" in told
    assert "weak" not in told
    assert "Grey rows" in told


def test_a_tie_of_slices_says_so():
    equal = [("topic", name, 20, 0.9) for name in "ab"]
    told = say.slices(slices_of(*equal), 0.9, 20)
    assert "are equal, 0.90 each" in told
    assert "Grey" not in told
    told = say.slices(slices_of(*equal, ("topic", "c", 40, 0.95)), 0.92, 20)
    assert "topic: a (n = 20) and topic: b (n = 20) share the lowest accuracy, 0.90" in told


def test_a_weak_slice_that_chance_explains_and_one_that_it_does_not():
    chance = say.slices(slices_of(("topic", "a", 30, 0.8), ("topic", "b", 30, 1.0)), 0.9, 20)
    assert "reaches the 0.90 of all texts, so chance may explain it" in chance
    sure = say.slices(slices_of(("topic", "a", 200, 0.5), ("topic", "b", 200, 1.0)), 0.75, 20)
    assert "**topic: a (n = 200) is weakest, 0.50**" in sure
    assert "lowest of 2" in sure


def test_no_slice_is_weak_without_mistakes():
    told = say.slices(slices_of(("topic", "a", 20, 1.0), ("topic", "b", 20, 1.0)), 1.0, 20)
    assert told == "*What to notice:* all answers are right, so no slice is weak."


def test_the_whole_test_is_never_the_weakest_slice():
    right = np.array([True] * 45 + [False] * 5)
    table = slices.slice_table(right, {"read": ["whole"] * 50})
    assert "none can be called weak" in say.slices(table, 0.9, slices.SMALL)


def near_of(*rows):
    columns = ["source_id", "predicted", "neighbour_topic", "similarity"]
    return pd.DataFrame([(f"id{i}", *row) for i, row in enumerate(rows)], columns=columns)


def test_neighbours_of_mistakes():
    assert "no mistakes" in say.neighbours(near_of())
    told = say.neighbours(near_of(("a", "b", 0.2)))
    assert "for 0 of 1 mistake the most" in told
    assert "no such text to excuse" in told
    told = say.neighbours(near_of(("a", "a", 0.2), ("a", "b", 0.2)))
    assert "excuse" not in told
    assert "alone could lead there" not in told
    told = say.neighbours(near_of(("a", "a", 0.99)))
    assert "Their words alone could lead there." in told
    assert told.endswith("should not be in training: id0.")


def test_labels_in_doubt():
    assert "none of the 500 labels is in doubt" in say.labels(0, 500)
    assert "1 label of 2,057 may be wrong" in say.labels(1, 2057)
    assert "a question for a person" in say.labels(6, 500)


# --- behaviour and reasons -----------------------------------------------------------------------


def test_behaviour_without_cases_or_failures():
    none = pd.DataFrame(columns=["test", "case", "predicted"])
    assert say.behaviour({}, none, []) == ""
    told = say.behaviour({"minimum": {"all": evaluate.wilson(25, 25) | {"n": 25}}}, none, [])
    assert told == "*What to notice:* passed: **minimum 25 of 25**."
    assert "skipped" in say.behaviour({}, none, ["cats", "dogs"])


def test_behaviour_names_what_failed():
    failed = pd.DataFrame({"test": ["sport"], "case": ["She won."], "predicted": ["tech"]})
    told = say.behaviour({"minimum": {"all": evaluate.wilson(0, 1) | {"n": 1}}}, failed, [])
    assert "minimum 0 of 1" in told
    assert '"She won." is taken for tech, not sport.' in told


def checked(difference, gap=0.01, n=20):
    falls = {"strongest": score(0.5, 0.4, 0.6), "random": score(0.1, 0.0, 0.2)}
    return {"n": n, "share": 0.2, "gap": gap, "difference": difference, **falls}


def test_words_that_matter():
    told = say.deletion(checked(score(0.4, 0.3, 0.5)))
    assert "the words that are named matter" in told
    assert "do not trust" not in told
    assert told.endswith("1.0 % (median), little enough.")


@pytest.mark.parametrize("difference", [score(0.0, 0.0, 0.0), score(0.05, -0.1, 0.2)])
def test_words_that_show_no_effect(difference):
    told = say.deletion(checked(difference))
    assert "no difference that n = 20 can show: do not trust these colours" in told
    assert "matter" not in told


def test_words_of_a_single_text_show_nothing():
    """The bootstrap of one text is a point."""
    told = say.deletion(checked(score(0.7, 0.7, 0.7), n=1))
    assert "no difference that n = 1 can show**: more texts are needed" in told
    assert "matter" not in told


def test_words_that_matter_less_than_random_ones_and_steps_that_are_too_few():
    told = say.deletion(checked(score(-0.2, -0.3, -0.1), gap=0.5))
    assert "falls less without the named words" in told
    assert told.endswith("50.0 % (median): more steps are needed.")


# --- studies -------------------------------------------------------------------------------------


def test_no_study_is_no_sentence():
    assert say.studies({"folds": None, "ablation": None, "curve": None}) == ""
    assert say.studies_alt({"folds": None, "ablation": None, "curve": None}) == {}


def row(name, accuracy, low, high):
    return {"row": name, "accuracy": accuracy, "low": low, "high": high}


def test_rows_of_the_ablation_that_overlap_or_are_equal():
    rows = [row("last@128", 0.92, 0.90, 0.94), row("mean@128", 0.94, 0.93, 0.96)]
    told = say.studies({"ablation": rows})
    assert (
        "best mean@128 (0.940), last last@128 (0.920). Their ranges over the seeds overlap" in told
    )
    clear = [row("last@128", 0.52, 0.50, 0.54), rows[1]]
    assert "overlap" not in say.studies({"ablation": clear})
    assert "no row stands out" in say.studies({"ablation": rows[:1]})
    assert "1 variant: last@128 0.920" in say.studies_alt({"ablation": rows[:1]})["ablation"]


def test_a_curve_of_one_size_and_folds_of_one_run():
    line = {"texts": 1645, "model": 0.97, "baseline": 0.98}
    assert "-1.0 points with 1,645 texts." in say.studies({"curve": [line]})
    mean = {"mean": 0.95}
    folds = {"runs": 1, "wanted": 15, "folds": 5, "accuracy": mean, "baseline": mean}
    assert "1 of 15 trainings: accuracy 0.950, linear model 0.950." in say.studies({"folds": folds})
    assert set(say.studies_alt({"folds": folds, "curve": [line]})) == {"folds", "learning_curve"}
