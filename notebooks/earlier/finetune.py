"""Chapter 03's part: the model."""

from __future__ import annotations

from earlier import settings, split
from gpt2news.finetune import Recipe, finetune
from gpt2news.run import Run
from records.finetune import summary


def recipe_of(report: Run, wanted: dict) -> Recipe:
    """The recipe that the parameters of chapter 03 make; 0 stands for what suits the backbone."""
    names = ("backbone", "from_scratch", "epochs", "batch_size", "pooling", "seed")
    chosen = {name: wanted[name] for name in names}
    for name in ("learning_rate", "max_length"):
        chosen[name] = wanted[name] or None
    normalise = report.metrics["dataset"]["name"] == "bbc-csv"  # that corpus is lower-cased
    return Recipe(**chosen, normalise=normalise, **wanted["options"])


def catch_up(report: Run) -> None:
    """Make what this chapter leaves, where it has not run; never on SageMaker: that costs money."""
    split.catch_up(report)
    if report.path("model", "training.json").exists() and "model" in report.metrics:
        return
    wanted = settings(report, "03_finetune")
    if wanted["backend"] != "local":
        raise FileNotFoundError(f"no model in reports/{report.name}: run chapter 03_finetune first")
    print(f"03_finetune has not run here: training a model, as profile {report.name} would.")
    recipe = recipe_of(report, wanted)
    made = finetune(recipe, report.path("splits"), report.path("model"))
    report.save_metrics(model=summary(made, wanted["options"]))
