"""Chapter 04: how good is it, how sure can we be, and what would a simple model have done?"""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import softmax

from gpt2news import finetune
from gpt2news.run import Run, companion
from gpt2news.split import read_split

BASELINE = "TF-IDF + linear SVM"


def wilson(right: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval, `{"value", "low", "high"}`: Wilson, JASA 22, 1927."""
    low, high = stats.binomtest(int(right), int(n)).proportion_ci(0.95, method="wilson")
    return {"value": float(right / n), "low": float(low), "high": float(high)}


def probabilities_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(n, topics) softmax(logits / temperature) in double precision."""
    return softmax(logits.astype(np.float64) / temperature, axis=1)


def catch_up(report: Run) -> None:
    """Leave `calibration.json` as chapter 04 would, and what that needs, if it is missing."""
    finetune.catch_up(report)
    if report.path("calibration.json").exists():
        return
    print("04_evaluate has not run here: fitting its thresholds.")
    folder, parts = report.path("model"), read_split(report.path("splits"))
    target = report.settings("04_evaluate")["target_accuracy"]
    scores, kinds = (companion(name, "04_evaluate") for name in ("scores", "kinds"))
    fitted = scores.calibrate(finetune.Classifier(folder), parts["val"], target)
    kind = kinds.fit_folder(folder, parts["train"]).model_dump(mode="json")
    report.write_json("calibration.json", fitted | {"kind": kind})
