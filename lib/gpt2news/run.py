"""What a chapter reads and leaves: one folder a run, `reports/<name>/`.

Every file in it is written whole or not at all.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType

# One definition of each for all packages; chapters take them from here.
from newsserve.files import atomic, damage, seal, sha256_of, sweep  # noqa: F401

OWN = "GPT2NEWS_OWN"  # in the environment: paths of data files that a report has by their names
CHAPTERS = ("01_explore", "02_split", "03_finetune", "04_evaluate", "05_deploy")


def _repository() -> Path:
    """The clone that one stands in, else the one that this library was installed from."""
    # So a notebook that is run by plain papermill writes into the reports of its own repository,
    # whichever copy of the library its kernel has installed.
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks/01_explore.ipynb").exists() and (folder / "lib/gpt2news").exists():
            return folder
    return Path(__file__).resolve().parents[2]


ROOT = _repository()


def reports_root() -> Path:
    """`reports/` of the repository, or what `GPT2NEWS_REPORTS` names."""
    return Path(os.environ.get("GPT2NEWS_REPORTS") or ROOT / "reports")


def companion(package: str, chapter: str) -> ModuleType:
    """A chapter's own module, such as `notebooks/words/evaluate.py`: content, not library."""
    notebooks = str(ROOT / "notebooks")
    if notebooks not in sys.path:
        sys.path.insert(0, notebooks)
    return importlib.import_module(f"{package}.{chapter.partition('_')[2]}")


def parameters_of(notebook: Path) -> dict[str, object]:
    """The defaults of a notebook's `parameters` cell: literals, read without running anything.

    Raises:
        ValueError: there is not exactly one such cell.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        found = f"{len(tagged)} cells are tagged `parameters`"
        raise ValueError(f"{notebook.name}: {found}; one is needed")
    source = "".join(tagged[0]["source"])
    assigned = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}


class Run:
    """One run, as the notebooks see it: the folder `reports/<name>`, made when missing."""

    def __init__(self, name: str):
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"run name {name!r}: a plain folder name is needed, such as 'quick'")
        self.name = name
        self.folder = reports_root() / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, *parts: str) -> Path:
        """A path under the run's folder."""
        return self.folder.joinpath(*parts)

    @property
    def metrics(self) -> dict:
        """What the chapters have recorded so far (`metrics.json`)."""
        path = self.path("metrics.json")
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def save_metrics(self, **sections: dict) -> None:
        """Put sections into `metrics.json`; a section that is there already is replaced whole."""
        self.write_json("metrics.json", {"profile": self.name, **self.metrics, **sections})

    def write_json(self, name: str, content: dict) -> None:
        """Write one JSON file of the run."""
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        with atomic(self.path(name)) as file:
            file.write_text(text, encoding="utf-8")
