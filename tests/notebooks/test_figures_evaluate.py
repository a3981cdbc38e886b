"""The picture of chapter 04 that can be played with."""

import numpy as np
from matplotlib import pyplot as plt

from figures import evaluate as figures


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
