"""The script that made the shipped backbone."""

import json
import subprocess
import sys

from gpt2news.run import ROOT


def test_pretraining_stops_and_goes_on(tmp_path):
    """On a few lines of text: cut in two it sees the same steps."""
    text = tmp_path / "text.txt"
    lines = (f"line {i} of a small text about nothing in particular\n" for i in range(5000))
    text.write_text("".join(lines))
    script = str(ROOT / "tools" / "pretrain_gpt2_mini.py")
    sizes = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "context": 16, "batch": 2}
    shape = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    places = ["--text", str(text), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    command = [sys.executable, script, *places, *shape, "--every", "2", "--steps", "6"]

    def run(*more: str) -> str:
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "stopped at step 1; run the same command to go on" in run("--minutes", "0.0001")
    assert "going on at step 1 of 6" in run()
    facts = json.loads((tmp_path / "out" / "pretraining.json").read_text())
    assert facts["tokens_seen"] == 6 * 2 * 16
    assert (tmp_path / "out" / "model.safetensors").exists()
