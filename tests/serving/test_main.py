"""The commands `classify`, `serve` and `app`, as `python -m newsserve` has them."""

import io
import json

import pytest

from newsserve import __main__ as cli
from newsserve.predictor import Predictor

TEXT = "The bank cut its forecast"


def test_a_text_and_its_answer(exported, capsys):
    assert cli.main(["classify", "--model", str(exported), TEXT]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    (answer,) = Predictor(exported)([TEXT])
    assert first == answer.topic
    assert [line.split()[0] for line in rest] == list(answer.probabilities)


def test_lines_of_standard_input_as_json(exported, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TEXT}\n\nGoal!\n"))
    assert cli.main(["classify", "--model", str(exported), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [vars(answer) for answer in Predictor(exported)([TEXT, "Goal!"])]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["classify", "--model", "nowhere", TEXT], "nowhere: no serving.json"),
        (["classify", "--input", "in.csv"], "--input and --output go together"),
        (["classify", "--input", "in.csv", "--output", "out.csv"], "in.csv: no such file"),
        (["serve", "--model", "nowhere"], "nowhere: no serving.json"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"gpt2news {arguments[0]}: ")
    assert says in line


def test_no_text_at_all(exported, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli.main(["classify", "--model", str(exported)]) == 2
    assert "no text; give it as an argument" in capsys.readouterr().err


def test_the_app_is_not_started_without_anything_that_answers(capsys, monkeypatch):
    pytest.importorskip("streamlit")
    monkeypatch.delenv("GPT2NEWS_ENDPOINT", raising=False)
    assert cli.main(["app", "--model", "nowhere"]) == 2
    assert "nowhere: no serving.json" in capsys.readouterr().err
