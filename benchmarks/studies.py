"""Studies that train the model again and again: repeated folds, ablation, learning curve.

Each training is one record in `reports/<name>/studies/<study>.json`, written when it ends: stop whenever you like, the same
command goes on. Chapter 04 reads what is there.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from sklearn.metrics import f1_score, log_loss

from gpt2news import finetune
from gpt2news.run import sha256_of
from gpt2news.evaluate.calibration import calibration_error, fit_temperature, probabilities_of
from plans import (
    EPOCHS,
    MAX_LENGTH,
    StudyError,
    Unit,
    ablation_units,
    curve_units,
    fold_units,
    settings_of,
)
from gpt2news.evaluate.scoring import baseline
from gpt2news.run import Run
from gpt2news.split import PARTS, read_split

STUDIES = ("folds", "ablation", "curve")


def train_and_score(unit: Unit, settings: dict) -> dict:
    """Train one unit in a temporary folder; returns its record."""
    options = {
        key: value
        for key, value in settings.items()
        if key not in ("weights", "min_steps", "folds")
    } | unit.options
    train, test = unit.parts["train"], unit.parts["test"]
    if options.get("epochs") == settings["epochs"]:
        options["epochs"] = max(
            settings["epochs"], -(-settings["min_steps"] // -(-len(train) // options["batch_size"]))
        )
    if unknown := set(test["topic"]) - set(train["topic"]):
        raise StudyError(
            f"{unit.name}: no training text of {', '.join(sorted(unknown))}; more texts of it are needed, or fewer folds"
        )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gpt2news-") as folder:
        for part, frame in unit.parts.items():
            frame.to_csv(Path(folder, f"{part}.csv"), index=False, quoting=csv.QUOTE_ALL)
        finetune.finetune(Path(folder), Path(folder, "model"), **options, say=lambda line: None)
        model = finetune.Classifier(Path(folder, "model"))
        logits = {part: model.logits(unit.parts[part]["text"].tolist()) for part in ("val", "test")}
    topics, labels = model.topics, np.arange(len(model.topics))
    truth = {
        part: np.array([topics.index(topic) for topic in unit.parts[part]["topic"]])
        for part in logits
    }
    raw = probabilities_of(logits["test"], 1.0)
    guess = raw.argmax(axis=1)
    record = {
        **unit.facts,
        **{key: options[key] for key in ("max_length", "epochs", "batch_size", "learning_rate")},
        "train": len(train),
        "n": len(test),
        "right": int((guess == truth["test"]).sum()),
        "accuracy": float((guess == truth["test"]).mean()),
        "macro_f1": float(
            f1_score(truth["test"], guess, labels=labels, average="macro", zero_division=0)
        ),
        "log_loss": float(log_loss(truth["test"], raw, labels=labels)),
    }
    if unit.rival:
        says = baseline(train["text"].tolist(), train["topic"].tolist()).predict(
            test["text"].tolist()
        )
        record["baseline"] = float((says == test["topic"].to_numpy()).mean())
    if unit.answers:
        temperature = fit_temperature(logits["val"], truth["val"])
        calm = probabilities_of(logits["test"], temperature)
        record |= {
            "temperature": temperature,
            "ece_before": calibration_error(truth["test"], raw),
            "ece": calibration_error(truth["test"], calm),
        }
        record["topics"] = topics
        record["answers"] = {
            i: [round(float(p), 4) for p in row]
            for i, row in zip(test["source_id"], calm, strict=True)
        }
    return {**record, "seconds": round(time.monotonic() - began, 1)}


def load(run: Run, study: str) -> dict | None:
    """What `studies/<study>.json` holds (study, settings, data, wanted, units), or None."""
    path = run.path("studies", f"{study}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def run_study(
    run: Run, study: str, *, folds: int = 5, seeds: int = 3, rows: tuple[str, ...] = (), max_length: int = MAX_LENGTH, epochs: int = EPOCHS,
    fresh: bool = False, say: Callable[[str], None] = print, train: Callable[[Unit, dict], dict] = train_and_score,
) -> dict:  # fmt: skip
    """Run what is still missing of one study of a run, one record after the other; returns what `load` gives.

    Args:
        run: chapters 02 and 03 have run; its texts, its split and its model's settings are used.
        study: `folds`, `ablation` or `curve`.
        folds: parts of the cross-validation.
        seeds: trainings with seeds 0, 1, …
        rows: rows of the ablation, see `parse_row`; the whole table when empty.
        max_length: tokens read of a text.
        epochs: passes over the training texts; more where a small training part would get fewer than `MIN_STEPS` steps.
        fresh: forget the records that are there.
        say: called with a line a training.
        train: trains one unit.

    Raises:
        StudyError: unknown study or row; records with other settings or data are there; the same study is going on.
        FileNotFoundError: an earlier chapter has not run.
    """
    if study not in STUDIES:
        raise StudyError(f"no study {study!r}; there are {', '.join(STUDIES)}")
    if not (folds >= 2 and seeds >= 1 and max_length >= 1 and epochs >= 1):
        raise StudyError(
            f"folds {folds}, seeds {seeds}, max_length {max_length}, epochs {epochs}: whole numbers over 0 are needed, 2 folds or more"
        )
    parts = read_split(run.path("splits"))
    settings = settings_of(run, max_length, epochs) | ({"folds": folds} if study == "folds" else {})
    planned = {
        "folds": lambda: fold_units(parts, folds, seeds),
        "ablation": lambda: ablation_units(parts, settings, rows, seeds),
        "curve": lambda: curve_units(parts, seeds),
    }  # fmt: skip
    units = list(planned[study]())
    data = {part: sha256_of(run.path("splits", f"{part}.csv")) for part in PARTS}
    try:
        with FileLock(run.path(f".{study}.lock"), timeout=0):
            return _run_units(
                run,
                study,
                units,
                {"study": study, "settings": settings, "data": data},
                fresh,
                say,
                train,
            )
    except Timeout:
        raise StudyError(
            f"{study} of reports/{run.name} is being run by another process; wait for it"
        ) from None


def _run_units(
    run: Run, study: str, units: list[Unit], head: dict, fresh: bool, say, train
) -> dict:
    known = None if fresh else load(run, study)
    if known and (known["settings"], known["data"]) != (head["settings"], head["data"]):
        other = [
            f"{key} {known['settings'].get(key)!r}, now {value!r}"
            for key, value in head["settings"].items()
            if known["settings"].get(key) != value
        ]
        raise StudyError(
            f"reports/{run.name}/studies/{study}.json has {len(known['units'])} trainings with other {'; '.join(other) or 'texts'}. "
            "Ask for the same settings again, or start afresh with --fresh."
        )
    done = dict(known["units"]) if known else {}
    todo = [unit for unit in units if unit.name not in done]
    wanted = list(dict.fromkeys([*(known or {}).get("wanted", []), *(unit.name for unit in units)]))
    size = f"{head['settings']['max_length']} tokens, {head['settings']['epochs']} epochs"
    say(f"{study}: {len(units)} trainings of {size}, {len(units) - len(todo)} of them done")
    spent = []
    for number, unit in enumerate(todo, len(units) - len(todo) + 1):
        done[unit.name] = record = train(unit, head["settings"])
        run.write_json(f"studies/{study}.json", {**head, "wanted": wanted, "units": done})
        spent.append(record["seconds"])
        left = np.mean(spent) * (len(units) - number)
        said = f"accuracy {record['accuracy']:.3f}" + (
            f", baseline {record['baseline']:.3f}" if "baseline" in record else ""
        )
        say(
            f"[{number}/{len(units)}] {unit.name}: {said}; {record['seconds']:.0f} s, about {left / 60:.0f} min left"
        )
    return {**head, "wanted": wanted, "units": done}
