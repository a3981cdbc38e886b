"""The proof of chapter 05 that what was exported says what torch says."""

from gpt2news.run import companion

checks = companion("checks", "05_deploy")
TEXTS = [
    "The striker scored twice.",
    "Shares fell sharply after the bank cut its forecast for the year.",
]


def test_parity_of_what_was_exported(exported, tiny_model):
    topics = ["business", "politics"]
    same = checks.parity(tiny_model, exported, TEXTS, topics)
    assert same["parity_max_abs_diff"] < 1e-4
    assert same["plain_max_abs_diff"] < 1e-4
    assert same["accuracy_drop"] == same["accuracy_torch"] - same["accuracy_int8"]
    assert same["same_answer"] in (0.0, 0.5, 1.0)
