"""Gates: how they are read, what they are held against."""

import math

import pytest

from newsreport import gates
from newsreport.gates import ReportError

METRICS = {
    "profile": "x",
    "test": {"accuracy": {"value": 0.97, "low": 0.9512, "high": 0.98}, "ece": None},
    "studies": {"folds": {"accuracy": {"sd": 0.0125}}},
    "deploy": {"accuracy_drop": math.nan, "same": True},
}


def test_values():
    lines = ["test.accuracy.low >= 0.95", "test.accuracy.low > 0.9512"]
    results = gates.check([*lines, "studies.folds.accuracy.sd <= 1e-1"], METRICS)
    assert [result["passed"] for result in results] == [True, False, True]
    assert results[1]["value"] == 0.9512
    assert results[1]["why"] == ""


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (
            "deploy.size_mb <= 10",
            "no 'deploy.size_mb': instead of 'size_mb' it has accuracy_drop, same",
        ),
        (
            "errors.n <= 10",
            "metrics.json has no 'errors.n': instead of 'errors' it has profile, test",
        ),
        ("test.accuracy.low.n >= 0", "no 'test.accuracy.low.n': instead of 'n' it has no parts"),
        ("test.accuracy >= 0", "test.accuracy is not a number; it has value, low, high"),
        ("deploy.accuracy_drop != 0", "deploy.accuracy_drop is not a number"),
        ("deploy.same >= 0", "deploy.same is not a number"),
    ],
)
def test_what_is_not_there_or_is_no_number_does_not_pass(gate, why):
    (result,) = gates.check([gate], METRICS)
    assert not result["passed"]
    assert why in result["why"]


def test_a_null_does_not_pass():
    (result,) = gates.check(["test.ece <= 0.1"], METRICS)
    assert (result["passed"], result["value"]) == (False, None)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            "test.acuracy.low >= 0.9",
            "no 'test.acuracy.low': instead of 'acuracy' it has n, accuracy",
        ),
        ("tests.accuracy.low >= 0.9", "instead of 'tests' it has profile, dataset"),
        ("test.accuracy >= 0.9", "test.accuracy is not a number; it has value, low, high"),
        ("verdict >= 1", "verdict is not a number"),
        ("test.accuracy.low > many", "write it as path operator number"),
        ("test.accuracy.low = 0.9", "write it as path operator number"),
        ("__import__('os').getcwd() == 1", "write it as path operator number"),
        ("0.9 <= test.accuracy.low", "write it as path operator number"),
        (3, "write it as path operator number"),
    ],
)
def test_what_cannot_be_read_or_is_recorded_by_no_chapter_is_refused(gate, message):
    with pytest.raises(ReportError) as raised:
        gates.check_names(["split.train >= 7", gate])
    assert message in str(raised.value)


def test_what_is_known_only_after_the_run_is_let_through():
    gates.check_names(["behaviour.minimum.all.value >= 0.8", "deploy.accuracy_drop <= 0.005"])
