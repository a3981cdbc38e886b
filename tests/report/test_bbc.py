"""The five real notebooks on BBC News, where it is there."""

import json
import re

from gpt2news import explore
from running import run_report


def test_bbc_short(bbc_data, tmp_path):
    """The real corpus with one short epoch: structure and honesty, not the score."""
    short = ("--set", "03_finetune.epochs=1", "--set", "03_finetune.max_length=64")
    folder = run_report(
        tmp_path, "--profile", "bbc", *short, codes=(0, 3)
    )  # its gates are for the whole training
    m = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert m["dataset"]["rows"] == 2225
    assert m["dataset"]["unique"] <= 2126
    assert m["split"]["leaked_exact"] == m["split"]["leaked_near"] == 0
    assert m["baseline"]["accuracy"]["value"] > 0.95
    quoted = re.compile(r"(?:\S+\s+){20,}\S+")
    texts = explore.load_corpus("bbc").sample(300, random_state=0)["text"]
    pages = " ".join(
        " ".join(page.read_text(encoding="utf-8").split()) for page in folder.glob("*.html")
    )
    for text in texts:
        for run_of_words in quoted.findall(text[:400])[:1]:
            words = run_of_words.split()
            assert " ".join(words[:21]) not in pages
