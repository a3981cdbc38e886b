"""Studies that train a run's model again and again: repeated folds, ablation, learning curve.

    python benchmarks/studies.py --run bbc --folds 5 --seeds 3
    python benchmarks/studies.py --run bbc --ablation last@128 mean@256+scratch
    python benchmarks/studies.py --run bbc --curve

All three when none is named. The run must have made chapters 01 to 03: its texts, its split and its
model's settings are used, on shorter texts and for fewer epochs. Each training is one record in
`reports/<run>/studies/<study>.json`, written when it ends: stop whenever you like, the same command
goes on. At the end `studies/summary.json` and figures beside it say what has been found; chapter 04
shows them.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from scipy import stats
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from gpt2news import evaluate, finetune, show
from gpt2news.finetune.model import read_config
from gpt2news.run import Run, atomic, companion, sha256_of
from gpt2news.split import PARTS, duplicate_groups, read_split
from rival import baseline

scoring = companion("scores", "04_evaluate")
STUDIES = ("folds", "ablation", "curve")
MAX_LENGTH, EPOCHS, MIN_STEPS = 128, 2, 100
SIZES = (50, 100, 200, 400, 800)
# Only the new layer learns: at the rate of the whole model it would get nowhere in two epochs.
FROZEN_RATE = 10
READS = {"last": "last real token", "mean": "mean of all tokens", "first": "first token"}
EXTRAS = {"": "", "+scratch": ", from scratch", "+frozen": ", backbone frozen"}


class StudyError(ValueError):
    """A study that cannot be run as asked; the message says the way out."""


@dataclass(frozen=True)
class Unit:
    """One training.

    Attributes:
        name: of its record.
        facts: what the record begins with, such as fold and seed.
        parts: `train` teaches, `val` is watched, `test` is scored once.
        options: settings that differ from those of the study.
        rival: is the linear model trained and scored too?
        calibrated: is a temperature fitted on `val`?
    """

    name: str
    facts: dict
    parts: dict[str, pd.DataFrame]
    options: dict = field(default_factory=dict)
    rival: bool = False
    calibrated: bool = False


# --- what is trained on what ---------------------------------------------------------------------


def settings_of(run: Run, max_length: int = MAX_LENGTH, epochs: int = EPOCHS) -> dict:
    """What every training of a study has in common: the run's own model, shorter and quicker.

    Raises:
        FileNotFoundError: chapter 03 has not run.
    """
    file = run.path("model", "training.json")
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there: run chapter 03_finetune first")
    training = json.loads(file.read_text(encoding="utf-8"))
    kept = ("backbone", "from_scratch", "pooling", "batch_size", "learning_rate")
    weights = Path(finetune.locate_backbone(training["backbone"])[0], "model.safetensors")
    return {
        **{key: training[key] for key in kept},
        "weights": sha256_of(weights) if weights.exists() else "from the hub",
        "normalise": run.metrics.get("dataset", {}).get("name") == "bbc-csv",
        "max_length": min(max_length, training["max_length"]),
        "epochs": epochs,
        "min_steps": MIN_STEPS,
    }


def fold_units(parts: dict[str, pd.DataFrame], folds: int = 5, seeds: int = 3) -> Iterator[Unit]:
    """Stratified cross-validation over all texts of the run, drawn anew for each seed.

    Duplicates stay together: none of a scored text is learnt.
    """
    texts = pd.concat([parts[part] for part in PARTS], ignore_index=True)
    groups = duplicate_groups(texts["text"].tolist())
    topics = texts["topic"].to_numpy()
    for seed in range(seeds):
        outer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for fold, (learn, score) in enumerate(outer.split(texts, topics, groups), 1):
            inner = StratifiedGroupKFold(8, shuffle=True, random_state=seed)
            train, val = next(inner.split(learn, topics[learn], groups[learn]))
            frames = {
                "train": texts.loc[learn[train]],
                "val": texts.loc[learn[val]],
                "test": texts.loc[score],
            }
            facts = {"fold": fold, "seed": seed}
            name = f"fold {fold}, seed {seed}"
            yield Unit(name, facts, frames, {"seed": seed}, rival=True, calibrated=True)


def parse_row(row: str, blocks: int, rate: float) -> dict:
    """The settings behind a row's name, `pooling@tokens` with `+scratch` or `+frozen` behind it.

    Args:
        blocks: that the backbone has.
        rate: learning rate of the whole model.

    Raises:
        StudyError: another form.
    """
    match = re.fullmatch(r"(last|mean|first)@(\d+)(\+scratch|\+frozen)?", row)
    if not match:
        raise StudyError(
            f"ablation row {row!r}: write pooling@tokens (last, mean or first), say last@128, "
            "mean@256+scratch or mean@128+frozen"
        )
    options = {"pooling": match[1], "max_length": int(match[2])}
    if match[3] == "+scratch":
        options["from_scratch"] = True
    elif match[3] == "+frozen":
        options |= {"freeze": blocks, "learning_rate": FROZEN_RATE * rate}
    return options


def reading(row: str) -> str:
    """A row's name in words."""
    pooling, _, rest = row.partition("@")
    extra = EXTRAS.get(rest.lstrip("0123456789"), "")
    return READS.get(pooling, row) + extra  # records of earlier versions have other rows too


