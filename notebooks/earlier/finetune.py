"""Chapter 03's part: the model."""

from __future__ import annotations

from earlier import split
from gpt2news.finetune import Recipe, finetune, summary
from gpt2news.run import Run


def recipe_of(report: Run, settings: dict) -> Recipe:
    """The recipe that the parameters of chapter 03 make; 0 stands for what suits the backbone."""
    names = ("backbone", "from_scratch", "epochs", "batch_size", "pooling", "seed")
    chosen = {name: settings[name] for name in names}
    for name in ("learning_rate", "max_length"):
        chosen[name] = settings[name] or None
    normalise = report.metrics["dataset"]["name"] == "bbc-csv"  # that corpus is lower-cased
    return Recipe(**chosen, normalise=normalise, **settings["options"])


def catch_up(report: Run) -> None:
    """Make what this chapter leaves, where it has not run; never on SageMaker: that costs money."""
    split.catch_up(report)
    if report.path("model", "training.json").exists() and "model" in report.metrics:
        return
    settings = report.settings("03_finetune")
    if settings["backend"] != "local":
        raise FileNotFoundError(f"no model in reports/{report.name}: run chapter 03_finetune first")
    print(f"03_finetune has not run here: training a model, as profile {report.name} would.")
    recipe = recipe_of(report, settings)
    made = finetune(recipe, report.path("splits"), report.path("model"))
    report.save_metrics(model=summary(made, settings["options"]))
