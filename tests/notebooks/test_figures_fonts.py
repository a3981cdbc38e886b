"""A label in any script is legible in every figure, with a font for it here or without."""

import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from figures import fonts
from gpt2news import show

mpl.use("agg")
NEWS = "\u8d22\u7ecf"  # "business" in Chinese
USUAL = font_manager.findfont("DejaVu Sans")


@pytest.fixture
def machine(monkeypatch):
    """A machine of these fonts alone, besides matplotlib's own."""

    def has(**files):
        monkeypatch.setattr(fonts, "installed", lambda: {"DejaVu Sans": USUAL, **files})

    has()
    return has


@pytest.fixture(scope="module")
def chinese(tmp_path_factory) -> str:
    """A font of two letters, each a box; matplotlib knows it by its name."""
    file = str(tmp_path_factory.mktemp("fonts") / "two.ttf")
    pen = TTGlyphPen(None)
    for place, point in enumerate([(100, 0), (100, 700), (800, 700), (800, 0)]):
        (pen.lineTo if place else pen.moveTo)(point)
    pen.closePath()
    box = pen.glyph()
    names = [".notdef", "first", "second"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(NEWS[0]): "first", ord(NEWS[1]): "second"})
    builder.setupGlyf(dict.fromkeys(names, box))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Two Letters", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(file)
    font_manager.fontManager.addfont(file)
    return file


def bars(*labels: str) -> plt.Figure:
    figure, axis = plt.subplots()
    axis.bar(labels, range(1, 1 + len(labels)))
    axis.set_title(f"Texts of {labels[0]}", fontweight="bold")
    axis.text(0, 0.5, labels[0], family="monospace")
    axis.legend([labels[0]])
    return figure


def said_by(figure: plt.Figure) -> set[str]:
    """All that is written in a figure; it is drawn again, and every letter has its glyph."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    said = {text.get_text() for text in figure.findobj(plt.Text)}
    plt.close(figure)
    return said


def test_a_font_that_has_the_letters_is_found(machine, chinese, capsys):
    machine(**{"Two Letters": chinese})
    figure = bars(NEWS, "sport")
    assert fonts.drawn(figure, format="png").startswith(b"\x89PNG")
    assert {NEWS, "sport", f"Texts of {NEWS}"} <= said_by(figure)
    assert capsys.readouterr().out == ""


def test_without_such_a_font_codes_stand_for_the_letters_and_it_is_said(machine, capsys):
    figure = bars(f"{NEWS} a", "sport")
    fonts.drawn(figure, format="png")
    assert {"[U+8D22 7ECF] a", "sport", "Texts of [U+8D22 7ECF] a"} <= said_by(figure)
    said = capsys.readouterr().out
    assert said.startswith("No font of this machine has Chinese characters: codes stand for these")
    assert "apt-get install" in said


def test_a_long_run_of_such_letters_stays_short(machine):
    assert fonts.coded("a" + NEWS * 3 + "b", set(NEWS)) == "a[U+8D22 7ECF 8D22 7ECF …]b"
    assert fonts.coded("a]b-c^", {"]", "-", "^"}) == "a[U+005D]b[U+002D]c[U+005E]"
    assert fonts.coded(NEWS, set()) == NEWS


@pytest.mark.parametrize("label", ["sport", "łódź", "Ελλάδα", "новости", "العربية"])
def test_what_the_usual_font_has_is_drawn_once_and_as_before(label, machine, monkeypatch):
    monkeypatch.setattr(fonts, "legible", None)
    figure, axis = plt.subplots()
    axis.set_title(label)
    fonts.drawn(figure, format="png")
    assert label in said_by(figure)


def test_another_warning_of_a_figure_is_not_lost(machine):
    figure = plt.figure()

    def save(*_, **__):
        warnings.warn("the axes are too small", UserWarning, stacklevel=2)

    figure.savefig = save
    with pytest.warns(UserWarning, match="the axes are too small"):
        assert fonts.drawn(figure, format="png") == b""
    plt.close(figure)


def test_a_figure_of_a_chapter_is_saved_legible(machine, capsys):
    show.show(bars(NEWS), None, "bars", NEWS)
    assert "codes stand" in capsys.readouterr().out


def test_scripts_that_no_font_has(machine, chinese):
    assert fonts.lacking() == list(fonts.SCRIPTS)
    machine(other=chinese)
    assert "Chinese" in fonts.lacking()  # another letter than the two


def test_a_file_that_is_no_font_has_no_letters(tmp_path):
    (tmp_path / "bad.ttf").write_bytes(b"no font")
    assert fonts.letters_of(str(tmp_path / "bad.ttf")) == frozenset()
