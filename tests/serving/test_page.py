"""The parts of the web app that need no browser."""

import json
import re
import sys

import pytest

from gpt2news.run import ROOT
from newsserve.batch import answer_rows
from newsserve.predictor import Predictor
from newsserve.tables import TableError

pytest.importorskip("streamlit")
upload = pytest.importorskip("newsserve.app.upload")


def test_a_file_keeps_its_bytes_its_delimiter_and_its_bad_rows(exported):
    data = "\ufeffid;text\n1;The bank cut its forecast\n2;\n3\n4;caf".encode()
    table, rows = upload.read("news.csv", data + b"\xe9\n\n5;Goal!;more\n")
    assert (table.delimiter, table.column, len(rows)) == (";", "text", 5)
    predictor = Predictor(exported)
    answered = answer_rows(predictor, rows, "text")
    lines = upload.as_csv(table, rows, answered).split(b"\n")
    (alone,) = predictor(["The bank cut its forecast"])
    assert lines[0] == b"id;text;predicted;probability;answered;reason;truncated;error"
    wanted = f"1;The bank cut its forecast;{alone.topic};{alone.probability};True;;False;"
    assert lines[1] == wanted.encode()
    assert lines[2:] == [
        b"2;;;;;;;no text",
        b"3;;;;;;;1 columns where there are 2 names",
        b"4;caf\xe9;;;;;;the text is not UTF-8",
        b"5;Goal!;;;;;;\"3 columns where there are 2 names; beyond them: ['more']\"",
        b"",
    ]
    assert [upload.counts_as(row) for row in answered] == [alone.topic] + ["not read"] * 4


def test_a_wheel_holds_all_files_of_the_app():
    listed = re.search(r"^newsserve = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.M)
    patterns = json.loads(listed[1])
    package = ROOT / "lib" / "newsserve"
    files = [path.relative_to(package) for path in (package / "app").rglob("*.*") if path.is_file()]
    left_out = [path for path in files if path.suffix not in (".py", ".pyc")]
    assert len(left_out) == 6
    assert not [path for path in left_out if not any(path.match(each) for each in patterns)]


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "no rows"), (b"text\n", "no rows"), (b"PK\3\4", "a zip file or a workbook")],
)
def test_a_file_that_cannot_be_taken_is_refused_with_the_way_out(data, says):
    with pytest.raises(TableError, match=says):
        upload.read("news.csv", data)


def test_the_page_with_any_model_folder(exported, monkeypatch, copy):
    """Streamlit's own test runner: no README.md, topics of another corpus; then with one."""
    testing = pytest.importorskip("streamlit.testing.v1")
    monkeypatch.delenv("GPT2NEWS_ENDPOINT", raising=False)
    page = str(sys.modules["newsserve.app"].__path__[0]) + "/page.py"

    def run(folder):
        monkeypatch.setattr(sys, "argv", ["page.py", str(folder)])
        app = testing.AppTest.from_file(page, default_timeout=60).run()
        assert not app.exception
        return app, " ".join(each.value for each in app.markdown)

    _, said = run(exported)
    assert "knows business, politics, sport;" in said
    assert "There is no `README.md`" in said
    folder = copy()
    (folder / "README.md").write_text(
        "---\nlicense: mit\n---\n# The card\n\n![a](https://example.org/a.png) [b](../b) [c](https://example.org)\n"
    )
    app, said = run(folder)
    assert "license" not in said
    # A picture from elsewhere is a link: nothing is loaded before somebody clicks.
    assert "## The card\n\n[a](https://example.org/a.png) b [c](https://example.org)" in said
    app.text_area[0].set_value(
        "The minister promised a vote on the new law before the election."
    ).run()
    app.button[0].click().run()
    assert not app.exception
    assert [each.value for each in app.header][:1] == ["The words that decided"]
    broken, _ = run(folder.with_name("nowhere"))
    assert r"no serving\.json" in broken.error[0].value
