"""Run the five notebooks in order with papermill; a chapter that would come out the same is kept.

The rule is that of `make`: a chapter depends on its notebook, its parameters, the code that it
imports and the files that its parameters name. When one of these has changed, or something that the
chapter made is gone, it runs again, and so does every chapter after it.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
from filelock import FileLock, Timeout
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from gpt2news.run import CHAPTERS, ROOT, Run, atomic, reports_root, sha256_of
from newsreport import gates
from newsreport.fingerprints import fingerprint
from newsreport.gates import SECTIONS, ReportError
from newsreport.pages import read_json, render_chapter, render_run, write_cards, write_list
from newsreport.profiles import Profile

KERNEL_TRIES = 3
PACKAGES = ("torch", "transformers", "tokenizers", "onnxruntime", "scikit-learn", "pandas")


def run_report(
    profile: Profile,
    name: str | None = None,
    fresh: bool = False,
    corpora: dict[str, Path] | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Run the chapters that need it and render all; returns the exit code.

    0: all is well, 1: a chapter failed, 3: a gate is not met.

    Args:
        profile: what `load_profile` gives.
        name: folder under reports/; the profile's name when None.
        fresh: run every chapter, changed or not.
        corpora: the files behind names of corpora; a chapter whose file has changed runs again.
        say: called with each line of progress.

    Raises:
        ReportError: the name cannot be used, chapters would read different corpora, or the same
            run is going on in another process.
    """
    name = name or profile.name
    if name == "published":
        raise ReportError("reports/published holds the published results; choose another --name")
    _check_one_corpus(profile, corpora or {})
    run = Run(name)
    lock = FileLock(reports_root() / f".{run.name}.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        way_out = "wait for it, or give this one another --name"
        raise ReportError(f"a run into reports/{run.name} is going on; {way_out}") from None
    # Threads that spin while they wait make two runs on the same cores crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    began = time.monotonic()
    with held:
        record = _run_chapters(run, profile, fresh, corpora or {}, say)
        write_cards(run)
        render_run(run, record)
        write_list()
    return _verdict(run, record, time.monotonic() - began, say)


def _check_one_corpus(profile: Profile, corpora: dict[str, Path]) -> None:
    """Chapters that read different texts would speak of different things under one name."""
    readers = {}
    for chapter, values in profile.parameters.items():
        if values.get("dataset") in corpora:
            dataset = values["dataset"]
            readers[sha256_of(corpora[dataset])] = f"{chapter} would read {dataset}"
    if len(readers) > 1:
        raise ReportError(f"one run has one corpus, but {', '.join(readers.values())}")


def _run_chapters(run: Run, profile: Profile, fresh: bool, corpora: dict, say) -> dict:
    """Bring every chapter up to date; returns what run.json holds."""
    earlier = read_json(run.path("run.json")).get("chapters") or {}
    record = _facts(run, profile)
    states = record["chapters"]
    run_the_rest = fresh
    for number, chapter in enumerate(CHAPTERS, 1):
        label = f"[{number}/{len(CHAPTERS)}] {chapter}"
        values = record["parameters"][chapter]
        key = fingerprint(run, chapter, values, profile.notebooks, corpora)
        if not run_the_rest and _is_current(run, earlier.get(chapter), key):
            states[chapter] = earlier[chapter]
            say(f"{label}: unchanged, kept")
            continue
        run_the_rest = True
        _forget_from(run, chapter)
        # On record before it starts: a run that is killed goes on with this chapter.
        states[chapter] = {"status": "running", "seconds": None}
        run.write_json("run.json", record)
        say(f"{label} …")
        notebook = profile.notebooks / f"{chapter}.ipynb"
        state = _run_chapter(run, notebook, values, profile.time_limits.get(chapter), say)
        say(f"{label}: {'FAILED' if 'error' in state else 'done'}, {state['seconds']} s")
        states[chapter] = {**state, "fingerprint": key}
        seconds = {name: state["seconds"] for name, state in states.items()}
        run.save_metrics(profile=profile.name, seconds=seconds)
        if "error" in state:
            for later in CHAPTERS[number:]:
                states[later] = {"status": "not run", "seconds": None}
            break
        run.write_json("run.json", record)
    run.write_json("run.json", record)
    return record


def _is_current(run: Run, state: dict | None, key: str) -> bool:
    """Did it end well, from what it would start from now, and is all that it made still here?"""
    if not state or state.get("status") != "done" or state.get("fingerprint") != key:
        return False
    return all(run.path(made).exists() for made in state["made"])


def _forget_from(run: Run, chapter: str) -> None:
    """Remove pages, executed notebooks and records of this chapter and all later ones: stale."""
    metrics = run.metrics
    for later in CHAPTERS[CHAPTERS.index(chapter) :]:
        run.path(f"{later}.html").unlink(missing_ok=True)
        run.path("notebooks", f"{later}.ipynb").unlink(missing_ok=True)
        for section in SECTIONS[later]:
            metrics.pop(section, None)
    if metrics:
        run.write_json("metrics.json", metrics)


def _run_chapter(run: Run, notebook: Path, values: dict, limit: float | None, say) -> dict:
    """Execute one notebook into the run's folder and render its page; returns its state.

    Whatever the notebook does, nothing is raised: `error` in the state says it in one line.
    """
    chapter, started, began = notebook.stem, time.time(), time.monotonic()
    with _heartbeat(chapter, say), atomic(run.path("notebooks", notebook.name)) as part:
        error, restarts = _execute(notebook, part, values, limit, say)
        executed = nbformat.read(part if part.exists() else notebook, as_version=4)
        executed.metadata.pop("papermill", None)  # it names folders of this machine
        nbformat.write(executed, part)
    render_chapter(run, chapter, executed)
    state = {
        "status": "failed" if error else "done",
        "seconds": round(time.monotonic() - began, 1),
        "kernel_restarts": restarts,
        "made": [] if error else _files_since(run.folder, started),
    }
    return {**state, "error": error} if error else state


def _execute(notebook: Path, target: Path, values: dict, limit: float | None, say):
    """Run a notebook with papermill; returns what went wrong (None: nothing), kernel restarts."""
    deadline = time.monotonic() + limit if limit else None

    def seconds_left(_cell) -> int | None:
        return max(1, int(deadline - time.monotonic())) if deadline else None

    for tries in range(KERNEL_TRIES):
        try:
            papermill.execute_notebook(
                _literally(notebook),
                _literally(target),
                values,
                kernel_name="python3",
                progress_bar=False,
                cwd=os.getcwd(),
                start_timeout=120,
                timeout_func=seconds_left,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
            return None, tries
        except PapermillExecutionError as raised:
            return f"{raised.ename}: {raised.evalue}", tries
        except CellTimeoutError:
            key = f"time_limit.{notebook.stem}"
            return f"over its time limit of {limit:.0f} s (profile key {key})", tries
        except DeadKernelError:
            cause = "out of memory is the usual cause"
            return f"its kernel died while a cell was running; {cause}", tries
        except RuntimeError as raised:  # jupyter_client's word for a kernel that never answered
            reason = raised
            if tries + 1 < KERNEL_TRIES:
                again = "the kernel died before it answered; starting it again"
                say(f"      {notebook.stem}: {again}")
    return f"its kernel died before it answered, {KERNEL_TRIES} times: {reason}", tries


def _literally(path: Path) -> str:
    """`path` for papermill, which takes {name} in a path for a parameter."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _files_since(folder: Path, moment: float) -> list[str]:
    """What was written under `folder` since then: without the records of the run itself."""
    found = []
    for path in folder.rglob("*"):
        is_record = path.name.startswith(".") or path.name in ("run.json", "metrics.json")
        # A second of grace: file systems keep times less finely than the clock does.
        if path.is_file() and not is_record and path.stat().st_mtime >= moment - 1:
            found.append(str(path.relative_to(folder)))
    return sorted(found)


@contextmanager
def _heartbeat(chapter: str, say, every: float = 30):
    """A line every half minute, so that a CI run with a long chapter is not taken for dead."""
    over = threading.Event()

    def beat() -> None:
        spent = 0.0
        while not over.wait(every):
            spent += every
            say(f"      {chapter}: {spent:.0f} s …")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _verdict(run: Run, record: dict, seconds: float, say) -> int:
    """Say how the run ended; returns the exit code."""
    failed = [name for name, state in record["chapters"].items() if state["status"] == "failed"]
    missed = []
    if not failed:
        missed = [gate for gate in gates.check(record["gates"], run.metrics) if not gate["passed"]]
    page = run.path("index.html")
    page = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    say(f"{'FAILED' if failed or missed else 'done'} in {seconds:.0f} s: {page}")
    for chapter in failed:
        say(f"{chapter}: {record['chapters'][chapter]['error']}")
    for gate in missed:
        told = gate["why"] or f"the value is {gate['value']}"
        say(f"gate {gate['gate']}: not met, {told}")
    return 1 if failed else 3 if missed else 0


def _facts(run: Run, profile: Profile) -> dict:
    """What run.json says of a run before any chapter has run."""
    command = ["gpt2news", "report", "--profile", profile.name]
    if run.name != profile.name:
        command += ["--name", run.name]
    for item in profile.sets:
        command += ["--set", item]
    revision = _git("rev-parse", "HEAD") or "not a git checkout"
    if _git("status", "--porcelain", "-uno"):
        revision += ", with local changes"
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {
        "profile": profile.name,
        "name": run.name,
        "command": shlex.join(command),
        "revision": revision,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{system}, Python {platform.python_version()}",
        "versions": {package: version(package) for package in (*PACKAGES, "papermill")},
        "parameters": {
            chapter: {**values, "run": run.name} for chapter, values in profile.parameters.items()
        },
        "gates": profile.gates,
        "chapters": {},
    }


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
