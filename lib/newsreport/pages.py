"""From executed notebooks and metrics.json to pages that open without a network."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import jinja2
import nbformat
from nbconvert import HTMLExporter

from newsreport import gates
from newsreport.profiles import CHAPTERS
from gpt2news.run import Run, atomic

TEMPLATES = Path(__file__).parent / "templates"
LEAD_FIGURE = "accuracy"


def inline() -> dict[str, str]:
    """What every page carries within itself: `css`, and `sort`, the script that sorts tables."""
    return {
        name: (TEMPLATES / file).read_text(encoding="utf-8")
        for name, file in (("css", "style.css"), ("sort", "sort.js"))
    }


def contents(page: str) -> str:
    """The table of contents of a rendered chapter: a link to each section, at the side where there is room, else folded."""
    sections = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', page)
    links = "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title in sections)
    inside = f'<nav aria-label="Sections of this chapter"><ul>{links}</ul></nav>'
    folded = f'<details class="contents"><summary>Sections</summary>{inside}</details>'
    return f'<div class="contents beside">{inside}</div>\n{folded}' if links else ""


def render_chapter(run: Run, chapter: str, notebook) -> None:
    notebook = copy.deepcopy(notebook)
    names = list(CHAPTERS)
    place = names.index(chapter)
    around = {
        "previous": names[place - 1] if place else None,
        "next": names[place + 1] if place + 1 < len(names) else None,
    }
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(
                r"\[!\[([^\]]*)\]\([^)]*\)\](?=\()", r"[\1]", cell.source
            )  # a badge is a picture from outside: keep its link
            cell.source = re.sub(rf"\]\(({'|'.join(CHAPTERS)})\.ipynb\)", r"](\1.html)", text)
    notebook.cells = [
        cell for cell in notebook.cells if "setup" not in cell.metadata.get("tags", [])
    ]
    exporter = HTMLExporter(template_name="chapter", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_preprocessor(
        "nbconvert.preprocessors.CoalesceStreamsPreprocessor", enabled=True
    )
    html, _ = exporter.from_notebook_node(
        notebook, resources={"report": {"title": f"{chapter}: {run.name}", **inline(), **around}}
    )
    html = html.replace("<!-- contents -->", contents(html), 1)
    with atomic(run.path(f"{chapter}.html")) as file:
        file.write_text(html, encoding="utf-8")


def _figures(run: Run) -> list[dict]:
    """The figures of the executed notebooks, in order, with their text alternatives."""
    found = []
    for chapter in CHAPTERS:
        path = run.path("notebooks", f"{chapter}.ipynb")
        if not path.exists():
            continue
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                image = output.get("metadata", {}).get("image/png", {})
                if "name" in image:
                    found.append(
                        {
                            **image,
                            "src": f"figures/{image['name']}.png",
                            "lead": image["name"] == LEAD_FIGURE,
                        }
                    )
    return found


def render(run: Run, record: dict) -> None:
    """Write `index.html` from `metrics.json`, `run.json` and the executed notebooks; every number on it is read from there."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    metrics = {
        section: None for _, sections in CHAPTERS.values() for section in sections
    } | run.metrics
    chapters = [
        {"name": c, "purpose": CHAPTERS[c][0], "page": run.path(f"{c}.html").exists(), **entry}
        for c, entry in record["chapters"].items()
    ]
    checked = (
        gates.check(record.get("gates", []), metrics)
        if all(c["status"] == "done" for c in chapters)
        else []
    )
    page = environment.get_template("index.html.j2").render(
        run=record, m=metrics, chapters=chapters, figures=_figures(run), gates=checked, **inline()
    )
    with atomic(run.path("index.html")) as file:
        file.write_text(page, encoding="utf-8")
