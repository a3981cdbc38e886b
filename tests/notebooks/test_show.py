"""Figures with controls: live in a front end that may be asked, a plain figure where nobody is."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from gpt2news import show, sketches
from gpt2news.run import Run

mpl.use("agg")

ASK = """
from gpt2news import run, show
def draw(text="first"):
    figure = show.plt.figure(figsize=(1, 1))
    return figure, f"a drawing of {text}"
show.play(draw, run.Run("x"), "drawn", text="")
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPT2NEWS_REPORTS", str(folder))
        manager, client = start_new_kernel(kernel_name="python3")
    yield client, folder / "x" / "figures" / "drawn.png"
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("live", [False, True])
def test_play_shows_controls_only_where_somebody_is(kernel, live):
    client, file = kernel
    file.unlink(missing_ok=True)
    shown = []
    reply = client.execute_interactive(ASK, allow_stdin=live, output_hook=shown.append, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert file.exists()
    kinds = [
        kind
        for m in shown
        if m["msg_type"] in ("display_data", "update_display_data")
        for kind in m["content"]["data"]
    ]
    texts = [
        m["content"]["data"].get("text/plain") for m in shown if m["msg_type"] == "display_data"
    ]
    assert ("application/vnd.jupyter.widget-view+json" in kinds) == live
    if not live:
        assert "image/png" in kinds
        assert texts == ["a drawing of first"]


def test_what_is_shown_without_a_run_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    Run("x")
    show.show(plt.figure(figsize=(1, 1)), None, "name", "a drawing")
    assert not list(tmp_path.rglob("*.png"))


def test_a_cut_word_has_another_colour_and_lines_are_wrapped():
    figure = sketches.tokens([" the", " ke", "eper", " saved", "."] * 6, list(range(30)), width=40)
    patches = figure.axes[0].patches
    assert len(patches) == 30
    assert len({round(p.get_y()) for p in patches}) > 1
    whole, part, _, _, mark = (p.get_facecolor()[:3] for p in patches[:5])
    assert len({whole, part, mark}) == 3
    plt.close(figure)


def test_words_of_a_shared_run_are_coloured():
    figure = sketches.shared_runs(["a b c d e x", "y a b c d e"], 5)
    colours = [p.get_facecolor() for p in figure.axes[0].patches]
    assert colours[:5] == colours[7:] == [colours[0]] * 5
    assert colours[5] == colours[6] != colours[0]
    plt.close(figure)


def test_padding_shows_the_positions_of_each_side():
    figure = sketches.padding([" a", " long", " text", "."], [" short", "."])
    assert len(figure.axes[0].patches) == 4 * 4
    small = [text.get_text() for text in figure.axes[0].texts[1::2]]
    assert small == ["0", "1", "2", "3", "0", "1", "", "", "0", "1", "2", "3", "", "", "2", "3"]
    plt.close(figure)


def test_the_temperature_softens_and_keeps_the_order():
    figure = sketches.temperature(np.array([0.0, 3.0, 1.0]), ["a", "b", "c"], 2.0)
    plain, warm = ([bar.get_width() for bar in bars] for bars in figure.axes[0].containers)
    for widths in (plain, warm):
        assert sum(widths) == pytest.approx(1)
        assert widths == sorted(widths, reverse=True)
    assert warm[0] < plain[0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "c", "a"]
    plt.close(figure)


def test_every_answer_is_on_one_side_of_the_threshold():
    confidence, right = np.array([0.3, 0.6, 0.95, 1.0]), np.array([False, True, True, True])
    figure = sketches.thresholds(confidence, right, 0.9)
    bars = [
        sum(patch.get_height() for patch in container) for container in figure.axes[0].containers
    ]
    assert bars == [3, 1]
    plt.close(figure)


def test_a_mask_for_each_model():
    figure = sketches.attention_masks(["a", "b", "c"])
    gpt2, bert = (axis.collections[0].get_array().sum() for axis in figure.axes)
    assert (gpt2, bert) == (6, 9)
    plt.close(figure)


def test_fifty_topics_fit_a_page():
    topics = [f"topic {i:02d}" for i in range(50)]
    figure = show.confusion(topics, topics, topics)
    assert figure.get_size_inches()[0] < 10
    assert len(figure.axes[0].get_yticklabels()) == 50
    plt.close(figure)


def test_the_temperature_sketch_draws_ten_of_twenty_topics():
    import numpy as np

    from gpt2news import sketches

    figure = sketches.temperature(np.linspace(0, 3, 20), [f"topic {i:02}" for i in range(20)], 2.0)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        f"topic {i:02}" for i in range(19, 9, -1)
    ]
    assert len(figure.axes[0].patches) == 20
