"""From executed notebooks and metrics.json to pages that open without a network."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import nbformat
from filelock import FileLock
from nbconvert import HTMLExporter
from traitlets.config import Config

from gpt2news.run import Run, atomic, reports_root
from newsreport import gates
from newsreport.profiles import TEMPLATES

NO_RESULTS = {name: None for sections in gates.SECTIONS.values() for name in sections}
BADGE = re.compile(r"\[!\[([^\]]*)\]\([^)]*\)\](?=\()")
CHAPTER_LINK = re.compile(r"\]\((0\d_\w+)\.ipynb\)")
SECTION = re.compile(r"^## ", re.MULTILINE)
NOT_FOR_READERS = {"setup", "record", "exercise"}
# A page may run our script and load nothing, whatever a label or a text says.
SCRIPT = TEMPLATES.get_template("page.js").render()
DIGEST = b64encode(sha256(SCRIPT.encode()).digest()).decode()
TEMPLATES.globals.update(script=SCRIPT, digest=DIGEST)


def read_json(path: Path) -> dict:
    """The object in a JSON file; {} where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(target: Path, content: str) -> None:
    with atomic(target) as part:
        part.write_text(content, encoding="utf-8")


def render_chapter(run: Run, chapter: str, notebook: nbformat.NotebookNode) -> None:
    """Write `<chapter>.html` of an executed notebook for readers."""
    notebook.cells = _for_readers(notebook.cells)
    folders = TEMPLATES.loader.searchpath
    exporter = HTMLExporter(
        config=Config({"CoalesceStreamsPreprocessor": {"enabled": True}}),
        template_name="chapter",
        extra_template_basedirs=folders,
        extra_template_paths=folders,
    )
    about = {"chapter": chapter, "run": run.name, **TEMPLATES.globals}
    html, _ = exporter.from_notebook_node(notebook, resources={"report": about})
    _write(run.path(f"{chapter}.html"), html)


def _for_readers(cells: list) -> list:
    """The cells without set-up and record, and with a note in place of the exercises.

    Code that has shown nothing goes in front of the code after it: one fold, not a stack.
    """
    kept, waiting = [], False  # waiting: code at the end of `kept` that has shown nothing yet
    exercises = False
    for cell in cells:
        tags = set(cell.metadata.get("tags", []))
        is_code = cell.cell_type == "code"
        before, heading, _ = cell.source.partition("## Exercises")
        if heading:
            cell.source = f"{before}{heading}\nThe notebook has them, and checks each answer."
        exercises = heading or (exercises and not SECTION.search(cell.source))
        shown = heading or not (exercises or tags & NOT_FOR_READERS)
        if not shown or not cell.source.strip():
            continue
        if not is_code:
            # A badge is a picture from outside; chapters are pages here.
            cell.source = CHAPTER_LINK.sub(r"](\1.html)", BADGE.sub(r"[\1]", cell.source))
        elif waiting and not tags:
            before = kept.pop()
            cell.source = f"{before.source}\n\n{cell.source}"
            names = [part.metadata.get("name", "unnamed") for part in (before, cell)]
            cell.metadata["name"] = "; ".join(names)
        kept.append(cell)
        waiting = is_code and not tags and not cell.outputs
    return kept


def render_run(run: Run, record: dict) -> None:
    """Write `index.html` from what run.json holds; every number is read from metrics.json."""
    complete = all(state["status"] == "done" for state in record["chapters"].values())
    page = TEMPLATES.get_template("index.html.j2").render(
        run=record,
        m={**NO_RESULTS, **run.metrics},
        pages={path.stem for path in run.folder.glob("*.html")},
        gates=gates.check(record["gates"], run.metrics) if complete else [],
    )
    _write(run.path("index.html"), page)


def write_list(root: Path | None = None) -> Path:
    """Write `index.html`, the list of all runs under `root` (default: reports/), newest first."""
    root = root or reports_root()
    runs = []
    for file in root.glob("*/run.json"):
        metrics = {**NO_RESULTS, **read_json(file.with_name("metrics.json"))}
        page = file.with_name("index.html").exists()
        known = {"started": "", "chapters": {}, **read_json(file)}
        runs.append({**known, "name": file.parent.name, "m": metrics, "page": page})
    with FileLock(root / ".index.html.lock"):
        for left in root.glob(".index.*.part.html"):  # of a run that was killed just here
            left.unlink()
        _write(root / "index.html", TEMPLATES.get_template("runs.html.j2").render(runs=runs))
    return root / "index.html"


def card(metrics: dict, kind: str) -> str:
    """The card of a model, Markdown with a YAML head; every number is from the run's metrics.

    `kind` is `model` (torch) or `onnx` (to serve).
    """
    return TEMPLATES.get_template("card.md.j2").render({**NO_RESULTS, **metrics, "kind": kind})


def write_cards(run: Run) -> None:
    """`README.md` in a run's folders `model` and `onnx`, where they and the scores are there."""
    metrics = run.metrics
    if not {"dataset", "split", "model", "test", "baseline"} <= set(metrics):
        return
    for kind in ("model", "onnx"):
        if run.path(kind).is_dir():
            _write(run.path(kind, "README.md"), card(metrics, kind))
