"""The commands `classify`, `serve` and `app`, as `python -m newsserve` has them."""

import io
import json
import os
import shutil
import subprocess
import sys

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


def standard_input(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))


def test_lines_of_standard_input_as_json(exported, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", standard_input(f"{TEXT}\n\nGoal!\n".encode()))
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
    monkeypatch.setattr("sys.stdin", standard_input(b""))
    assert cli.main(["classify", "--model", str(exported)]) == 2
    assert "no text; give it as an argument" in capsys.readouterr().err


def test_the_app_is_not_started_without_anything_that_answers(capsys, monkeypatch):
    pytest.importorskip("streamlit")
    monkeypatch.delenv("GPT2NEWS_ENDPOINT", raising=False)
    assert cli.main(["app", "--model", "nowhere"]) == 2
    assert "nowhere: no serving.json" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_standard_input_in_other_encodings(exported, capsys, monkeypatch, encoding):
    texts = ["Caf\u00e9 owners fear the bank", TEXT]
    monkeypatch.setattr("sys.stdin", standard_input("\n".join(texts).encode(encoding)))
    assert cli.main(["classify", "--model", str(exported), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [vars(answer) for answer in Predictor(exported)(texts)]


def test_what_is_no_text_is_said_and_nothing_answered_is_a_code_of_its_own(
    exported, capsys, monkeypatch
):
    good = "\u00e9\u00e8\u00ea good".encode()
    monkeypatch.setattr("sys.stdin", standard_input(good + b"\nb\xe9d\n"))
    assert cli.main(["classify", "--model", str(exported)]) == 0
    assert "not read: the text is not UTF-8" in capsys.readouterr().out
    assert cli.main(["classify", "--model", str(exported), " ", "--json"]) == 4
    assert json.loads(capsys.readouterr().out) == {"error": "no text"}


def test_a_file_of_which_nothing_is_answered(exported, capsys, tmp_path):
    (tmp_path / "in.csv").write_text("text,id\n,1\n,2\n")
    files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv")]
    assert cli.main(["classify", "--model", str(exported), *files]) == 4
    assert (
        "2 rows: 0 answered, 0 not sure, 0 another kind of text, 2 not read"
        in capsys.readouterr().err
    )


def test_a_terminal_that_cannot_draw_the_bar(exported):
    command = [sys.executable, "-m", "newsserve", "classify", "--model", str(exported), TEXT]
    narrow = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, env=narrow)
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


@pytest.mark.parametrize("token", ["", " \n"])
def test_an_empty_token_is_not_served_openly(exported, token, capsys, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_TOKEN", token)
    assert cli.main(["serve", "--model", str(exported)]) == 2
    assert "GPT2NEWS_TOKEN is empty" in capsys.readouterr().err


def test_a_line_break_behind_the_token_is_no_part_of_it(exported, monkeypatch):
    given = []
    monkeypatch.setattr("newsserve.server.serve", lambda *arguments: given.append(arguments))
    monkeypatch.setenv("GPT2NEWS_TOKEN", "wolf-quay\n")
    assert cli.main(["serve", "--model", str(exported)]) == 0
    assert given[0][-1] == "wolf-quay"


def test_verify_names_each_file_that_has_changed(exported, tmp_path, capsys):
    """One byte of each file in turn, its list's own bytes as well."""
    folder = tmp_path / "onnx"
    shutil.copytree(exported, folder)
    assert cli.main(["verify", str(folder)]) == 0
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            capsys.readouterr()
            assert cli.main(["verify", str(folder)]) == 1, (path, place)
        path.write_bytes(content)
        assert cli.main(["verify", str(folder)]) == 0
    (folder / "model.onnx").unlink()
    assert cli.main(["verify", str(folder)]) == 1
    assert "model.onnx: changed or gone" in capsys.readouterr().out
    assert cli.main(["verify", str(tmp_path)]) == 1
