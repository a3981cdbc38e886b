"""The headline figures of a run as a Markdown table, for the summary of a workflow's job:

python tools/summary.py reports/quick >> "$GITHUB_STEP_SUMMARY"
"""

import json
import sys
from pathlib import Path


def interval(score: dict) -> str:
    """`0.900 (0.786 to 0.957)`."""
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def summary(folder: Path) -> str:
    """What is known of a run; a chapter that has not run leaves its rows out."""
    file = folder / "metrics.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rows = {}
    if "dataset" in found:
        rows["corpus"] = f"{found['dataset']['name']}, {found['dataset']['unique']:,} texts"
    if "model" in found:
        rows["model"] = f"{found['model']['name']}, {found['model']['parameters'] / 1e6:.1f} M"
    if "test" in found:
        rows["accuracy on test"] = interval(found["test"]["accuracy"])
    if "baseline" in found:
        rows["linear model, same texts"] = interval(found["baseline"]["accuracy"])
    if "deploy" in found:
        rows["int8 model"] = f"{found['deploy']['size_mb']:.1f} MB"
    if not rows:
        return f"### {folder.name}\n\nNo chapter has left a figure.\n"
    lines = [f"### {folder.name}", "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())]) + "\n"


if __name__ == "__main__":
    print(summary(Path(sys.argv[1])))
