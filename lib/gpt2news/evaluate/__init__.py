"""Chapter 04: how good is it, how sure can we be of that, and what would a simple model have done?"""

from gpt2news.evaluate.calibration import (
    calibration_error,
    choose_threshold,
    coverage,
    fit_temperature,
    probabilities_of,
    reliability,
)
from gpt2news.evaluate.errors import confident_mistakes
from gpt2news.evaluate.scoring import (
    BASELINE,
    baseline,
    bootstrap,
    log_loss_interval,
    mcnemar_p,
    predictions,
    scores,
    verdict,
    wilson,
)

__all__ = [
    "BASELINE",
    "baseline",
    "bootstrap",
    "calibration_error",
    "choose_threshold",
    "confident_mistakes",
    "coverage",
    "fit_temperature",
    "log_loss_interval",
    "mcnemar_p",
    "predictions",
    "probabilities_of",
    "reliability",
    "scores",
    "verdict",
    "wilson",
]
