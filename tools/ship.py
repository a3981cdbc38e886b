"""Copy the model of a `bbc` report to `models/gpt2-mini-bbc/`, ready to serve; refuses one that scores below the shipped one.

python tools/ship.py            (or: make ship)
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from gpt2news.deploy import INT8
from gpt2news.run import Run, atomic
from newsserve.predictor import MANIFEST

OUT = Path(__file__).parent / "gpt2-mini-bbc"

CARD = """---
license: other
language: en
pipeline_tag: text-classification
tags: [gpt2, onnx, news]
---
# gpt2-mini-bbc: sorts news into {n} topics, ready to serve

Made by `make report PROFILE=bbc` and `make ship` from [gpt2-mini](../gpt2-mini), fine-tuned on BBC News; int8 ONNX,
{size:.1f} MB, no torch needed.

| | |
|---|---|
| topics | {topics} |
| reads | the first {max_length} tokens of a text |
| data | {rows:,} BBC News articles of 2004 and 2005, {unique:,} after duplicates were taken out; {train:,} for training |
| test accuracy | {acc:.3f} (95 % interval {low:.3f} to {high:.3f}, n = {test}, leak-free split, seed {seed}), measured in torch |
| int8 against torch | same topic for {same:.1%} of the test texts, accuracy {drop:+.1f} points |
| beside it | {baseline}: {base:.3f} ({blow:.3f} to {bhigh:.3f}) on the same rows |
| calibration | temperature {temperature:.2f}, expected calibration error {ece:.3f} on test |
| "not sure" | below a probability of {threshold:.2f}; {answered:.1%} of the test texts are answered |

**{verdict}**

For English news of this kind and for learning. Other text gets one of the {n} topics too, often with confidence; other
years have other names in them. Not for decisions about people. The articles are the BBC's and may be used for
non-commercial research; the weights were fitted to them, so the same holds for these weights.
"""


def main() -> int:
    run = Run("bbc")
    folder = run.needs("onnx", MANIFEST, chapter="05_deploy").parent
    m = run.metrics
    if m["dataset"]["name"] != "bbc" or m["split"]["leaked_exact"] + m["split"]["leaked_near"]:
        print(
            "ship: reports/bbc is not a leak-free run on bbc; make report PROFILE=bbc",
            file=sys.stderr,
        )
        return 2
    shipped = (
        json.loads((OUT / "metrics.json").read_text()) if (OUT / "metrics.json").exists() else None
    )
    score = m["test"]["accuracy"]["value"]
    if shipped and score < shipped["test"]["accuracy"]["value"]:
        print(
            f"ship: test accuracy {score:.3f} is below the shipped model's {shipped['test']['accuracy']['value']:.3f}; kept",
            file=sys.stderr,
        )
        return 1
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = {name: manifest["sha256"][name] for name in (INT8, "tokenizer.json")}
    test, rival, deploy = m["test"], m["baseline"], m["deploy"]
    with atomic(OUT) as part:
        part.mkdir()
        for name in manifest["sha256"]:
            shutil.copy(folder / name, part / name)
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        facts = {
            section: m[section]
            for section in (
                "dataset",
                "split",
                "model",
                "test",
                "baseline",
                "mcnemar_p",
                "verdict",
                "deploy",
            )
        }
        (part / "metrics.json").write_text(json.dumps(facts, indent=1) + "\n")
        card = CARD.format(
            n=len(manifest["topics"]), topics=", ".join(manifest["topics"]), size=deploy["size_mb"], max_length=manifest["max_length"],
            rows=m["dataset"]["rows"], unique=m["dataset"]["unique"], train=m["split"]["train"], test=m["split"]["test"],
            seed=m["split"]["seed"], acc=score, low=test["accuracy"]["low"], high=test["accuracy"]["high"], same=deploy["same_answer"],
            drop=-100 * deploy["accuracy_drop"] + 0.0,
            baseline=rival["name"], base=rival["accuracy"]["value"], blow=rival["accuracy"]["low"],
            bhigh=rival["accuracy"]["high"], temperature=manifest["temperature"], ece=test["ece"], threshold=manifest["threshold"],
            answered=test["answered"], verdict=m["verdict"],
        )  # fmt: skip
        (part / "README.md").write_text(card, encoding="utf-8")
    print(f"ship: {OUT.name} made from reports/bbc, test accuracy {score:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
