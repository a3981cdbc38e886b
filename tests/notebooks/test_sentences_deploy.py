"""The sentences of chapter 05 on a null case and on a degenerate one each."""

import pytest

from gpt2news.run import companion

say = companion("sentences", "05_deploy")


def same(accuracy=0.9, drop=0.0, kept=1.0) -> dict:
    return {
        "parity_max_abs_diff": 2e-6,
        "plain_max_abs_diff": 3e-6,
        "accuracy_torch": accuracy,
        "accuracy_int8": accuracy - drop,
        "accuracy_drop": drop,
        "same_answer": kept,
    }


def test_parity():
    assert "the same topic for all 50 texts" in say.parity(same(), 50)
    assert "the same topic for 49 of 50 test texts" in say.parity(same(kept=0.98), 50)
    assert "the same topic for 0 of 1 test text." in say.parity(same(kept=0.0), 1)


@pytest.mark.parametrize(
    ("drop", "kept", "n", "says"),
    [
        (0.0, 1.0, 50, "changes no answer on these 50 texts"),
        (0.0, 0.96, 50, "2 answers changed, and that is no difference that n = 50 can show"),
        (0.02, 0.98, 50, "1 answer changed, and that is no difference that n = 50 can show"),
        (-0.02, 0.98, 50, "no difference that n = 50 can show"),
        (1.0, 0.0, 1, "no difference that n = 1 can show"),
        (0.2, 0.8, 50, "int8 loses 10 of 50 test texts: serve `model.onnx`"),
        (-0.2, 0.8, 50, "right for 10 texts more; do not count on it"),
    ],
)
def test_int8_cost(drop, kept, n, says):
    assert says in say.int8_cost(same(drop=drop, kept=kept), n)


def test_size():
    assert "**3.9 times smaller**" in say.size(3.9)
    assert "most of this file is not weights" in say.size(1.1)


def test_timing_says_no_more_than_n_requests_know():
    times = {"p50_ms": 3.0, "p95_ms": 9.0}
    assert "19 of 20 within 9.0 ms" in say.timing(times, 100)
    assert "9.0" not in say.timing(times, 19)
    assert "a single time says little" in say.timing(times, 1)
    assert "median" not in say.timing(times, 1)


def test_a_word_carries_an_answer_only_where_its_absence_is_felt():
    weak, strong = ("sport", "year.", 0.04), ("tech", "phone.", 0.31)
    none = say.occlusion([weak, ("sport", "cup", -0.2)])
    assert "no single word carries an answer here" in none
    assert "at most 0.04" in none
    assert "year." not in none
    both = say.occlusion([weak, strong])
    assert "“phone.” for tech (0.31)" in both
    assert "The other answer does not hang on a single word" in both
    assert "year." not in both
    assert "other" not in say.occlusion([strong])
    assert "at most 0.00" in say.occlusion([])


def test_cloud():
    took = {"ready_seconds": 90, "first_ms": 900, "p50_ms": 30, "same_topic": 1.0}
    assert "the same topics as here. Spent: **$0.01**" in say.cloud(took, 20, "$0.01")
    one = say.cloud({**took, "same_topic": 0.0}, 1, "$0.01")
    assert "the same topic as here for 0 of 1 test text." in one


def test_occlusion_shows_names_from_the_data_as_text():
    said = say.occlusion([("<b>sport</b>", "![x](http://elsewhere)", 0.4)])
    assert "<b>" not in said
    assert "![x](" not in said
