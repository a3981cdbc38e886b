"""Chapter 03's section of metrics.json."""

from __future__ import annotations


def summary(training: dict, options: dict) -> dict:
    """The section `model` of metrics.json."""
    names = ("parameters", "max_length", "pooling", "backbone", "from_scratch", "epochs")
    section = {name: training[name] for name in (*names, "seconds", "dtype")}
    name = "from scratch" if training["from_scratch"] else training["backbone"].split("/")[-1]
    job = {"job": training["job"]} if "job" in training else {}
    return {"name": name, **section, "options": options, **job}
