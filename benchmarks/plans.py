"""What the studies train: one `Unit` a training, with its texts and its settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from transformers import AutoConfig

from gpt2news import finetune
from gpt2news.run import sha256_of
from gpt2news.run import Run
from gpt2news.split import PARTS, duplicate_groups

MAX_LENGTH, EPOCHS, MIN_STEPS = 128, 2, 100
SIZES = (50, 100, 200, 400, 800)
# The article of 2022: flattened head, 128 tokens, padding on the left, pairs of texts, one epoch.
ARTICLE = {
    "pooling": "flat",
    "max_length": 128,
    "batch_size": 2,
    "learning_rate": 1e-5,
    "epochs": 1,
}
FROZEN_RATE = 10  # only the new layer learns; at the rate of the whole model it would not get anywhere in two epochs


class StudyError(ValueError):
    """A study that cannot be run as asked; the message says the way out."""


@dataclass(frozen=True)
class Unit:
    """One training: `parts["train"]` teaches, `parts["val"]` is watched, `parts["test"]` is scored once."""

    name: str
    facts: dict
    parts: dict[str, pd.DataFrame]
    options: dict = field(default_factory=dict)
    rival: bool = False
    answers: bool = False


def settings_of(run: Run, max_length: int = MAX_LENGTH, epochs: int = EPOCHS) -> dict:
    """What every training of a study has in common: the run's own model (chapter 03), on shorter texts and for fewer epochs.

    Raises:
        FileNotFoundError: chapter 03 has not run.
    """
    training = json.loads(
        run.needs("model", "training.json", chapter="03_finetune").read_text(encoding="utf-8")
    )
    kept = {
        key: training[key]
        for key in ("backbone", "from_scratch", "pooling", "batch_size", "learning_rate")
    }
    weights = Path(finetune.locate_backbone(kept["backbone"])[0], "model.safetensors")
    return {
        **kept,
        "weights": sha256_of(weights) if weights.exists() else "from the hub",
        "normalise": run.metrics.get("dataset", {}).get("name") == "bbc-csv",
        "max_length": min(max_length, training["max_length"]),
        "epochs": epochs,
        "min_steps": MIN_STEPS,
    }


def fold_units(parts: dict[str, pd.DataFrame], folds: int = 5, seeds: int = 3) -> Iterator[Unit]:
    """Grouped, stratified cross-validation over all texts of the run, drawn anew for each seed: no twin of a scored text is learnt."""
    texts = pd.concat([parts[part] for part in PARTS], ignore_index=True)
    groups = duplicate_groups(texts["text"].tolist())

    def divided(rows: np.ndarray, n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        folder = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
        return (
            (rows[a], rows[b])
            for a, b in folder.split(rows, texts["topic"].to_numpy()[rows], groups[rows])
        )

    for seed in range(seeds):
        for fold, (learn, score) in enumerate(divided(np.arange(len(texts)), folds, seed), 1):
            train, val = next(divided(learn, 8, seed))
            frames = {"train": texts.loc[train], "val": texts.loc[val], "test": texts.loc[score]}
            facts = {"fold": fold, "seed": seed}
            yield Unit(
                f"fold {fold}, seed {seed}", facts, frames, {"seed": seed}, rival=True, answers=True
            )


def parse_row(row: str, blocks: int, rate: float) -> dict:
    """The settings behind a row's name: `article`, or `pooling@tokens` with `+scratch` or `+frozen` behind it.

    Raises:
        StudyError: another form.
    """
    if row == "article":
        return dict(ARTICLE)
    match = re.fullmatch(r"(last|mean|first|left|flat)@(\d+)(\+scratch|\+frozen)?", row)
    if not match:
        raise StudyError(
            f"ablation row {row!r}: write pooling@tokens, say last@128, mean@256+scratch or mean@128+frozen, or article"
        )
    options = {"pooling": match[1], "max_length": int(match[2])}
    if match[3] == "+scratch":
        options["from_scratch"] = True
    elif match[3] == "+frozen":
        options |= {"freeze": blocks, "learning_rate": FROZEN_RATE * rate}
    return options


def ablation_rows(settings: dict, longest: int) -> list[str]:
    """The rows of the table: what the head reads, how many tokens, pretraining, freezing, and what the article did."""
    base, n = settings["pooling"], settings["max_length"]
    heads = [
        f"{pooling}@{n}"
        for pooling in dict.fromkeys([base, "last", "mean", "first", "left", "flat"])
    ]
    lengths = [
        f"{base}@{tokens}" for tokens in (64, 128, 256, 512) if tokens != n and tokens <= longest
    ]
    return [*heads, *lengths, f"{base}@{n}+scratch", f"{base}@{n}+frozen", "article"]


def ablation_units(
    parts: dict[str, pd.DataFrame], settings: dict, rows: tuple[str, ...] = (), seeds: int = 3
) -> Iterator[Unit]:
    """Each row with each seed, scored on validation: choices are made there, the test part stays closed."""
    where, revision = finetune.locate_backbone(settings["backbone"])
    config = AutoConfig.from_pretrained(where, revision=revision)
    scored = {"train": parts["train"], "val": parts["val"], "test": parts["val"]}
    for row in rows or ablation_rows(settings, config.max_position_embeddings):
        options = parse_row(row, config.num_hidden_layers, settings["learning_rate"])
        for seed in range(seeds):
            yield Unit(
                f"{row}, seed {seed}", {"row": row, "seed": seed}, scored, {**options, "seed": seed}
            )


def nested_sample(train: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """`n` rows with the topics in proportion; a larger `n` of the same seed holds them all."""
    shuffled = train.sample(frac=1, random_state=seed)
    by_topic = shuffled.groupby("topic")["topic"]
    place = (by_topic.cumcount() + 0.5) / by_topic.transform("size")
    return shuffled.loc[place.sort_values(kind="stable").index[:n]]


def curve_units(parts: dict[str, pd.DataFrame], seeds: int = 3) -> Iterator[Unit]:
    """Model and baseline after 50, 100, … and all training texts, scored on test; sizes too small to show each topic twice are left out."""
    train, topics = parts["train"], parts["train"]["topic"].nunique()
    val = parts["val"].groupby("topic").head(5)
    for n in [*(size for size in SIZES if size < len(train)), len(train)]:
        for seed in range(seeds):
            sample = nested_sample(train, n, seed)
            if sample["topic"].nunique() == topics and sample["topic"].value_counts().min() > 1:
                frames = {"train": sample, "val": val, "test": parts["test"]}
                yield Unit(
                    f"{n} texts, seed {seed}",
                    {"texts": n, "seed": seed},
                    frames,
                    {"seed": seed},
                    rival=True,
                )
