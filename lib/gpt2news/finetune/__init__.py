"""Chapter 03: fine-tune a causal language model to sort texts, by `transformers.Trainer`.

`recipe`: settings; `model`: backbone, tokenizer, new layer; `train`: the run, `trainer`: its
Trainer; `part`: training a part of the weights; `predict`: the finished folder.
"""

# ruff: noqa: F401
from gpt2news import split
from gpt2news.finetune.model import (
    POOLINGS,
    BackboneError,
    encode,
    load_model,
    load_tokenizer,
    locate_backbone,
    pad,
)
from gpt2news.finetune.pooled import pool
from gpt2news.finetune.predict import Classifier
from gpt2news.finetune.recipe import Recipe, device_line, suits, use_all_cores
from gpt2news.finetune.train import finetune
from gpt2news.finetune.trainer import CheckpointError, DivergedError, LengthGroupedSampler


def recipe_of(report, settings: dict) -> Recipe:
    """The recipe that the parameters of chapter 03 make; 0 stands for what suits the backbone."""
    names = ("backbone", "from_scratch", "epochs", "batch_size", "pooling", "seed")
    chosen = {name: settings[name] for name in names}
    for name in ("learning_rate", "max_length"):
        chosen[name] = settings[name] or None
    normalise = report.metrics["dataset"]["name"] == "bbc-csv"  # that corpus is lower-cased
    return Recipe(**chosen, normalise=normalise, **settings["options"])


def summary(training: dict, options: dict) -> dict:
    """The section `model` of metrics.json."""
    names = ("parameters", "max_length", "pooling", "backbone", "from_scratch", "epochs")
    section = {name: training[name] for name in (*names, "seconds", "dtype")}
    name = "from scratch" if training["from_scratch"] else training["backbone"].split("/")[-1]
    job = {"job": training["job"]} if "job" in training else {}
    return {"name": name, **section, "options": options, **job}


def catch_up(report) -> None:
    """Make what this chapter leaves, where it has not run; never on SageMaker: that costs money."""
    split.catch_up(report)
    if report.path("model", "training.json").exists() and "model" in report.metrics:
        return
    settings = report.settings("03_finetune")
    if settings["backend"] != "local":
        raise FileNotFoundError(f"no model in reports/{report.name}: run chapter 03_finetune first")
    print(f"03_finetune has not run here: training a model, as profile {report.name} would.")
    recipe = recipe_of(report, settings)
    training = finetune(recipe, report.path("splits"), report.path("model"))
    report.save_metrics(model=summary(training, settings["options"]))
