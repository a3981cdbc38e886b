"""Slices of the test: counted, ordered, and only if they are a part of it."""

import re

import numpy as np
import pytest

from gpt2news.run import companion

slices = companion("slices", "04_evaluate")


def test_slice_table_counts_and_marks_small_groups():
    right = np.array([True] * 30 + [False] * 10 + [True] * 5)
    table = slices.slice_table(
        right, {"read": ["whole"] * 40 + ["cut"] * 5, "rare": ["x"] * 3 + [None] * 42}
    )
    assert table[["slice", "group", "n", "value"]].to_numpy().tolist() == [
        ["read", "cut", 5, 1.0],
        ["read", "whole", 40, 0.75],
        ["rare", "x", 3, 1.0],
    ]
    assert table["small"].tolist() == [True, False, True]
    assert table.loc[1, "low"] < 0.75 < table.loc[1, "high"]


@pytest.mark.parametrize(
    "words",
    [np.arange(1, 101), np.array([5] * 60 + [7] * 40), np.array([1, 2, 3]), np.array([4, 9])],
)
def test_lengths_fall_into_the_group_that_names_them(words):
    labels = slices.by_length(words)
    assert len(labels) == len(words)
    assert not labels.isna().any()
    for count, label in zip(words, labels, strict=True):
        bounds = [int(n) for n in re.findall(r"\d+", label)]
        assert bounds[0] <= count <= bounds[-1]
    assert len(labels.categories) <= 4


def test_texts_of_one_length_are_no_slices():
    labels = slices.by_length(np.array([5] * 20))
    assert slices.slice_table(np.array([True] * 20), {"length": labels}).empty


def test_groups_by_length_stay_in_order():
    table = slices.slice_table(
        np.array([True] * 80), {"length": slices.by_length(np.arange(80, 160))}
    )
    starts = [int(group.split()[0]) for group in table["group"]]
    assert starts == sorted(starts)
    assert len(starts) == 4


def test_a_slice_that_is_the_whole_test_is_left_out():
    right = np.array([True, False, True, True])
    table = slices.slice_table(right, {"read": ["whole"] * 4, "topic": ["a", "a", "b", "b"]})
    assert table["slice"].tolist() == ["topic", "topic"]
    assert slices.slice_table(right, {"read": ["whole"] * 4}).empty
