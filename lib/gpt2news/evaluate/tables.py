"""What the records of the studies say, whole or so far."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats


def spread(values: pd.Series | np.ndarray) -> dict[str, float | int]:
    """`mean`, `sd` (of single runs; None for one), `low` and `high` (the worst and the best), `runs`."""
    values = np.asarray(values, dtype=float)
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return {
        "mean": float(values.mean()),
        "sd": sd,
        "low": float(values.min()),
        "high": float(values.max()),
        "runs": len(values),
    }


def corrected_difference(differences: np.ndarray, train: float, test: float) -> dict[str, float]:
    """Mean difference over repeated folds with its 95 % interval and p: Nadeau and Bengio, Machine Learning 52, 2003.

    The runs share most of their training texts, so the plain t-test would be far too sure; the variance is multiplied by
    1/k + test/train instead of 1/k.

    Args:
        differences: (k,) model minus rival, a run each; k of at least 2.
        train: texts that a run learns from.
        test: texts that it is scored on.
    """
    k = len(differences)
    mean, scale = (
        float(differences.mean()),
        float(np.sqrt((1 / k + test / train) * differences.var(ddof=1))),
    )
    if scale == 0:
        return {"value": mean, "low": mean, "high": mean, "p": float(mean == 0)}
    low, high = stats.t.interval(0.95, k - 1, mean, scale)
    return {
        "value": mean,
        "low": float(low),
        "high": float(high),
        "p": float(2 * stats.t.sf(abs(mean) / scale, k - 1)),
    }


def _head(study: dict) -> dict:
    known = {key: study["settings"][key] for key in ("max_length", "epochs")}
    return {"runs": len(study["units"]), "wanted": len(study["wanted"]), **known}


def folds_summary(study: dict) -> dict:
    """The `folds` study: `accuracy`, `baseline` (see `spread`), their `difference` and `verdict`, `ece` before and after temperature."""
    runs = pd.DataFrame(
        [{k: v for k, v in unit.items() if k != "answers"} for unit in study["units"].values()]
    )
    summary = {
        **_head(study),
        "folds": study["settings"]["folds"],
        "seeds": int(runs["seed"].nunique()),
    }
    summary |= {
        key: spread(runs[key]) for key in ("accuracy", "baseline", "macro_f1", "ece_before", "ece")
    }
    if len(runs) > 1:
        differences = (runs["accuracy"] - runs["baseline"]).to_numpy()
        d = summary["difference"] = corrected_difference(
            differences, runs["train"].mean(), runs["n"].mean()
        )
        side = (
            "no difference that they can prove"
            if d["low"] <= 0 <= d["high"]
            else "ahead"
            if d["value"] > 0
            else "behind"
        )
        summary["verdict"] = (
            f"Over {len(runs)} folds ({summary['max_length']} tokens, epochs {summary['epochs']}), fine-tuned model against rival: "
            f"{side}, {100 * d['value']:+.1f} points ({100 * d['low']:+.1f} to {100 * d['high']:+.1f})."
        )
    return summary


def ablation_table(study: dict, command: str) -> pd.DataFrame:
    """One line a row: `row`, `reads`, `tokens`, `runs`, `accuracy` (mean), `sd`, `low`, `high`, `log_loss`, `seconds`, `again`.

    Args:
        command: what runs rows, to which the row's name is added.
    """
    runs = pd.DataFrame(list(study["units"].values()))
    lines = []
    for row, some in runs.groupby("row", sort=False):
        accuracy = spread(some["accuracy"])
        lines.append({
            "row": row,
            "reads": reading(row),
            "tokens": int(some["max_length"].iloc[0]),
            "runs": accuracy["runs"],
            "accuracy": accuracy["mean"],
            "sd": accuracy["sd"],
            "low": accuracy["low"],
            "high": accuracy["high"],
            "log_loss": float(some["log_loss"].mean()),
            "seconds": float(some["seconds"].mean()),
            "again": f"{command} {row}",
        })  # fmt: skip
    return pd.DataFrame(lines)


HEADS = {
    "last": "last real token",
    "mean": "mean of all tokens",
    "first": "first token",
    "left": "last position, padded on the left",
    "flat": "all positions flattened, padded on the left",
}


def reading(row: str) -> str:
    """A row's name in words."""
    if row == "article":
        return "what the article did: flattened, pairs of texts, one epoch, rate 0.00001 (chosen for 124 M parameters)"
    extra = {"scratch": ", from scratch", "frozen": ", backbone frozen"}.get(
        row.partition("+")[2], ""
    )
    return HEADS[row.partition("@")[0]] + extra


def curve_table(study: dict) -> pd.DataFrame:
    """Accuracy against training texts: `texts`, `runs`, `epochs`, and `model`, `model_sd`, `baseline`, `baseline_sd` over the seeds."""
    runs = pd.DataFrame(list(study["units"].values()))
    lines = []
    for texts, some in runs.groupby("texts"):
        model, rival = spread(some["accuracy"]), spread(some["baseline"])
        lines.append({
            "texts": int(texts), "runs": model["runs"], "epochs": int(some["epochs"].iloc[0]), "model": model["mean"],
            "model_sd": model["sd"], "baseline": rival["mean"], "baseline_sd": rival["sd"],
        })  # fmt: skip
    return pd.DataFrame(lines)


def status(study: dict | None, command: str) -> str:
    """How far a study is, in Markdown, and the command that starts or finishes it."""
    if not study:
        return f"*Not measured in this run.* `{command}` measures it."
    done, wanted = len(study["units"]), len(study["wanted"])
    size = f"{study['settings']['max_length']} tokens, {study['settings']['epochs']} epochs"
    minutes = sum(unit["seconds"] for unit in study["units"].values()) / 60
    text = f"{done} of {wanted} trainings ({size} where nothing else is said), {minutes:.0f} minutes in all."
    return text if done == wanted else f"{text} **Not complete**: `{command}` goes on."
