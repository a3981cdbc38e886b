"""Copy the model of the report `bbc` to models/gpt2-mini-bbc, ready to serve.

`python tools/ship.py` (or `make ship`), after `make results RUNS=bbc`: the model whose figures are
published is the one that is shipped, whatever an earlier one scored. Its card is made of its
record, `metrics.json` beside it, which the tables of both READMEs show as well.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from gpt2news.deploy import INT8
from gpt2news.run import ROOT, Run, atomic, seal
from newsreport.pages import card, read_json
from newsserve.predictor import MANIFEST
from publish import PUBLISHED, SHIPPED

OUT = ROOT / "models" / SHIPPED


def refusal(manifest: dict, published: dict) -> str:
    """Why the model of this serving.json is not shipped; "" when it is."""
    if not manifest:
        return f"reports/bbc/onnx has no {MANIFEST}: run chapter 05_deploy first"
    if not published or published["run"].get("model") != manifest["sha256"]:
        return "this is not the model whose figures are published: make results RUNS=bbc first"
    metrics = published["metrics"]
    leaked = metrics["split"]["leaked_exact"] + metrics["split"]["leaked_near"]
    if metrics["dataset"]["name"] != "bbc" or leaked:
        return "what is published is not a leak-free run on bbc"
    return ""


def ship(source: Path, metrics: dict, out: Path = OUT) -> None:
    """Put the int8 model of the folder `source`, its figures and its card into `out`."""
    manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    files = (INT8, "tokenizer.json")
    manifest["sha256"] = {name: manifest["sha256"][name] for name in files}
    with atomic(out) as part:
        part.mkdir()
        for name in files:
            shutil.copy(source / name, part / name)
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        (part / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        (part / "README.md").write_text(card(metrics, "onnx"), encoding="utf-8")
        seal(part)


def main() -> int:
    """Ship the model of reports/bbc; returns the exit code."""
    source = Run("bbc").path("onnx")
    published = read_json(PUBLISHED / "bbc.json")
    reason = refusal(read_json(source / MANIFEST), published)
    if reason:
        print(f"ship: {reason}", file=sys.stderr)
        return 1
    ship(source, published["metrics"])
    print(f"ship: {OUT.name} made from reports/bbc")
    return 0


if __name__ == "__main__":
    sys.exit(main())
