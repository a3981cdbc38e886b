"""What has been measured: one JSON file a study, written after each unit, so a stop loses one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import torch

from gpt2news.run import ROOT, atomic

RESULTS = ROOT / "benchmarks" / "results"


@cache
def machine() -> str:
    """The processor, its cores and torch, as the tables name them."""
    name = platform.processor() or platform.machine()
    listed = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        if line.startswith("Model name:"):
            name = line.partition(":")[2].strip()
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__.partition('+')[0]}"


class Store:
    """The units of one study: facts that name a unit -> what was measured.

    Attributes:
        units: list of records; each holds its facts and its figures.
    """

    def __init__(self, study: str, settings: dict, folder: Path | None = None):
        self.file = (folder or RESULTS) / f"{study}.json"
        self.settings = settings
        known = self._read()
        if known and known["settings"] != settings:
            raise ValueError(
                f"{self.file.name} was made with other settings ({known['settings']}); ask for "
                "the same again, or delete the file to start afresh"
            )
        self.units = known["units"] if known else []

    def _read(self) -> dict | None:
        return json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else None

    def has(self, **facts) -> bool:
        """Is a unit with these facts on record?"""
        return any(facts.items() <= unit.items() for unit in self.units)

    def add(self, **record) -> None:
        """Put a unit on record; a line a unit, so that a diff can be read."""
        self.units.append(record)
        head = {"machine": machine(), "settings": self.settings}
        lines = ",\n".join(json.dumps(unit) for unit in self.units)
        text = json.dumps(head, indent=1)[:-2] + f',\n "units": [\n{lines}\n ]\n}}\n'
        with atomic(self.file) as part:
            part.write_text(text, encoding="utf-8")


def read(study: str, folder: Path | None = None) -> dict:
    """`machine`, `settings`, `units` of a study; no units where none was run."""
    file = (folder or RESULTS) / f"{study}.json"
    if not file.exists():
        return {"machine": "", "settings": {}, "units": []}
    return json.loads(file.read_text(encoding="utf-8"))
