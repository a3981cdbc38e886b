"""The model card: Hugging Face metadata and prose, written from metrics.json at the end of a run."""

from __future__ import annotations

import jinja2
from huggingface_hub import EvalResult, ModelCardData

from gpt2news.explore import SOURCES
from newsreport.pages import TEMPLATES
from gpt2news.run import Run, atomic


def card(metrics: dict, kind: str) -> str:
    """The card of a run's model as Markdown with a YAML head; every number is from `metrics`.

    Args:
        metrics: with the sections `dataset`, `split`, `model`, `test` and `baseline`.
        kind: `model` (torch) or `onnx` (to serve).
    """
    dataset, test, backbone = (
        metrics["dataset"]["name"],
        metrics["test"],
        metrics["model"].get("backbone", ""),
    )
    name = {"sample": "gpt2-news sample", "bbc": "BBC News", "bbc-csv": "BBC News"}.get(
        dataset, dataset.rsplit("/", 1)[-1]
    )
    result = {
        "task_type": "text-classification",
        "dataset_type": dataset.rsplit("/", 1)[-1],
        "dataset_name": name,
        "dataset_split": "test",
    }
    values = {"accuracy": test["accuracy"]["value"], "f1": test["macro_f1"]["value"]}
    labels = {"accuracy": "Accuracy", "f1": "Macro F1"}
    results = [
        EvalResult(
            **result, metric_type=metric, metric_value=round(value, 4), metric_name=labels[metric]
        )
        for metric, value in values.items()
    ]
    head = ModelCardData(
        model_name=f"{metrics['model']['name']} on {name}",
        language="en" if dataset == "sample" or dataset in SOURCES else None,
        license="other" if dataset in SOURCES else "unknown",
        library_name="transformers" if kind == "model" else "onnx",
        pipeline_tag="text-classification",
        tags=["gpt2-news", "text-classification", *(["onnx"] if kind == "onnx" else [])],
        base_model=backbone
        if backbone.count("/") == 1 and not backbone.startswith((".", "/", "models/"))
        else None,
        eval_results=results,
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    sections = {
        key: metrics.get(key)
        for key in ("leaks", "off_topic", "behaviour", "studies", "deploy", "errors")
    }
    body = environment.get_template("card.md.j2").render(
        **{**metrics, **sections}, corpus=name, kind=kind, bbc=dataset in SOURCES
    )
    return f"---\n{head.to_yaml()}\n---\n{body}"


def write_cards(run: Run) -> None:
    """`README.md` in the folders `model` and `onnx` of a run, as far as they and the scores are there."""
    metrics = run.metrics
    if not {"dataset", "split", "model", "test", "baseline"} <= set(metrics):
        return
    for kind in ("model", "onnx"):
        if run.path(kind).is_dir():
            with atomic(run.path(kind, "README.md")) as file:
                file.write_text(card(metrics, kind), encoding="utf-8")
