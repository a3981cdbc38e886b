"""`python -m gpt2news.finetune`: options, SageMaker's variables, errors in a line."""

import json

import pytest

from gpt2news.finetune.__main__ import main


def test_the_entry_point_takes_sagemakers_variables(
    splits, backbone, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SM_CHANNEL_TRAIN", str(splits))
    monkeypatch.setenv("SM_CHANNEL_VAL", str(splits))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "model"))
    job = {"epochs": "2", "batch_size": 8, "max_length": 24, "backbone": backbone}
    monkeypatch.setenv("SM_HPS", json.dumps({**job, "normalise": True, "from_scratch": False}))
    assert main(["--epochs", "1", "--learning-rate", "5e-3"]) == 0
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert (record["epochs"], record["batch_size"], record["learning_rate"]) == (1, 8, 5e-3)
    assert (record["normalise"], record["from_scratch"]) == (True, False)
    assert "model: 0.0 M parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--epochs", "many"], {}, "argument --epochs: invalid int value: 'many'"),
        (["--epoch-s", "2"], {}, "--epoch-s"),
        (["--pooling", "max"], {}, "invalid choice: 'max'"),
        (["--dtype", "int4"], {}, "invalid choice: 'int4'"),
        (["--normalise", "perhaps"], {}, "got perhaps but expected one of yes/no, true/false"),
        (["--processes", "0"], {}, "--processes 0: 1 or more"),
        ([], {"SM_HPS": "{"}, "SM_HPS is not JSON"),
        ([], {"SM_HPS": '{"epoch_count": 2}'}, "--epoch_count=2"),
        ([], {"SM_HPS": '{"epochs": "two"}'}, "invalid int value: 'two'"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    tmp_path, monkeypatch, capsys, arguments, environment, message
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="2"):
        main(["--train", str(tmp_path), "--out", str(tmp_path / "m"), *arguments])
    assert message in capsys.readouterr().err


def test_the_command_line_needs_places_and_reports_errors_in_a_line(tmp_path, splits, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "--train and --out are needed" in capsys.readouterr().err
    places = ["--out", str(tmp_path / "m"), "--train"]
    assert main([*places, str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("gpt2news.finetune: ")
    assert main([*places, str(splits), "--backbone", "models/nowhere"]) == 2
    assert "no folder with a config.json" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--gradient-checkpointing" in capsys.readouterr().out
