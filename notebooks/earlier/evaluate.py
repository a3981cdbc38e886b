"""Chapter 04's part: temperature, threshold, and which kind of text the model knows."""

from __future__ import annotations

from earlier import finetune, settings
from gpt2news.finetune import Classifier
from gpt2news.run import Run, companion
from gpt2news.split import read_split


def catch_up(report: Run) -> None:
    """Leave `calibration.json` as chapter 04 would, and what that needs, if it is missing."""
    finetune.catch_up(report)
    if report.path("calibration.json").exists():
        return
    print("04_evaluate has not run here: fitting its thresholds.")
    folder, parts = report.path("model"), read_split(report.path("splits"))
    target = settings(report, "04_evaluate")["target_accuracy"]
    scores, kinds = (companion(name, "04_evaluate") for name in ("scores", "kinds"))
    fitted = scores.calibrate(Classifier(folder), parts["val"], target)
    kind = kinds.fit_folder(folder, parts["train"]).model_dump(mode="json")
    report.write_json("calibration.json", fitted | {"kind": kind})
