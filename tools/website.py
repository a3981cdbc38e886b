"""Gather the pages of runs into a folder that can be published, with a page in front of them.

`python tools/website.py site quick bbc` (or `make site RUNS="quick bbc"`).
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from gpt2news.run import CHAPTERS, ROOT, atomic, reports_root
from newsreport.pages import NO_RESULTS, TEMPLATES, read_json

# Pages, figures and numbers. Not splits/, notebooks/, model/, onnx/: they hold whole articles, or
# weights for another use than a page.
PUBLIC = ("*.html", "figures/*.png", "metrics.json", "run.json", "predictions.csv")
QUESTIONS = (
    "What is in the corpus: lengths, twins, words that give a topic away?",
    "How do we keep the exam secret, and prove it?",
    "How does a language model become a classifier?",
    "How good is it, how sure can we be, and what would a simple model have done?",
    "How does it answer from a small file, the same as before?",
)


class SiteError(ValueError):
    """A run that cannot be published; the message says why."""


def build(out: Path, names: list[str]) -> Path:
    """Write the folder `out` anew: a folder a run, and index.html; returns the latter.

    Raises:
        SiteError: a run is not there or not complete, or `out` is something else than a site.
    """
    if out.exists() and not (out / "index.html").exists() and any(out.iterdir()):
        raise SiteError(f"{out} is there and is no site; choose another folder")
    runs = []
    with atomic(out) as part:
        part.mkdir()
        for name in names:
            source = reports_root() / name
            record = read_json(source / "run.json")
            states = [state["status"] for state in record.get("chapters", {}).values()]
            if states != ["done"] * len(CHAPTERS):
                raise SiteError(f"reports/{name} is not a complete run; gpt2news report makes it")
            for pattern in PUBLIC:
                for file in source.glob(pattern):
                    target = part / name / file.relative_to(source)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, target)
            demo = part / name / "try.html"
            metrics = {**NO_RESULTS, **read_json(source / "metrics.json")}
            runs.append({"name": name, "m": metrics, "demo": demo.exists() and demo.stat().st_size})
        (part / "index.html").write_text(front(runs), encoding="utf-8")
    return out / "index.html"


def ladders(readme: Path = ROOT / "benchmarks" / "README.md") -> dict:
    """The ladder as `make ladder` has left it in a README; empty where it has not been run.

    Returns `conclusion` (sentences) and `corpora` (name -> rows, each a dict by heading, with the
    `score` that its accuracy says, or None).
    """
    text = readme.read_text(encoding="utf-8")
    parts = dict(re.findall(r"<!-- ([^>]+) -->\n(.*?)\n<!-- end of \1 -->", text, re.DOTALL))
    found = {}
    for name, content in parts.items():
        lines = [line.strip("| ").split(" | ") for line in content.splitlines()]
        kind, _, corpus = name.partition(" ")
        if kind == "ladder" and len(lines) > 2:
            heads, _, *rows = lines
            found[corpus] = [_rung(dict(zip(heads, row, strict=False))) for row in rows]
    said = re.findall(r"^\d+\. (.+)$", parts.get("conclusion", ""), re.MULTILINE)
    return {"corpora": found, "conclusion": said if found else []}


def _rung(row: dict[str, str]) -> dict:
    """A row of the ladder with the `score` that its accuracy says."""
    match = re.match(r"([\d.]+) \(([\d.]+) to ([\d.]+)\)", row.get("accuracy", ""))
    if not match:
        return {**row, "score": None}  # nothing measured, or no interval
    value, low, high = map(float, match.groups())
    return {**row, "score": {"value": value, "low": low, "high": high}}


def front(runs: list[dict], ladder: dict | None = None) -> str:
    """The page in front of the reports."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (repository,) = re.findall(r'^Repository = "(.+)"', project, re.MULTILINE)
    (version,) = re.findall(r'^version = "(.+)"', project, re.MULTILINE)
    return TEMPLATES.get_template("site.html.j2").render(
        runs=runs,
        ladder=ladders() if ladder is None else ladder,
        chapters=dict(zip(CHAPTERS, QUESTIONS, strict=True)),
        repository=repository,
        version=version,
        colab=repository.replace("//github.com/", "//colab.research.google.com/github/"),
    )


def main(argv: list[str] | None = None) -> int:
    """Build the site; returns the exit code."""
    about = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python tools/website.py", description=about)
    parser.add_argument("out", type=Path, help="folder, made or replaced")
    parser.add_argument("runs", nargs="+", help="folders under reports/, such as quick")
    args = parser.parse_args(argv)
    try:
        print(f"site: {build(args.out, args.runs)}")
    except SiteError as error:
        print(f"site: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
