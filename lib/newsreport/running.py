"""Run the five notebooks in order with papermill."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
from filelock import FileLock, Timeout
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from gpt2news.explore import CorpusError, locate
from gpt2news.run import ROOT
from newsreport import gates
from newsreport.cards import write_cards
from newsreport.fingerprints import fingerprint
from newsreport.gallery import write_gallery
from newsreport.pages import render, render_chapter
from newsreport.profiles import CHAPTERS, NOTEBOOKS, ReportError, load_profile, parameters_of
from gpt2news.run import Run, atomic, reports_root

KERNEL_TRIES = 3


def run_report(
    profile: str,
    name: str | None = None,
    sets: tuple[str, ...] = (),
    fresh: bool = False,
    notebooks: Path = NOTEBOOKS,
    say=print,
) -> int:
    """Run the chapters that need it, render all; returns the exit code: 0, 1 when a chapter failed, 3 when a gate did.

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
        raise ReportError(
            f"a run into reports/{run.name} is going on; wait for it, or give this one another --name"
        ) from None
    try:
        return _run_chapters(run, profile, values, sets, fresh, notebooks, say)
    finally:
        lock.release()


def _run_chapters(
    run: Run, profile: str, values: dict, sets, fresh: bool, notebooks: Path, say
) -> int:
    # Threads that spin while they wait make two runs on the same cores crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    limits, wanted = values.pop("time_limit"), values.pop("gates")
    full = {
        chapter: {
            **parameters_of(notebooks / f"{chapter}.ipynb"),
            **values[chapter],
            "run": run.name,
        }
        for chapter in CHAPTERS
    }
    old = (
        json.loads(run.path("run.json").read_text(encoding="utf-8"))
        if run.path("run.json").exists()
        else {}
    )
    known = old.get("chapters", {})
    began = time.monotonic()
    record = {**_facts(profile, run, sets), "parameters": full, "gates": wanted, "chapters": {}}
    before, failed, stale = "", False, fresh
    for number, chapter in enumerate(CHAPTERS, 1):
        if failed:
            record["chapters"][chapter] = {"status": "not run", "seconds": None}
            continue
        earlier = before
        before = fingerprint(
            chapter, full[chapter], earlier, notebooks, _read_besides(run, chapter)
        )
        entry = known.get(chapter, {})
        here = all(run.path(p).exists() for p in entry.get("made", [""]))
        if (
            not stale
            and entry.get("status") == "done"
            and entry.get("fingerprint") == before
            and here
        ):
            record["chapters"][chapter] = entry
            say(f"[{number}/{len(CHAPTERS)}] {chapter}: unchanged, kept")
            continue
        if not stale or number == 1:
            _clear_from(run, chapter)
        stale = True
        record["chapters"][chapter] = {"status": "running", "seconds": None}
        run.write_json("run.json", record)
        record["chapters"][chapter] = entry = _run_chapter(
            run, chapter, full[chapter], limits.get(chapter), notebooks, say, number
        )
        if full[chapter].get("run_studies"):  # the chapter has added to what it reads
            before = fingerprint(
                chapter, full[chapter], earlier, notebooks, _read_besides(run, chapter)
            )
        entry["fingerprint"] = before
        failed = entry["status"] != "done"
        seconds = {c: e["seconds"] for c, e in record["chapters"].items()}
        run.save_metrics(profile=profile, seconds=seconds)
        run.write_json("run.json", record)
    run.write_json("run.json", record)
    write_cards(run)
    render(run, record)
    write_gallery()
    where = run.path("index.html")
    where = where.relative_to(Path.cwd()) if where.is_relative_to(Path.cwd()) else where
    missed = (
        [] if failed else [gate for gate in gates.check(wanted, run.metrics) if not gate["passed"]]
    )
    say(f"{'FAILED' if failed or missed else 'done'} in {time.monotonic() - began:.0f} s: {where}")
    if failed:
        bad = next(c for c, e in record["chapters"].items() if e["status"] == "failed")
        say(f"{bad}: {record['chapters'][bad]['error']}")
    for gate in missed:
        say(f"gate {gate['gate']}: not met, the value is {gate['value']}")
    return 1 if failed else 3 if missed else 0


def _read_besides(run: Run, chapter: str) -> list[Path]:
    """What a chapter shows that no chapter makes: the records of `gpt2news evaluate`."""
    return sorted(run.path("studies").glob("*.json")) if chapter == "04_evaluate" else []


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


def _run_chapter(
    run: Run, chapter: str, values: dict, limit: float | None, notebooks: Path, say, number: int
) -> dict:
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
        executed = nbformat.read(
            part if part.exists() else notebooks / f"{chapter}.ipynb", as_version=4
        )
        executed.metadata.pop("papermill", None)
        nbformat.write(executed, part)
    render_chapter(run, chapter, executed)
    seconds = round(time.monotonic() - began, 1)
    say(f"[{number}/{len(CHAPTERS)}] {chapter}: {'FAILED' if error else 'done'}, {seconds} s")
    made = (
        []
        if error
        else sorted(
            str(p.relative_to(run.folder)) for p in run.folder.rglob("*") if _made_since(p, started)
        )
    )
    entry = {
        "status": "failed" if error else "done",
        "seconds": seconds,
        "kernel_restarts": tries - 1,
        "made": made,
    }
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
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
        )
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
        "versions": {
            p: version(p)
            for p in (
                "torch",
                "transformers",
                "tokenizers",
                "onnxruntime",
                "scikit-learn",
                "pandas",
                "papermill",
            )
        },
    }


def main(arguments) -> int:
    """The command `gpt2news report`: 0, 1 for a failed chapter, 2 for a wrong call, 3 for a gate that is not met."""
    try:
        return run_report(
            arguments.profile,
            arguments.name,
            tuple(arguments.set),
            arguments.fresh,
            say=lambda line: print(line, flush=True),
        )
    except (ReportError, CorpusError, ValueError) as error:
        print(f"gpt2news report: {error}", file=sys.stderr)
        return 2
