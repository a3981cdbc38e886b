"""Copy the model of the report `bbc` to models/gpt2-mini-bbc, ready to serve.

`python tools/ship.py` (or `make ship`); a model that scores below the shipped one is refused.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from gpt2news.deploy import INT8
from gpt2news.run import ROOT, Run, atomic
from newsreport.pages import card, read_json
from newsserve.predictor import MANIFEST

OUT = ROOT / "models" / "gpt2-mini-bbc"
# What the card shows, and what the app says about its model.
KEPT = ("dataset", "split", "model", "test", "baseline", "mcnemar_p", "verdict", "deploy")


def refusal(metrics: dict, shipped: dict) -> str:
    """Why a model with these metrics is not shipped in place of the present one; "" when it is."""
    split, score = metrics["split"], metrics["test"]["accuracy"]["value"]
    if metrics["dataset"]["name"] != "bbc" or split["leaked_exact"] + split["leaked_near"]:
        return "reports/bbc is not a leak-free run on bbc; make report PROFILE=bbc"
    best = shipped["test"]["accuracy"]["value"] if shipped else 0.0
    if score < best:
        return f"test accuracy {score:.3f} is below the shipped model's {best:.3f}; kept"
    return ""


def ship(source: Path, metrics: dict, out: Path = OUT) -> None:
    """Put the int8 model of the folder `source`, its figures and its card into `out`."""
    manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    files = (INT8, "tokenizer.json")
    manifest["sha256"] = {name: manifest["sha256"][name] for name in files}
    kept = {section: metrics[section] for section in KEPT}
    with atomic(out) as part:
        part.mkdir()
        for name in files:
            shutil.copy(source / name, part / name)
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        (part / "metrics.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        (part / "README.md").write_text(card(kept, "onnx"), encoding="utf-8")


def main() -> int:
    """Ship the model of reports/bbc; returns the exit code."""
    run = Run("bbc")
    source = run.path("onnx")
    if not (source / MANIFEST).exists():
        print(
            f"ship: {source / MANIFEST} is not there: run chapter 05_deploy first", file=sys.stderr
        )
        return 1
    reason = refusal(run.metrics, read_json(OUT / "metrics.json"))
    if reason:
        print(f"ship: {reason}", file=sys.stderr)
        return 1
    ship(source, run.metrics)
    print(f"ship: {OUT.name} made from reports/bbc")
    return 0


if __name__ == "__main__":
    sys.exit(main())
