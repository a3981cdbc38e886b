"""What chapter 02 says of its results: null and degenerate cases of every sentence."""

import pandas as pd
import pytest

from gpt2news.run import companion

say = companion("sentences", "02_split")


def leaks(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["part", "jaccard"])


@pytest.mark.parametrize(
    ("found", "removed", "told"),
    [
        (leaks(), 0, "no copies, so the draw that looks for them and the draw that does not are"),
        (
            leaks(("test", 1.0), ("test", 0.7), ("val", 1.0)),
            9,
            "**2 of 50** test texts have a twin",
        ),
        (leaks(("test", 1.0)), 9, "(1 word for word). Up to 2.0% of the test score"),
        (leaks(("val", 1.0)), 9, "9 copies, and by luck none of the 50 test texts"),
        (leaks(), 1, "1 copy, and by luck"),
    ],
    ids=["no copies", "leaks", "one leak", "in val only", "luck"],
)
def test_plain_draw(found, removed, told):
    said = say.plain_draw(found, 50, removed)
    assert told in said
    assert ("would be memory" in said) == (found["part"] == "test").any()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([[80, 10, 10], [80, 10, 10]], "the same share of every part, to within one text"),
        ([[81, 10, 10], [40, 5, 6]], "to within one text"),
        ([[80, 20, 0], [80, 0, 20]], "differ by up to 10 texts"),
        ([[3, 1, 1]], "to within one text"),
    ],
    ids=["even", "rounded", "uneven", "one topic"],
)
def test_proportions(rows, told):
    counts = pd.DataFrame(rows, columns=["train", "val", "test"])
    said = say.proportions(counts)
    assert told in said
    assert ("So no part is easier" in said) == ("differ" not in said)


@pytest.mark.parametrize(("before", "told"), [(3, "3 of them are in more"), (0, "0 of them are")])
def test_torn(before, told):
    assert told in say.torn(6, before, 0)


@pytest.mark.parametrize(
    ("removed", "told"),
    [(0, "No copies had to be"), (1, "One copy was"), (1234, "1,234 copies were")],
)
def test_gate(removed, told):
    said = say.gate(0, 0, removed)
    assert said.startswith("**Leaks: 0 word for word, 0 near ones.** ")
    assert told in said


@pytest.mark.parametrize(
    ("planted", "found", "told"),
    [
        (2, leaks(("test", 1.0), ("test", 0.8)), "planted 2, found **2** (1 word for word, 1 by"),
        (2, leaks(("test", 1.0)), "planted 2, found **1** (1 word for word, 0 by"),
        (2, leaks(), "found **0**"),
        (0, leaks(), "nothing was planted"),
    ],
    ids=["all", "one missed", "none", "nothing planted"],
)
def test_found(planted, found, told):
    said = say.found(planted, found)
    assert told in said
    assert ("too few runs" in said) == (0 < len(found) < planted or (planted > len(found) == 0))


def trials(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["leaked", "right", "leaked_right", "leaked_before"])


def test_a_leak_that_raises_the_score_is_told_with_its_numbers():
    said = say.effect(50, 45, trials((4, 47, 4, 3), (50, 50, 50, 45)))
    assert "with 4 of 50 leaked, the score rises from 0.900 to 0.940. Right among" in said
    assert "these 4: 3 before the leak, 4 now." in said
    assert "With all 50 leaked, the score rises from 0.900 to 1.000" in said
    assert "has learned nothing more" in said


def test_a_leak_without_effect_is_no_rise():
    said = say.effect(50, 50, trials((4, 50, 4, 4), (50, 50, 50, 50)))
    assert "stays at 1.000" in said
    assert "rises" not in said
    assert "No gain that n = 50 can show" in said
    assert "learned nothing more" not in said


def test_a_leak_that_lowers_the_score_is_told_so():
    said = say.effect(5, 4, trials((1, 3, 1, 1)))
    assert "falls from 0.800 to 0.600" in said
    assert "No gain that n = 5 can show" in said


def test_a_test_part_too_small_to_plant_in():
    assert say.effect(5, 4, trials((0, 4, 0, 0))).startswith("Nothing was planted")
