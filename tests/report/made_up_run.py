"""What a finished run records, with numbers that no run has."""

from gpt2news.run import CHAPTERS

INTERVAL = {"value": 0.9111, "low": 0.8222, "high": 0.9333}
SPREAD = {"mean": 0.9015, "sd": 0.0125, "low": 0.88, "high": 0.92, "runs": 15}
METRICS = {
    "profile": "made-up",
    "dataset": {
        "name": "mine/news.csv",
        "sha256": "0" * 64,
        "rows": 4321,
        "unique": 4210,
        "duplicates_removed": 111,
    },
    "split": {
        "train": 3368,
        "val": 421,
        "test": 421,
        "leaked_exact": 0,
        "leaked_near": 0,
        "seed": 0,
    },
    "model": {
        "name": "gpt2-mini",
        "parameters": 5_024_832,
        "max_length": 512,
        "pooling": "mean",
        "backbone": "models/gpt2-mini",
    },
    "test": {
        "n": 421,
        "accuracy": {"value": 0.9711, "low": 0.9512, "high": 0.9813},
        "macro_f1": {"value": 0.9614, "low": 0.9415, "high": 0.9716},
        "log_loss": 0.1117,
        "log_loss_interval": {"value": 0.1117, "low": 0.0818, "high": 0.1419},
        "ece": 0.0121,
        "ece_before": 0.0322,
        "temperature": 1.23,
        "threshold": 0.77,
        "answered": 0.934,
        "answered_accuracy": 0.985,
        "majority": 0.501,
        "per_topic": {
            "cats": {"precision": 0.97, "recall": 0.96, "f1": 0.95, "n": 211},
            "dogs": {"precision": 0.94, "recall": 0.93, "f1": 0.92, "n": 210},
        },
    },
    "baseline": {
        "name": "TF-IDF + linear SVM",
        "accuracy": {"value": 0.9617, "low": 0.9418, "high": 0.9719},
    },
    "mcnemar_p": 0.345,
    "ladder": [
        {"name": "the largest topic", "accuracy": INTERVAL, "milliseconds": 0.0},
        {"name": "a <b>frozen</b> model", "accuracy": INTERVAL, "milliseconds": 12.3},
    ],
    "verdict": "The fine-tuned model and the rival show no difference that n = 421 can prove.",
    "leaks": {"exact": 0, "near": 0, "named": []},
    "slices": [
        {"slice": "length", "group": "1 to 99 words", "n": 105, **INTERVAL, "small": False},
        {
            "slice": "length",
            "group": "100 to 200 words",
            "n": 5,
            "value": 0.2,
            "low": 0.1,
            "high": 0.5,
            "small": True,
        },
    ],
    "errors": {
        "n": 12,
        "pairs": [
            {
                "pair": "cats / dogs",
                "n": 421,
                "mixed_up": 12,
                "value": 0.0285,
                "low": 0.0164,
                "high": 0.0491,
            }
        ],
        "label_candidates": {"n": 37, "by": "linear", "named": ["a17", "b4"]},
    },
    "behaviour": {"invariance": {"all": {"n": 226, **INTERVAL}, "case": {"n": 50, **INTERVAL}}},
    "off_topic": {
        "n": 48,
        "not_sure": {"value": 0.416, "low": 0.29, "high": 0.56},
        "not_answered": {"n": 48, "value": 0.916, "low": 0.8, "high": 0.97},
        "groups": {"noise": {"n": 8, **INTERVAL}, "off-topic": {"n": 40, **INTERVAL}},
        "refused": {"test": {"n": 206, "value": 0.005, "low": 0.0, "high": 0.02}},
        "by_kind": {"recipe": {"n": 8, **INTERVAL}},
    },
    "attribution": {
        "n": 20,
        "share": 0.2,
        "strongest": {"value": 0.79, "low": 0.66, "high": 0.91},
        "random": {"value": 0.013, "low": 0.0, "high": 0.02},
        "strongest_falls_more": INTERVAL,
        "gap": 0.01,
    },
    "studies": {
        "folds": {
            "runs": 14,
            "wanted": 15,
            "max_length": 128,
            "epochs": 2,
            "folds": 5,
            "seeds": 3,
            "accuracy": SPREAD,
            "ece": SPREAD,
            "baseline": {**SPREAD, "mean": 0.9516, "sd": 0.0117},
            "macro_f1": SPREAD,
            "ece_before": SPREAD,
            "difference": {"value": -0.05, "low": -0.06, "high": -0.04, "p": 0.001},
            "verdict": "Over 14 folds: behind, -5.0 points.",
        },
        "ablation": [
            {
                "row": "last@128",
                "reads": "last real token",
                "tokens": 128,
                "runs": 1,
                "accuracy": 0.9,
                "sd": None,
                "low": 0.9,
                "high": 0.9,
                "log_loss": 0.3,
                "seconds": 30.0,
                "again": "gpt2news evaluate --ablation last@128",
            }
        ],
        "curve": None,
    },
    "examples": {
        "right": {"topic": "cats", "probability": 0.91, "words": [["Purring", 0.4], ["is", 0.01]]},
        "wrong": [
            {
                "text": "He barked.",
                "topic": "dogs",
                "predicted": "cats",
                "probability": 0.55,
                "answered": False,
            }
        ],
    },
    "deploy": {
        "size_mb": 5.46,
        "p50_ms": 43.1,
        "p95_ms": 87.9,
        "parity_max_abs_diff": 1e-5,
        "accuracy_drop": 0.0048,
        "same_answer": 0.9952,
    },
    "seconds": {"01_explore": 5.0},
}
RECORD = {
    "name": "made-up",
    "profile": "bbc",
    "command": "gpt2news report",
    "revision": "abc",
    "started": "2026",
    "machine": "one",
    "versions": {},
    "gates": ["test.accuracy.low >= 0.96", "test.ece <= 0.05"],
    "chapters": {chapter: {"status": "done", "seconds": 1.0} for chapter in CHAPTERS},
}
