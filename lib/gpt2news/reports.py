"""Run the five notebooks in order with papermill, and turn what they leave into pages."""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import jinja2
import nbformat
import papermill
import yaml
from filelock import FileLock, Timeout
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from gpt2news.corpus import ROOT, SOURCES, CorpusError, locate, sha256_of
from gpt2news.runs import Run, atomic, reports_root

NOTEBOOKS = ROOT / "notebooks"
TEMPLATES = Path(__file__).parent / "templates"
LEAD_FIGURE = "accuracy"
# Chapter -> what it is about, the sections of metrics.json that it writes.
CHAPTERS = {
    "01_explore": ("the corpus, before any model", ["dataset"]),
    "02_split": ("a split without leaks, and the proof", ["split"]),
    "03_finetune": ("from a language model to a classifier", ["model"]),
    "04_evaluate": ("how good, how sure, against what", ["test", "baseline", "mcnemar_p", "verdict"]),
    "05_deploy": ("a small file that answers over HTTP", ["deploy"]),
}
KERNEL_TRIES = 3


class ReportError(ValueError):
    """A profile, chapter or parameter that does not exist, or a run that is going on; the message lists what is valid."""


def parameters_of(notebook: Path) -> dict[str, object]:
    """The defaults of a notebook's `parameters` cell: literals, read without running anything.

    Raises:
        ReportError: there is not exactly one such cell.
    """
    cells = [c for c in nbformat.read(notebook, as_version=4).cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ReportError(f"{notebook.name}: {len(cells)} cells are tagged `parameters`; one is needed")
    assigned = [node for node in ast.parse(cells[0].source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}


def load_profile(name: str, sets: tuple[str, ...] = (), notebooks: Path = NOTEBOOKS) -> dict:
    """A profile, checked: `{"time_limit": {chapter: seconds}, chapter: {parameter: value}}`.

    Args:
        name: of a YAML file in `notebooks/profiles`, without .yaml.
        sets: overrides such as `03_finetune.epochs=1`.

    Raises:
        ReportError: unknown profile, chapter or parameter, or a wrong type; the message lists the valid ones.
    """
    files = {path.stem: path for path in (notebooks / "profiles").glob("*.yaml")}
    if name not in files:
        raise ReportError(f"no profile {name!r}; there are {', '.join(sorted(files))}")
    try:
        profile = yaml.safe_load(files[name].read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ReportError(f"{files[name].name}: not YAML: {error}") from error
    for item in sets:
        target, equals, value = item.partition("=")
        chapter, dot, parameter = target.partition(".")
        if not (equals and dot):
            raise ReportError(f"--set {item}: write it as chapter.parameter=value, say 03_finetune.epochs=1")
        profile.setdefault(chapter, {})[parameter] = yaml.safe_load(value)
    limits = profile.pop("time_limit", {})
    for where in (profile, limits):
        unknown = [chapter for chapter in where if chapter not in CHAPTERS]
        if unknown:
            raise ReportError(f"profile {name}: no notebook {unknown[0]!r}; there are {', '.join(CHAPTERS)}")
    for chapter, values in profile.items():
        known = parameters_of(notebooks / f"{chapter}.ipynb")
        for parameter, value in (values or {}).items():
            if parameter not in known or parameter == "run":
                valid = ", ".join(p for p in known if p != "run")
                raise ReportError(f"{chapter} has no parameter {parameter!r}; it has {valid}")
            default = known[parameter]
            fits = type(value) is type(default) or (isinstance(default, float) and type(value) is int)
            if not fits:
                wanted = type(default).__name__
                raise ReportError(f"{chapter}.{parameter} = {value!r}: {type(value).__name__} given, {wanted} needed (default {default!r})")
    return {"time_limit": limits, **{chapter: dict(profile.get(chapter) or {}) for chapter in CHAPTERS}}


def code_behind(source: str, seen: set[Path] | None = None) -> set[Path]:
    """The files of gpt2news that Python source imports, directly or not."""
    seen = set() if seen is None else seen
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gpt2news":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("gpt2news")]
        for name in names:
            base = Path(__file__).parent.joinpath(*name.split(".")[1:])
            for path in (base.with_suffix(".py"), base / "__init__.py"):
                if path.exists() and path not in seen:
                    seen.add(path)
                    code_behind(path.read_text(encoding="utf-8"), seen)
    return seen


def fingerprint(chapter: str, values: dict, before: str, notebooks: Path = NOTEBOOKS) -> str:
    """What a chapter's result depends on: the chapters before, its notebook, parameters, the code it imports, the files it names.

    As with make, a touched module counts as changed; corpora and backbones count by their content.
    """
    notebook = nbformat.read(notebooks / f"{chapter}.ipynb", as_version=4)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    code = set().union(*(code_behind(s) for s in sources if not s.lstrip().startswith(("%", "!"))))
    digest = hashlib.sha256(json.dumps([before, values, [c.source for c in notebook.cells]], sort_keys=True).encode())
    for path in sorted(code):
        digest.update(f"{path.name} {sha256_of(path)} {path.stat().st_mtime_ns}".encode())
    for value in values.values():
        if isinstance(value, str) and value:
            for path in _files_named(value):
                digest.update(f"{path.name} {sha256_of(path)}".encode())
    return digest.hexdigest()


def _files_named(value: str) -> list[Path]:
    if value == "sample" or value in SOURCES:
        return [locate(value)]
    for path in (Path(value), ROOT / value):
        if path.is_file():
            return [path]
        if path.is_dir():
            return sorted(p for p in path.iterdir() if p.is_file())
    return []


def run_report(
    profile: str, name: str | None = None, sets: tuple[str, ...] = (), fresh: bool = False, notebooks: Path = NOTEBOOKS, say=print
) -> int:
    """Run the chapters that need it, render all; returns the exit code: 0, or 1 when a chapter failed.

    Args:
        profile: its name.
        name: folder under reports/; the profile's name when None.
        sets: overrides, `chapter.parameter=value`.
        fresh: run every chapter, changed or not.
        say: called with progress lines.

    Raises:
        ReportError: see `load_profile`; or the same run is going on in another process.
        CorpusError: the corpus cannot be found or downloaded.
    """
    values = load_profile(profile, tuple(sets), notebooks)
    for dataset in {v["dataset"] for v in values.values() if "dataset" in v}:
        locate(dataset)  # a download, or its failure, belongs before the first chapter
    run = Run(name or profile)
    lock = FileLock(reports_root() / f".{run.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ReportError(f"a run into reports/{run.name} is going on; wait for it, or give this one another --name") from None
    try:
        return _run_chapters(run, profile, values, sets, fresh, notebooks, say)
    finally:
        lock.release()


def _run_chapters(run: Run, profile: str, values: dict, sets, fresh: bool, notebooks: Path, say) -> int:
    # Threads that spin while they wait make two runs on the same cores crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    limits = values.pop("time_limit")
    full = {chapter: {**parameters_of(notebooks / f"{chapter}.ipynb"), **values[chapter], "run": run.name} for chapter in CHAPTERS}
    old = json.loads(run.path("run.json").read_text(encoding="utf-8")) if run.path("run.json").exists() else {}
    known = old.get("chapters", {})
    began = time.monotonic()
    record = {**_facts(profile, run, sets), "parameters": full, "chapters": {}}
    before, failed, stale = "", False, fresh
    for number, chapter in enumerate(CHAPTERS, 1):
        if failed:
            record["chapters"][chapter] = {"status": "not run", "seconds": None}
            continue
        before = fingerprint(chapter, full[chapter], before, notebooks)
        entry = known.get(chapter, {})
        here = all(run.path(p).exists() for p in entry.get("made", [""]))
        if not stale and entry.get("status") == "done" and entry.get("fingerprint") == before and here:
            record["chapters"][chapter] = entry
            say(f"[{number}/{len(CHAPTERS)}] {chapter}: unchanged, kept")
            continue
        if not stale or number == 1:
            _clear_from(run, chapter)
        stale = True
        record["chapters"][chapter] = {"status": "running", "seconds": None}
        run.write_json("run.json", record)
        record["chapters"][chapter] = entry = _run_chapter(run, chapter, full[chapter], limits.get(chapter), notebooks, say, number)
        entry["fingerprint"] = before
        failed = entry["status"] != "done"
        seconds = {c: e["seconds"] for c, e in record["chapters"].items()}
        run.record(profile=profile, seconds=seconds)
        run.write_json("run.json", record)
    run.write_json("run.json", record)
    render(run, record)
    where = run.path("index.html")
    where = where.relative_to(Path.cwd()) if where.is_relative_to(Path.cwd()) else where
    say(f"{'FAILED' if failed else 'done'} in {time.monotonic() - began:.0f} s: {where}")
    if failed:
        bad = next(c for c, e in record["chapters"].items() if e["status"] == "failed")
        say(f"{bad}: {record['chapters'][bad]['error']}")
    return int(failed)


def _clear_from(run: Run, first: str) -> None:
    """Take away pages, executed notebooks and figures' record of this and later chapters: they would be stale."""
    names = list(CHAPTERS)
    metrics = run.metrics
    for chapter in names[names.index(first) :]:
        for path in (run.path(f"{chapter}.html"), run.path("notebooks", f"{chapter}.ipynb")):
            path.unlink(missing_ok=True)
        for section in CHAPTERS[chapter][1]:
            metrics.pop(section, None)
    if metrics:
        run.write_json("metrics.json", metrics)


def _run_chapter(run: Run, chapter: str, values: dict, limit: float | None, notebooks: Path, say, number: int) -> dict:
    """Execute one notebook into the run's folder and render its page; never raises for what the notebook does."""
    began, error, tries = time.monotonic(), None, 0
    started = time.time()
    target = run.path("notebooks", f"{chapter}.ipynb")
    remaining = lambda _cell: max(1, int(limit - (time.monotonic() - began))) if limit else None  # noqa: E731
    say(f"[{number}/{len(CHAPTERS)}] {chapter} …")
    with _heartbeat(chapter, say), atomic(target) as part:
        while True:
            tries += 1
            try:
                papermill.execute_notebook(
                    str(notebooks / f"{chapter}.ipynb"), str(part), values, kernel_name="python3", progress_bar=False,
                    cwd=os.getcwd(), start_timeout=120, timeout_func=remaining, extra_arguments=["--IPKernelApp.log_level=50"],
                )  # fmt: skip
            except PapermillExecutionError as raised:
                error = f"{raised.ename}: {raised.evalue}"
            except CellTimeoutError:
                error = f"over its time limit of {limit:.0f} s (profile key time_limit.{chapter})"
            except DeadKernelError:
                error = "its kernel died while a cell was running; out of memory is the usual cause"
            except RuntimeError as raised:  # jupyter_client's word for a kernel that never answered
                if tries < KERNEL_TRIES:
                    say(f"      {chapter}: the kernel died before it answered; starting it again")
                    continue
                error = f"its kernel died before it answered, {tries} times: {raised}"
            break
        executed = nbformat.read(part if part.exists() else notebooks / f"{chapter}.ipynb", as_version=4)
        executed.metadata.pop("papermill", None)
        nbformat.write(executed, part)
    _render_chapter(run, chapter, executed)
    seconds = round(time.monotonic() - began, 1)
    say(f"[{number}/{len(CHAPTERS)}] {chapter}: {'FAILED' if error else 'done'}, {seconds} s")
    made = [] if error else sorted(str(p.relative_to(run.folder)) for p in run.folder.rglob("*") if _made_since(p, started))
    entry = {"status": "failed" if error else "done", "seconds": seconds, "kernel_restarts": tries - 1, "made": made}
    return {**entry, "error": error} if error else entry


def _made_since(path: Path, moment: float) -> bool:
    return (
        path.is_file()
        and not path.name.startswith(".")
        and path.name not in ("run.json", "metrics.json")
        and path.stat().st_mtime >= moment - 1
    )


class _heartbeat:  # noqa: N801
    """A line every half minute while a chapter runs."""

    def __init__(self, chapter: str, say, every: float = 30):
        self.chapter, self.say, self.every, self.over = chapter, say, every, threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def _beat(self) -> None:
        spent = 0.0
        while not self.over.wait(self.every):
            spent += self.every
            self.say(f"      {self.chapter}: {spent:.0f} s …")

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def _facts(profile: str, run: Run, sets) -> dict:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    command = ["gpt2news", "report", "--profile", profile]
    command += ["--name", run.name] if run.name != profile else []
    for item in sets:
        command += ["--set", item]
    return {
        "profile": profile,
        "name": run.name,
        "command": shlex.join(command),
        "revision": (git("rev-parse", "HEAD") or "not a git checkout")
        + (", with local changes" if git("status", "--porcelain", "-uno") else ""),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {p: version(p) for p in ("torch", "transformers", "tokenizers", "onnxruntime", "scikit-learn", "pandas", "papermill")},
    }


def _css() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


def _render_chapter(run: Run, chapter: str, notebook) -> None:
    notebook = copy.deepcopy(notebook)
    names = list(CHAPTERS)
    place = names.index(chapter)
    around = {"previous": names[place - 1] if place else None, "next": names[place + 1] if place + 1 < len(names) else None}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"\[!\[([^\]]*)\]\([^)]*\)\](?=\()", r"[\1]", cell.source)  # a badge is a picture from outside: keep its link
            cell.source = re.sub(rf"\]\(({'|'.join(CHAPTERS)})\.ipynb\)", r"](\1.html)", text)
    notebook.cells = [cell for cell in notebook.cells if "setup" not in cell.metadata.get("tags", [])]
    exporter = HTMLExporter(template_name="chapter", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_preprocessor("nbconvert.preprocessors.CoalesceStreamsPreprocessor", enabled=True)
    html, _ = exporter.from_notebook_node(notebook, resources={"report": {"title": f"{chapter}: {run.name}", "css": _css(), **around}})
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
                    found.append({**image, "src": f"figures/{image['name']}.png", "lead": image["name"] == LEAD_FIGURE})
    return found


def render(run: Run, record: dict) -> None:
    """Write `index.html` from `metrics.json`, `run.json` and the executed notebooks; every number on it is read from there."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined)
    metrics = {section: None for _, sections in CHAPTERS.values() for section in sections} | run.metrics
    chapters = [
        {"name": c, "purpose": CHAPTERS[c][0], "page": run.path(f"{c}.html").exists(), **entry} for c, entry in record["chapters"].items()
    ]
    page = environment.get_template("index.html.j2").render(run=record, m=metrics, chapters=chapters, figures=_figures(run), css=_css())
    with atomic(run.path("index.html")) as file:
        file.write_text(page, encoding="utf-8")


def main(arguments) -> int:
    """The command `gpt2news report`."""
    try:
        return run_report(
            arguments.profile, arguments.name, tuple(arguments.set), arguments.fresh, say=lambda line: print(line, flush=True)
        )
    except (ReportError, CorpusError, ValueError) as error:
        print(f"gpt2news report: {error}", file=sys.stderr)
        return 2
