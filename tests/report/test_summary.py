"""tools/summary.py: the headline figures of a run, whole, in part, and of none."""

import json

from summary import summary

SCORE = {"value": 0.9, "low": 0.786, "high": 0.957}


def test_a_run_that_is_complete(tmp_path):
    found = {
        "dataset": {"name": "sample", "unique": 500},
        "model": {"name": "gpt2-mini", "parameters": 5_000_000},
        "test": {"accuracy": SCORE},
        "baseline": {"accuracy": SCORE},
        "deploy": {"size_mb": 5.4},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    lines = summary(tmp_path).splitlines()
    assert "| accuracy on test | 0.900 (0.786 to 0.957) |" in lines
    assert "| int8 model | 5.4 MB |" in lines
    assert len(lines) == 9


def test_a_run_that_failed_midway_and_one_that_left_nothing(tmp_path):
    assert "No chapter has left a figure" in summary(tmp_path)
    (tmp_path / "metrics.json").write_text('{"dataset": {"name": "sample", "unique": 500}}')
    assert summary(tmp_path).splitlines()[-1] == "| corpus | sample, 500 texts |"
