"""`python -m gpt2news.finetune`: options, errors in a line."""

import json

import pytest

from gpt2news.finetune.__main__ import main


def test_a_run_from_the_shell(splits, backbone, tmp_path, capsys):
    places = ["--train", str(splits), "--out", str(tmp_path / "model"), "--backbone", backbone]
    given = ["--epochs", "1", "--batch_size=8", "--max-length", "24", "--normalise", "True"]
    assert main([*places, *given, "--learning-rate", "5e-3"]) == 0
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert (record["epochs"], record["batch_size"], record["learning_rate"]) == (1, 8, 5e-3)
    assert (record["normalise"], record["from_scratch"]) == (True, False)
    assert "model: 0.0 M parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["--epoch-s", "2"], "--epoch-s"),
        (["--pooling", "max"], "invalid choice: 'max'"),
        (["--dtype", "int4"], "invalid choice: 'int4'"),
        (["--normalise", "perhaps"], "got perhaps but expected one of yes/no, true/false"),
    ],
)
def test_the_command_line_says_what_is_wrong(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        main(["--train", str(tmp_path), "--out", str(tmp_path / "m"), *arguments])
    assert message in capsys.readouterr().err


def test_the_command_line_needs_places_and_reports_errors_in_a_line(tmp_path, splits, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "arguments are required: --train, --out" in capsys.readouterr().err
    places = ["--out", str(tmp_path / "m"), "--train"]
    assert main([*places, str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("gpt2news.finetune: ")
    assert main([*places, str(splits), "--backbone", "models/nowhere"]) == 2
    assert "no folder with a config.json" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--gradient-checkpointing" in capsys.readouterr().out
