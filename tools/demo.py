"""Build `reports/<run>/try.html`: the run's int8 model in a page, for the browser alone.

`python tools/demo.py quick` (or `make demo PROFILE=quick`); npm fetches what deploy/demo/ names.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jinja2

from gpt2news.run import ROOT, Run, atomic, reports_root
from newsreport.pages import TEMPLATES, read_json, render_run
from newsserve.predictor import MANIFEST

DEMO = ROOT / "deploy" / "demo"
EXAMPLES = ROOT / "lib" / "newsserve" / "app" / "examples.json"  # news of these topics
NEWS = {"business", "entertainment", "politics", "sport", "tech"}


class DemoError(ValueError):
    """The page cannot be built; the message says what is missing and how to get it."""


def build(name: str) -> Path:
    """Write the page of the run `reports/<name>`, and its index again, which links to it.

    Raises:
        DemoError: the run has no model yet, npm is missing or fetches nothing.
    """
    folder = reports_root() / name / "onnx"
    if not (folder / MANIFEST).exists():
        raise DemoError(f"{folder} has no {MANIFEST}: gpt2news report --profile {name} makes it")
    _install()
    run = Run(name)
    with atomic(run.path("try.html")) as part:
        command = ["node", "build.js", str(folder.resolve()), str(part.resolve())]
        _call(command, input=page(run, read_json(folder / MANIFEST)["topics"]))
    record = read_json(run.path("run.json"))
    if record:
        render_run(run, record)
    return run.path("try.html")


def page(run: Run, topics: list[str]) -> str:
    """The HTML around the script and the data."""
    m = run.metrics
    model, score = m["model"], m["deploy"]["accuracy_int8"]  # of the file that the page runs
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DEMO),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    style = TEMPLATES.get_template("style.css").render() + (DEMO / "try.css").read_text("utf-8")
    right = f"{round(score * m['test']['n'])} of {m['test']['n']}"
    return environment.get_template("try.html.j2").render(
        name=run.name,
        about=f"{model['name']}, {model['parameters'] / 1e6:.0f} million weights",
        topics=topics,
        learned=f"{m['split']['train']:,}" + " invented" * (m["dataset"]["name"] == "sample"),
        score=f"Of the test texts of its report it gets {right} right.",
        examples=json.loads(EXAMPLES.read_text("utf-8")) if set(topics) == NEWS else {},
        style=style,
    )


def _install() -> None:
    """Fetch the exact versions of package-lock.json, unless they are there."""
    done, lock = DEMO / "node_modules" / ".package-lock.json", DEMO / "package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")  # on Windows npm.cmd
    if not (npm and shutil.which("node")):
        raise DemoError("npm and node (20 or newer) are needed to build the page: nodejs.org")
    _call([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])


def _call(command: list[str], **options: str) -> None:
    how = {"capture_output": True, "text": True, "encoding": "utf-8"}
    done = subprocess.run(command, cwd=DEMO, **how, **options)
    if done.returncode:
        raise DemoError(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-500:]}")


def main(argv: list[str] | None = None) -> int:
    """Build the pages of the named runs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python tools/demo.py", description=__doc__)
    parser.add_argument("runs", nargs="+", help="folders under reports/, such as quick")
    try:
        for name in parser.parse_args(argv).runs:
            file = build(name)
            print(f"demo: {file}, {file.stat().st_size / 1e6:.1f} MB")
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
