"""The script that made the shipped backbone, on a few lines of text."""

import json
import subprocess
import sys

from gpt2news.run import ROOT

SHAPE = "--layers 1 --width 16 --heads 2 --vocab 300 --context 16 --batch 2 --every 2 --steps 6"


def test_pretraining_stops_and_goes_on(tmp_path):
    """Cut in two it sees the same steps."""
    text = tmp_path / "text.txt"
    lines = [f"line {i} of a small text about nothing in particular\n" for i in range(5000)]
    text.write_text("".join(lines))
    script = str(ROOT / "tools" / "pretrain_gpt2_mini.py")
    places = ["--text", str(text), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    command = [sys.executable, script, *places, *SHAPE.split()]
    asked = {"capture_output": True, "text": True, "check": True}
    first = subprocess.run([*command, "--minutes", "0.0001"], **asked)
    assert "stopped at step 1; run the same command to go on" in first.stdout
    second = subprocess.run(command, **asked)
    assert "going on at step 1 of 6" in second.stdout
    facts = json.loads((tmp_path / "out" / "pretraining.json").read_text())
    assert facts["tokens_seen"] == 6 * 2 * 16
    assert (tmp_path / "out" / "model.safetensors").exists()
