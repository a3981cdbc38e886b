"""From executed notebooks and metrics.json to pages that open without a network."""

from __future__ import annotations

import copy
import json
import re
from operator import itemgetter
from pathlib import Path

import jinja2
import nbformat
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from nbconvert import HTMLExporter

from gpt2news.run import CHAPTERS, Run, atomic, reports_root
from newsreport import gates

TEMPLATES = Path(__file__).parent / "templates"
# The one environment of the pages. A name that a template misspells is an error, not a gap.
PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# What every page carries within itself: its style, and the script that sorts tables.
INLINE = {
    "css": (TEMPLATES / "style.css").read_text(encoding="utf-8"),
    "sort": (TEMPLATES / "sort.js").read_text(encoding="utf-8"),
}
PURPOSES = {
    "01_explore": "the corpus, before any model",
    "02_split": "a split without leaks, and the proof",
    "03_finetune": "from a language model to a classifier",
    "04_evaluate": "how good, how sure, against what",
    "05_deploy": "a small file that answers over HTTP",
}
NO_RESULTS = {name: None for sections in gates.SECTIONS.values() for name in sections}
NO_ANSWER = "No answer yet"
STUB_NOTE = "*In the notebook, a cell under each question checks your answer.*"
BADGE = re.compile(r"\[!\[([^\]]*)\]\([^)]*\)\](?=\()")
CHAPTER_LINK = re.compile(rf"\]\(({'|'.join(CHAPTERS)})\.ipynb\)")
BBC = ("bbc", "bbc-csv")
CORPUS_NAMES = {"sample": "gpt2-news sample", **dict.fromkeys(BBC, "BBC News")}


