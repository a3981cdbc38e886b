"""Chapter 04: how good is it, how sure can we be, and what would a simple model have done?"""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import softmax

BASELINE = "TF-IDF + linear SVM"


def wilson(right: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval, `{"value", "low", "high"}`: Wilson, JASA 22, 1927."""
    low, high = stats.binomtest(int(right), int(n)).proportion_ci(0.95, method="wilson")
    return {"value": float(right / n), "low": float(low), "high": float(high)}


def probabilities_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(n, topics) softmax(logits / temperature) in double precision."""
    return softmax(logits.astype(np.float64) / temperature, axis=1)
