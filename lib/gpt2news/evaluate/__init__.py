"""Chapter 04: how good is it, how sure can we be, and what would a simple model have done?"""

# ruff: noqa: F401
import numpy as np

from gpt2news import finetune
from gpt2news.evaluate.scores import (
    BASELINE,
    baseline,
    bootstrap,
    calibration_error,
    choose_threshold,
    fit_temperature,
    log_loss,
    probabilities_of,
    scores,
    wilson,
)
from gpt2news.run import Run
from gpt2news.split import read_split


def catch_up(report: Run) -> None:
    """Leave `calibration.json` as chapter 04 would have, if it is missing, and what that needs.

    Chapter 05 reads it; the scores of the test stay chapter 04's.
    """
    finetune.catch_up(report)
    if report.path("calibration.json").exists():
        return
    print("04_evaluate has not run here: fitting temperature and threshold on validation.")
    model = finetune.Classifier(report.path("model"))
    val = read_split(report.path("splits"))["val"]
    truth = np.array([model.topics.index(topic) for topic in val["topic"]])
    logits = model.logits(val["text"].tolist())
    temperature = fit_temperature(logits, truth)
    target = report.settings("04_evaluate")["target_accuracy"]
    threshold = choose_threshold(truth, probabilities_of(logits, temperature), target)
    calibration = {"temperature": temperature, "threshold": threshold, "fitted_on": "val"}
    report.write_json("calibration.json", calibration)