def read_json(path: Path) -> dict:
    """The object in a JSON file; {} where the file is missing, broken, or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_page(template: str, target: Path, **values) -> Path:
    """Fill a template of the folder `templates` and write the page; returns its path."""
    page = PAGES.get_template(template).render(**INLINE, **values)
    with atomic(target) as part:
        part.write_text(page, encoding="utf-8")
    return target


# --- a chapter ---------------------------------------------------------------------------------


def render_chapter(run: Run, chapter: str, notebook: nbformat.NotebookNode) -> None:
    """Write `<chapter>.html` of an executed notebook, as a reader wants it.

    Code is folded away, links lead to the other pages, what only a learner at the keyboard needs
    is left out.
    """
    notebook = copy.deepcopy(notebook)
    notebook.cells = _for_readers(notebook.cells)
    place = CHAPTERS.index(chapter)
    around = {
        "title": f"{chapter}: {run.name}",
        "previous": CHAPTERS[place - 1] if place else None,
        "next": CHAPTERS[place + 1] if place + 1 < len(CHAPTERS) else None,
    }
    exporter = HTMLExporter(template_name="chapter", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_preprocessor(
        "nbconvert.preprocessors.CoalesceStreamsPreprocessor", enabled=True
    )
    resources = {"report": {**around, **INLINE}}
    html, _ = exporter.from_notebook_node(notebook, resources=resources)
    sections = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', html)
    contents = PAGES.get_template("contents.html.j2").render(sections=sections)
    with atomic(run.path(f"{chapter}.html")) as part:
        part.write_text(html.replace("<!-- contents -->", contents, 1), encoding="utf-8")


def _for_readers(cells: list) -> list:
    """The cells without set-up and record, and with one note for the unanswered exercises.

    Code that printed and drew nothing goes in front of the code after it: one fold for the reader
    instead of a stack of them.
    """
    kept, waiting = [], None
    note = nbformat.v4.new_markdown_cell(STUB_NOTE)
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code":
            # A badge is a picture from outside: its link stays. Chapters are pages here.
            cell.source = CHAPTER_LINK.sub(r"](\1.html)", BADGE.sub(r"[\1]", cell.source))
            kept.append(cell)
            waiting = None
        elif {"setup", "record"} & {*tags} or not cell.source.strip():
            continue
        elif NO_ANSWER in str(cell.outputs):
            if note not in kept:
                kept.append(note)
        elif waiting is not None and not tags:
            waiting.source += "\n\n" + cell.source
            waiting.outputs = cell.outputs
            waiting = waiting if not cell.outputs else None
        else:
            kept.append(cell)
            waiting = cell if not cell.outputs and not tags else None
    return kept


# --- the index of a run, and the list of all runs -----------------------------------------------


def render_run(run: Run, record: dict) -> None:
    """Write `index.html`; every number on it is read from metrics.json.

    Args:
        run: whose folder has metrics.json, and the chapters' pages beside it.
        record: what run.json holds.
    """
    metrics = {**NO_RESULTS, **run.metrics}
    chapters = []
    for name, state in record["chapters"].items():
        page = run.path(f"{name}.html").exists()
        chapters.append({"name": name, "purpose": PURPOSES[name], "page": page, **state})
    complete = all(chapter["status"] == "done" for chapter in chapters)
    write_page(
        "index.html.j2",
        run.path("index.html"),
        run=record,
        m=metrics,
        chapters=chapters,
        pictured=run.path("figures", "accuracy.png").exists(),
        gates=gates.check(record.get("gates", []), run.metrics) if complete else [],
    )


def all_runs(root: Path) -> list[dict]:
    """The runs under `root`, newest first: `name`, `started`, `chapters`, `m` (metrics), `page`."""
    found = []
    for file in root.glob("*/run.json"):
        record = read_json(file)
        found.append(
            {
                "name": file.parent.name,
                "started": str(record.get("started") or ""),
                "chapters": record.get("chapters") or {},
                "m": {**NO_RESULTS, **read_json(file.with_name("metrics.json"))},
                "page": file.with_name("index.html").exists(),
            }
        )
    return sorted(found, key=itemgetter("started"), reverse=True)


def write_list(root: Path | None = None) -> Path:
    """Write `index.html`, the list of all runs under `root` (default: reports/)."""
    root = root or reports_root()
    return write_page("runs.html.j2", root / "index.html", runs=all_runs(root))


# --- the model card -----------------------------------------------------------------------------


def card(metrics: dict, kind: str) -> ModelCard:
    """The card of a run's model, Markdown with a YAML head; every number is from `metrics`.

    Args:
        metrics: with the sections `dataset`, `split`, `model`, `test` and `baseline`.
        kind: `model` (torch) or `onnx` (to serve).
    """
    dataset, test = metrics["dataset"]["name"], metrics["test"]
    corpus = CORPUS_NAMES.get(dataset, Path(dataset).name)
    tested = {
        "task_type": "text-classification",
        "dataset_type": Path(dataset).name,
        "dataset_name": corpus,
        "dataset_split": "test",
    }
    results = []
    for metric, label, score in (
        ("accuracy", "Accuracy", test["accuracy"]),
        ("f1", "Macro F1", test["macro_f1"]),
    ):
        value = round(score["value"], 4)
        results.append(
            EvalResult(**tested, metric_type=metric, metric_name=label, metric_value=value)
        )
    backbone = metrics["model"].get("backbone", "")
    on_the_hub = re.fullmatch(r"(?!models/)[\w-][\w.-]*/[\w.-]+", backbone)
    head = ModelCardData(
        model_name=f"{metrics['model']['name']} on {corpus}",
        language="en" if dataset in CORPUS_NAMES else None,
        license="other" if dataset in BBC else "unknown",
        library_name="transformers" if kind == "model" else "onnx",
        pipeline_tag="text-classification",
        tags=["gpt2-news", "text-classification", *(["onnx"] if kind == "onnx" else [])],
        base_model=backbone if on_the_hub else None,
        eval_results=results,
    )
    values = {**NO_RESULTS, **metrics, "corpus": corpus, "kind": kind, "bbc": dataset in BBC}
    return ModelCard.from_template(head, template_path=str(TEMPLATES / "card.md.j2"), **values)


def write_cards(run: Run) -> None:
    """`README.md` in a run's folders `model` and `onnx`, where they and the scores are there."""
    metrics = run.metrics
    if not {"dataset", "split", "model", "test", "baseline"} <= set(metrics):
        return
    for kind in ("model", "onnx"):
        if run.path(kind).is_dir():
            card(metrics, kind).save(run.path(kind, "README.md"))