def ablation_rows(settings: dict, longest: int) -> list[str]:
    """The whole table: what the head reads, how many tokens, pretraining, freezing."""
    base, n = settings["pooling"], settings["max_length"]
    heads = [f"{pooling}@{n}" for pooling in dict.fromkeys([base, *READS])]
    lengths = [f"{base}@{m}" for m in (64, 128, 256, 512) if m != n and m <= longest]
    return [*heads, *lengths, f"{base}@{n}+scratch", f"{base}@{n}+frozen"]


def ablation_units(
    parts: dict[str, pd.DataFrame],
    settings: dict,
    config,
    rows: tuple[str, ...] = (),
    seeds: int = 3,
) -> Iterator[Unit]:
    """Each row with each seed, scored on validation: choices are made there, not on the test.

    Args:
        config: the model's, for its blocks and positions.
    """
    scored = {"train": parts["train"], "val": parts["val"], "test": parts["val"]}
    for row in rows or ablation_rows(settings, config.max_position_embeddings):
        options = parse_row(row, config.num_hidden_layers, settings["learning_rate"])
        for seed in range(seeds):
            facts = {"row": row, "seed": seed}
            yield Unit(f"{row}, seed {seed}", facts, scored, {**options, "seed": seed})


def nested_sample(train: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """`n` rows with the topics in proportion; a larger `n` of the same seed holds them all."""
    shuffled = train.sample(frac=1, random_state=seed)
    by_topic = shuffled.groupby("topic")["topic"]
    place = (by_topic.cumcount() + 0.5) / by_topic.transform("size")
    return shuffled.loc[place.sort_values(kind="stable").index[:n]]


def curve_units(parts: dict[str, pd.DataFrame], seeds: int = 3) -> Iterator[Unit]:
    """Model and rival after 50, 100, … and all training texts, scored on test.

    Sizes too small to show each topic twice are left out.
    """
    train, topics = parts["train"], parts["train"]["topic"].nunique()
    val = parts["val"].groupby("topic").head(5)
    for n in [*(size for size in SIZES if size < len(train)), len(train)]:
        for seed in range(seeds):
            sample = nested_sample(train, n, seed)
            counts = sample["topic"].value_counts()
            if len(counts) == topics and counts.min() > 1:
                frames = {"train": sample, "val": val, "test": parts["test"]}
                facts = {"texts": n, "seed": seed}
                yield Unit(f"{n} texts, seed {seed}", facts, frames, {"seed": seed}, rival=True)


# --- training, one record after the other --------------------------------------------------------


def recipe_of(unit: Unit, settings: dict) -> finetune.Recipe:
    """The recipe of one training; a small training part gets epochs enough for `MIN_STEPS`."""
    known = {key: settings[key] for key in settings if key not in ("weights", "min_steps", "folds")}
    options = known | unit.options
    steps = -(-len(unit.parts["train"]) // options["batch_size"])
    options["epochs"] = max(settings["epochs"], -(-settings["min_steps"] // steps))
    return finetune.Recipe(**options)


def train_and_score(unit: Unit, settings: dict) -> dict:
    """Train one unit in a temporary folder; returns its record."""
    train, test = unit.parts["train"], unit.parts["test"]
    if unknown := set(test["topic"]) - set(train["topic"]):
        raise StudyError(
            f"{unit.name}: no training text of {', '.join(sorted(unknown))}; "
            "more texts of it are needed, or fewer folds"
        )
    began = time.monotonic()
    recipe = recipe_of(unit, settings)
    with tempfile.TemporaryDirectory(prefix="gpt2news-") as folder:
        for part, frame in unit.parts.items():
            frame.to_csv(Path(folder, f"{part}.csv"), index=False, quoting=csv.QUOTE_ALL)
        out = Path(folder, "model")
        finetune.finetune(recipe, Path(folder), out, say=lambda line: None)
        model = finetune.Classifier(out)
        logits = {part: model.logits(unit.parts[part]["text"].tolist()) for part in ("val", "test")}
    topics = model.topics
    truth = {
        part: np.array([topics.index(topic) for topic in unit.parts[part]["topic"]])
        for part in logits
    }
    raw = evaluate.probabilities_of(logits["test"], 1.0)
    guess, labels = raw.argmax(axis=1), np.arange(len(topics))
    macro_f1 = f1_score(truth["test"], guess, labels=labels, average="macro", zero_division=0)
    shown = ("max_length", "epochs", "batch_size", "learning_rate")
    record = {
        **unit.facts,
        **{key: getattr(recipe, key) for key in shown},
        "train": len(train),
        "n": len(test),
        "right": int((guess == truth["test"]).sum()),
        "accuracy": float((guess == truth["test"]).mean()),
        "macro_f1": float(macro_f1),
        "log_loss": scoring.log_loss(truth["test"], raw),
    }
    if unit.rival:
        rival = baseline(train["text"].tolist(), train["topic"].tolist())
        says = rival.predict(test["text"].tolist())
        record["baseline"] = float((says == test["topic"].to_numpy()).mean())
    if unit.calibrated:
        temperature = scoring.fit_temperature(logits["val"], truth["val"])
        calm = evaluate.probabilities_of(logits["test"], temperature)
        record["temperature"] = temperature
        record["ece_before"] = scoring.calibration_error(truth["test"], raw)
        record["ece"] = scoring.calibration_error(truth["test"], calm)
    return {**record, "seconds": round(time.monotonic() - began, 1)}


def load(run: Run, study: str) -> dict | None:
    """What `studies/<study>.json` holds (study, settings, data, wanted, units), or None."""
    path = run.path("studies", f"{study}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def run_study(
    run: Run,
    study: str,
    *,
    folds: int = 5,
    seeds: int = 3,
    rows: tuple[str, ...] = (),
    max_length: int = MAX_LENGTH,
    epochs: int = EPOCHS,
    fresh: bool = False,
    say: Callable[[str], None] = print,
    train: Callable[[Unit, dict], dict] = train_and_score,
) -> dict:
    """Run what is still missing of one study of a run; returns what `load` gives.

    Args:
        run: chapters 02 and 03 have run.
        study: `folds`, `ablation` or `curve`.
        folds: parts of the cross-validation.
        seeds: trainings with seeds 0, 1, …
        rows: rows of the ablation, see `parse_row`; the whole table when empty.
        max_length: tokens read of a text.
        epochs: passes over the training texts; more where that would be under `MIN_STEPS` steps.
        fresh: forget the records that are there.
        say: called with a line a training.
        train: trains one unit.

    Raises:
        StudyError: unknown study or row; records with other settings or data are there; the same
            study is going on.
        FileNotFoundError: an earlier chapter has not run.
    """
    if study not in STUDIES:
        raise StudyError(f"no study {study!r}; there are {', '.join(STUDIES)}")
    if folds < 2 or min(seeds, max_length, epochs) < 1:
        raise StudyError(
            f"folds {folds}, seeds {seeds}, max_length {max_length}, epochs {epochs}: "
            "whole numbers over 0 are needed, 2 folds or more"
        )
    settings = settings_of(run, max_length, epochs)
    parts = read_split(run.path("splits"))
    if study == "folds":
        settings["folds"] = folds
        units = list(fold_units(parts, folds, seeds))
    elif study == "ablation":
        config = read_config(run.path("model"))
        units = list(ablation_units(parts, settings, config, rows, seeds))
    else:
        units = list(curve_units(parts, seeds))
    data = {part: sha256_of(run.path("splits", f"{part}.csv")) for part in PARTS}
    head = {"study": study, "settings": settings, "data": data}
    try:
        with FileLock(run.path(f".{study}.lock"), timeout=0):
            return _run_units(run, units, head, fresh, say, train)
    except Timeout:
        raise StudyError(
            f"{study} of reports/{run.name} is being run by another process; wait for it"
        ) from None


def _run_units(run: Run, units: list[Unit], head: dict, fresh: bool, say, train) -> dict:
    study, settings = head["study"], head["settings"]
    known = None if fresh else load(run, study)
    if known and (known["settings"], known["data"]) != (settings, head["data"]):
        other = [
            f"{key} {known['settings'].get(key)!r}, now {value!r}"
            for key, value in settings.items()
            if known["settings"].get(key) != value
        ]
        raise StudyError(
            f"reports/{run.name}/studies/{study}.json has {len(known['units'])} trainings with "
            f"other {'; '.join(other) or 'texts'}. Ask for the same settings again, or start "
            "afresh with --fresh."
        )
    done = dict(known["units"]) if known else {}
    todo = [unit for unit in units if unit.name not in done]
    wanted = [*(known["wanted"] if known else []), *(unit.name for unit in units)]
    content = {**head, "wanted": list(dict.fromkeys(wanted)), "units": done}
    ready = len(units) - len(todo)
    size = f"{settings['max_length']} tokens, {settings['epochs']} epochs"
    say(f"{study}: {len(units)} trainings of {size}, {ready} of them done")
    spent = []
    for number, unit in enumerate(todo, ready + 1):
        done[unit.name] = record = train(unit, settings)
        run.write_json(f"studies/{study}.json", content)
        spent.append(record["seconds"])
        minutes = np.mean(spent) * (len(units) - number) / 60
        said = f"accuracy {record['accuracy']:.3f}"
        if "baseline" in record:
            said += f", baseline {record['baseline']:.3f}"
        say(
            f"[{number}/{len(units)}] {unit.name}: {said}; {record['seconds']:.0f} s, "
            f"about {minutes:.0f} min left"
        )
    return content


# --- what the records say ------------------------------------------------------------------------


def spread(values: pd.Series) -> dict[str, float | int]:
    """`mean`, `sd` (of single runs; None for one), `low` and `high` (worst and best), `runs`."""
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "low": float(values.min()),
        "high": float(values.max()),
        "runs": len(values),
    }


def corrected_difference(differences: np.ndarray, train: float, test: float) -> dict[str, float]:
    """Mean difference over repeated folds with its 95 % interval and p.

    Nadeau and Bengio, Machine Learning 52, 2003: the runs share most of their training texts, so
    the plain t-test would be far too sure; the variance is multiplied by 1/k + test/train instead
    of 1/k.

    Args:
        differences: (k,) model minus rival, a run each; k of at least 2.
        train: texts that a run learns from.
        test: texts that it is scored on.
    """
    k = len(differences)
    mean = float(differences.mean())
    scale = float(np.sqrt((1 / k + test / train) * differences.var(ddof=1)))
    if scale == 0:
        return {"value": mean, "low": mean, "high": mean, "p": float(mean == 0)}
    low, high = stats.t.interval(0.95, k - 1, mean, scale)
    p = float(2 * stats.t.sf(abs(mean) / scale, k - 1))
    return {"value": mean, "low": float(low), "high": float(high), "p": p}


def runs_of(study: dict) -> pd.DataFrame:
    """The records of a study, a row each."""
    return pd.DataFrame(list(study["units"].values()))


def folds_summary(study: dict) -> dict:
    """`accuracy`, `baseline` (see `spread`), their `difference` and `verdict`, `ece` and more."""
    runs = runs_of(study)
    summary = {
        "runs": len(runs),
        "wanted": len(study["wanted"]),
        **{key: study["settings"][key] for key in ("max_length", "epochs", "folds")},
        "seeds": int(runs["seed"].nunique()),
    }
    for key in ("accuracy", "baseline", "macro_f1", "ece_before", "ece"):
        summary[key] = spread(runs[key])
    if len(runs) > 1:
        differences = (runs["accuracy"] - runs["baseline"]).to_numpy()
        d = corrected_difference(differences, runs["train"].mean(), runs["n"].mean())
        side = "ahead" if d["value"] > 0 else "behind"
        if d["low"] <= 0 <= d["high"]:
            side = "no difference that they can prove"
        summary["difference"] = d
        summary["verdict"] = (
            f"Over {len(runs)} folds ({summary['max_length']} tokens, epochs {summary['epochs']}), "
            f"fine-tuned model against rival: {side}, {100 * d['value']:+.1f} points "
            f"({100 * d['low']:+.1f} to {100 * d['high']:+.1f})."
        )
    return summary


def ablation_table(study: dict, command: str) -> pd.DataFrame:
    """One line a row of the ablation.

    Args:
        command: what runs rows, to which the row's name is added.

    Returns:
        Columns `row`, `reads`, `tokens`, `runs`, `accuracy` (mean), `sd`, `low`, `high`,
        `log_loss`, `seconds`, `again`.
    """
    lines = []
    for row, some in runs_of(study).groupby("row", sort=False):
        accuracy = spread(some["accuracy"])
        accuracy["accuracy"] = accuracy.pop("mean")
        lines.append({
            "row": row,
            "reads": reading(row),
            "tokens": int(some["max_length"].iloc[0]),
            **{key: accuracy[key] for key in ("runs", "accuracy", "sd", "low", "high")},
            "log_loss": float(some["log_loss"].mean()),
            "seconds": float(some["seconds"].mean()),
            "again": f"{command} {row}",
        })  # fmt: skip
    return pd.DataFrame(lines)


def curve_table(study: dict) -> pd.DataFrame:
    """Accuracy against training texts, mean and standard deviation over the seeds.

    Columns `texts`, `runs`, `epochs`, `model`, `model_sd`, `baseline`, `baseline_sd`.
    """
    lines = []
    for texts, some in runs_of(study).groupby("texts"):
        model, rival = spread(some["accuracy"]), spread(some["baseline"])
        lines.append({
            "texts": int(texts), "runs": model["runs"], "epochs": int(some["epochs"].iloc[0]),
            "model": model["mean"], "model_sd": model["sd"],
            "baseline": rival["mean"], "baseline_sd": rival["sd"],
        })  # fmt: skip
    return pd.DataFrame(lines)


def folds_figure(runs: pd.DataFrame) -> plt.Figure:
    """One dot a training, model above rival; a line joins two of a fold, the bar is the mean."""
    figure, axis = plt.subplots(figsize=(7.2, 2.2))
    shift = np.linspace(-0.16, 0.16, len(runs)) if len(runs) > 1 else np.zeros(1)
    for place, (column, colour) in enumerate((("accuracy", show.MODEL), ("baseline", show.RIVAL))):
        mean = runs[column].mean()
        axis.scatter(runs[column], place + shift, s=26, color=colour, alpha=0.75, zorder=3)
        axis.plot([mean, mean], [place - 0.3, place + 0.3], color=colour, lw=2.5)
        axis.text(mean, place - 0.35, f"{mean:.3f}", ha="center", va="bottom", fontsize=9)
    for up, left, right in zip(shift, runs["accuracy"], runs["baseline"], strict=True):
        axis.plot([left, right], [up, 1 + up], color=show.QUIET, lw=0.7, alpha=0.6)
    axis.set(ylim=(1.45, -0.75), xlabel=f"accuracy, {len(runs)} trainings")
    axis.set_yticks([0, 1], ["fine-tuned model", evaluate.BASELINE])
    return figure


def ablation_figure(table: pd.DataFrame) -> plt.Figure:
    """Mean accuracy and the range over seeds, the best row on top."""
    ranked = table.sort_values("accuracy", ascending=False, ignore_index=True)
    rows = ranked.rename(columns={"row": "label", "accuracy": "value"})
    return companion("figures", "04_evaluate").dots(
        rows, "validation accuracy, mean and range over the seeds"
    )


def curve_figure(table: pd.DataFrame) -> plt.Figure:
    """Test accuracy against training texts (logarithmic), with one standard deviation."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for column, colour, name in (
        ("model", show.MODEL, "fine-tuned model"),
        ("baseline", show.RIVAL, evaluate.BASELINE),
    ):
        sd = table[f"{column}_sd"].astype(float).fillna(0)
        look = {"fmt": "o-", "color": colour, "ms": 5, "capsize": 3, "label": name}
        axis.errorbar(table["texts"], table[column], yerr=sd, **look)
    axis.set(xscale="log", xlabel="training texts", ylabel="test accuracy")
    axis.set_xticks(table["texts"], [f"{n:,}" for n in table["texts"]])
    axis.minorticks_off()
    axis.legend(fontsize=8, loc="lower right")
    return figure


def summarise(run: Run) -> dict | None:
    """Write `studies/summary.json` and the figures of what is on record; None if nothing is."""
    known = {study: load(run, study) for study in STUDIES}
    if not any(known.values()):
        return None
    show.style()
    summary, figures = dict.fromkeys(STUDIES), {}
    if known["folds"]:
        summary["folds"] = folds_summary(known["folds"])
        figures["folds"] = folds_figure(runs_of(known["folds"]))
    if known["ablation"]:
        command = f"python benchmarks/studies.py --run {run.name} --ablation"
        table = ablation_table(known["ablation"], command)
        summary["ablation"] = _records(table)
        figures["ablation"] = ablation_figure(table)
    if known["curve"]:
        table = curve_table(known["curve"])
        summary["curve"] = _records(table)
        figures["learning_curve"] = curve_figure(table)
    for name, figure in figures.items():
        with atomic(run.path("studies", f"{name}.png")) as file:
            figure.savefig(file, format="png", dpi=160, facecolor="white")
        plt.close(figure)
    run.write_json("studies/summary.json", summary)
    return summary


def _records(table: pd.DataFrame) -> list[dict]:
    """Rows for JSON, which has no NaN: one seed has no standard deviation."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a study that cannot be run as asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    option = parser.add_argument
    option("--run", default="quick", help="a folder under reports/ (default: %(default)s)")
    option("--folds", type=int, nargs="?", const=5, help="cross-validation in so many parts (5)")
    option("--ablation", nargs="*", metavar="ROW", help="rows such as last@128; none: all of them")
    option("--curve", action="store_true", default=None, help="with 50, 100, … training texts")
    option("--seeds", type=int, default=3, help="trainings of each (default: %(default)s)")
    option("--max-length", type=int, default=MAX_LENGTH, help="tokens of a text (%(default)s)")
    option("--epochs", type=int, default=EPOCHS, help="passes over the texts (%(default)s)")
    option("--fresh", action="store_true", help="forget the trainings that are on record")
    args = parser.parse_args(argv)
    chosen = [study for study in STUDIES if getattr(args, study) is not None] or STUDIES
    run = Run(args.run)
    try:
        for study in chosen:
            run_study(
                run,
                study,
                folds=5 if args.folds is None else args.folds,
                seeds=args.seeds,
                rows=tuple(args.ablation or ()),
                max_length=args.max_length,
                epochs=args.epochs,
                fresh=args.fresh,
                say=lambda line: print(line, flush=True),
            )
    except (FileNotFoundError, ValueError) as error:
        print(f"studies: {error}", file=sys.stderr)
        return 2
    finally:
        summarise(run)
    print(f"{run.path('studies', 'summary.json')}: chapter 04 shows it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
