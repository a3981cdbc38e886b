"""Words in boxes."""

from matplotlib import pyplot as plt

from figures import explore as figures
from gpt2news import show


def test_boxes_hold_their_texts_and_nothing_is_no_error():
    figure = figures.boxes(
        [[("a", show.MODEL, "1"), ("long", show.RIVAL, "2")], [("b", "red", "")]]
    )
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["a", "1", "long", "2", "b", ""]
    first, second, below = axis.patches
    assert first.get_width() < second.get_width()
    assert first.get_y() == second.get_y() > below.get_y()
    plt.close(figure)
    plt.close(figures.boxes([]))
