"""The pictures of chapter 04: a slider, dots with intervals, words in colour."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from figures import evaluate as figures
from gpt2news import show


def test_a_higher_temperature_brings_the_topics_together():
    (axis,) = figures.temperature(np.array([1.0, 3.0, 2.0]), ["a", "b", "c"], 4.0).axes
    plain, warm = ([bar.get_width() for bar in bars] for bars in axis.containers)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "c", "a"]
    assert plain == sorted(plain, reverse=True)
    assert plain[0] > warm[0] > warm[-1] > plain[-1]


def test_the_first_ten_of_many_topics_are_shown():
    (axis,) = figures.temperature(np.arange(30.0), [str(i) for i in range(30)], 1.0).axes
    assert [len(bars) for bars in axis.containers] == [10, 10]
    plt.close("all")


# --- dots with intervals ------------------------------------------------------------------------


def test_dots_stand_where_the_values_are_and_quiet_rows_are_grey():
    rows = pd.DataFrame(
        {
            "label": ["all", "few"],
            "value": [0.9, 0.5],
            "low": [0.8, 0.1],
            "high": [1.0, 0.9],
            "colour": [show.MODEL, show.QUIET],
        }
    )
    figure = figures.dots(rows, "accuracy")
    axis = figure.axes[0]
    lines, points = axis.collections
    assert [list(span[:, 0]) for span in lines.get_segments()] == [[0.8, 1.0], [0.1, 0.9]]
    assert points.get_offsets().tolist() == [[0.9, 0.0], [0.5, 1.0]]
    colours = [label.get_color() for label in axis.get_yticklabels()]
    assert colours[0] != colours[1]
    assert not axis.texts
    plt.close(figure)


def test_the_first_interval_is_the_model_and_its_value_is_written():
    scores = {name: {"value": v, "low": v, "high": v} for name, v in (("a", 0.5), ("b", 0.25))}
    figure = figures.intervals(scores, "accuracy")
    axis = figure.axes[0]
    colours = [mpl.colors.to_hex(colour).upper() for colour in axis.collections[1].get_facecolor()]
    assert colours == [show.MODEL, show.RIVAL]
    assert [text.get_text() for text in axis.texts] == ["0.500", "0.250"]
    plt.close(figure)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [0.31, -0.04]])
def test_words_are_coloured_by_their_strength(values):
    words = ["<b>", "b"][: len(values)]
    shown = figures.coloured_words(words, values, "A & B", digits=2).data
    assert "<b>A &amp; B</b>" in shown
    assert ("<sup>" in shown) == any(values)
    if any(values):
        assert all(part in shown for part in ("+0.31", "−0.04", "&lt;b&gt;"))
