"""The pictures of chapter 03, also of the least that can be drawn."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from figures import finetune as figures

HISTORY = [
    {"step": 1, "epoch": 0.5, "loss": 1.6},
    {"step": 2, "epoch": 1.0, "eval_loss": 1.2, "eval_accuracy": 0.5},
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("tokens", [["one"], ["the", "cup", "final"]])
def test_one_mask_is_a_triangle_and_the_other_is_full(tokens):
    causal, full = figures.attention_masks(tokens).axes
    seen = [int(axis.collections[0].get_array().sum()) for axis in (causal, full)]
    n = len(tokens)
    assert seen == [n * (n + 1) // 2, (n + 1) ** 2]
    assert [label.get_text() for label in full.get_yticklabels()] == ["[CLS]", *tokens]


def test_a_short_text_is_padded_on_either_side():
    assert figures.padding(["the", "cup", "final"], ["rates"]).axes
    assert figures.padding(["one"], ["one"]).axes


@pytest.mark.parametrize("topics", [["sport", "tech"], [f"topic {i}" for i in range(20)]])
def test_word_by_word_is_a_line_a_topic_and_names_eight_at_most(topics):
    said = np.full((3, len(topics)), 1 / len(topics))
    (axis,) = figures.word_by_word(["a", "b", "c"], said, topics).axes
    assert len(axis.lines) == len(topics)
    assert len(axis.get_legend().get_texts()) == min(8, len(topics))


def test_a_curve_for_each_history():
    figure = figures.training_curves({"pretrained": HISTORY, "from scratch": HISTORY})
    left, right = figure.axes
    assert (len(left.lines), len(right.lines)) == (4, 2)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "pretrained, training",
        "pretrained, validation",
        "from scratch, training",
        "from scratch, validation",
    ]


def test_no_curve_lies_under_the_legend():
    figure = figures.training_curves({"pretrained": HISTORY, "from scratch": HISTORY})
    figure.set_layout_engine("constrained")  # as `show.style` sets it
    figure.canvas.draw()
    (legend,) = figure.legends
    for axis in figure.axes:
        assert axis.get_legend() is None
        assert not legend.get_window_extent().overlaps(axis.get_tightbbox())
