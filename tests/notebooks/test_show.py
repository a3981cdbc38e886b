"""Figures with controls, figures that chapters share, and labels that are safe to show."""

import html

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from jupyter_client.manager import start_new_kernel

from figures import evaluate as figures
from gpt2news import show
from gpt2news.run import Run

mpl.use("agg")

ASK = """
from gpt2news import run, show
figures = run.companion("figures", "01_explore")
def draw(text="first", size=2):
    figure = show.plt.figure(figsize=(1, 1))
    return figure, f"a drawing of {text}, {size}"
figures.play(draw, run.Run("x"), "drawn", text="", size=(1, 5))
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


def ask(kernel, code: str, live: bool) -> list[dict]:
    """Run code in a kernel; its messages."""
    shown = []
    reply = kernel.execute_interactive(code, allow_stdin=live, output_hook=shown.append, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    return shown


@pytest.mark.parametrize("live", [False, True])
def test_play_shows_controls_only_where_somebody_is(kernel, live):
    client, file = kernel
    file.unlink(missing_ok=True)
    shown = ask(client, ASK, live)
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
        assert texts == ["a drawing of first, 2"]


def test_live_controls_start_with_the_functions_defaults(kernel):
    """So the figure that a reader finds is the one that the page shows, and not an empty one."""
    shown = ask(kernel[0], ASK, live=True)
    values = {}  # of each control, as a front end would have them in the end
    for message in shown:
        if message["msg_type"] in ("comm_open", "comm_msg"):
            content = message["content"]
            state = content["data"].get("state", {})
            values.setdefault(content["comm_id"], {}).update(state)
    values = {state["_model_name"]: state.get("value") for state in values.values()}
    assert values["TextModel"] == "first"
    assert values["IntSliderModel"] == 2
    drawn = [
        m["content"]["data"]["text/plain"]
        for m in shown
        if m["msg_type"] == "display_data" and "image/png" in m["content"]["data"]
    ]
    assert drawn == ["a drawing of first, 2"]


def test_what_is_shown_without_a_run_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    Run("x")
    show.show(plt.figure(figsize=(1, 1)), None, "name", "a drawing")
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("size", [4, 9, 14])
def test_no_letter_of_a_figure_is_under_12_pixels_at_its_own_width(size, monkeypatch):
    shown = []
    monkeypatch.setattr(show, "display", lambda *_, metadata, **__: shown.append(metadata))
    figure, axis = plt.subplots(figsize=(5, 2))
    axis.set(title="a title", xlabel="letters")
    axis.text(0.5, 0.5, "small print", fontsize=size)
    show.show(figure, None, "name", "a drawing")
    about = shown[0]["image/png"]
    assert min(text.get_fontsize() for text in figure.findobj(plt.Text)) >= 9
    assert about["least"] <= about["width"] == 480


# --- what comes from the data is safe to show ---------------------------------------------------


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("sport", "sport"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("turned\u202eround", "turned round"),
        ("x" * 25 + "y" * 25, "x" * 16 + "…" + "y" * 15),
        ("x" * 32, "x" * 32),
        (7, "7"),
    ],
)
def test_plain_is_one_short_line(label, shown):
    assert show.plain(label) == shown


@pytest.mark.parametrize("label", ["$a$", "<b>", "A & B", "a|b", "`code`", "![i](u)", "*a*_b_"])
def test_plain_with_markup_has_no_markup_left(label):
    text = show.plain(label, markup=True)
    bare = text.replace("<span>$</span>", "")
    assert not set("$<>|`*_[]!") & set(bare)
    assert html.unescape(text.replace("<span>", "").replace("</span>", "")) == label


def test_a_topic_with_dollars_is_no_formula_in_a_figure():
    show.style()
    figure = figures.intervals({"$x^2$": {"value": 0.5, "low": 0.4, "high": 0.6}}, "$score")
    (text,) = figure.axes[0].get_yticklabels()
    assert text.get_text() == "$x^2$"
    assert not text.get_parse_math()
    figure.canvas.draw()
    plt.close(figure)


def test_dollars_in_a_table_open_no_formula_and_markup_is_escaped():
    shown = show.table(pd.DataFrame({"text": ["$5m to $6m", "<script>"]})).data
    assert "<span>$</span>5m to <span>$</span>6m" in shown
    assert "<script>" not in shown
