"""Run the five notebooks in order with papermill; a chapter that would come out the same is kept.

As with `make`: when its notebook, its parameters, the code that it imports or a file that its
parameters name has changed, or something that it made is gone, a chapter runs again, and so does
every chapter after it.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
from filelock import FileLock, Timeout
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from gpt2news import run as files
from gpt2news.run import CHAPTERS, ROOT, Run, atomic, reports_root
from newsreport import gates
from newsreport.fingerprints import fingerprint
from newsreport.gates import SECTIONS, ReportError
from newsreport.pages import read_json, render_chapter, render_run, write_cards, write_list
from newsreport.profiles import Profile

SHIPPED = "models/gpt2-mini"
SHARED = ("files.json", "metrics.json", "run.json")  # no chapter's own
PACKAGES = ("torch", "transformers", "tokenizers", "onnxruntime", "scikit-learn", "pandas")


def run_report(
    profile: Profile,
    name: str | None = None,
    fresh: bool = False,
    corpora: dict[str, Path] | None = None,
    say=print,
) -> int:
    """Run what has to run and render all; returns the exit code.

    0: all is well, 1: a chapter failed, 3: a gate is not met. `name` is that of the folder under
    reports/, `corpora` has the files behind the corpora that the profile names.

    Raises:
        ReportError: a name cannot be used, or the same run is going on in another process.
    """
    name = name or profile.name
    if name == "published":
        raise ReportError("reports/published holds the published results; choose another --name")
    corpora = corpora or {}
    profile, corpora = _by_name(profile, corpora)
    _check_backbone(profile)
    run = Run(name)
    # Threads that spin while they wait make two runs on the same cores crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    began = time.monotonic()
    try:
        with FileLock(reports_root() / f".{name}.lock", timeout=0):
            files.sweep(run.folder)
            write_list()  # sweeps beside the runs
            record = _run_chapters(run, profile, fresh, corpora, say)
            write_cards(run)
            render_run(run, record)
            for folder in (run.path("model"), run.path("onnx"), run.folder):
                if folder.is_dir():
                    files.seal(folder)
            write_list()
    except Timeout:
        going_on = f"a run into reports/{name} is going on"
        raise ReportError(f"{going_on}; wait for it, or choose another --name") from None
    return _verdict(run, record, time.monotonic() - began, say)


def _by_name(profile: Profile, corpora: dict[str, Path]) -> tuple[Profile, dict[str, Path]]:
    """Data files by their names where they have absolute paths: a report is for strangers.

    The chapters find the files by the environment.
    """
    own = {name: path for name, path in corpora.items() if os.path.isabs(name)}
    paths = {path.name: path for path in own.values()}
    if len(paths) < len(set(own.values())):
        raise ReportError("two data files of the same name: one needs another name")
    os.environ[files.OWN] = "\n".join(map(str, paths.values()))
    parameters, sets = {}, profile.sets
    for chapter, values in profile.parameters.items():
        file = own.get(values.get("dataset"))
        parameters[chapter] = {**values, "dataset": file.name} if file else values
    for name, path in own.items():
        sets = tuple(item.replace(name, path.name) for item in sets)
    return replace(profile, parameters=parameters, sets=sets), {**corpora, **paths}


def _check_backbone(profile: Profile) -> None:
    """As chapter 03 would."""
    values = profile.parameters["03_finetune"]
    name = values.get("backbone", SHIPPED)
    if name == SHIPPED or values["backend"] != "local":
        return
    # The command itself loads no torch.
    command = [sys.executable, "-m", "gpt2news.finetune.backbone", name, str(values["max_length"])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]  # BackboneError: why
        raise ReportError(last.partition(": ")[2])


def _run_chapters(run: Run, profile: Profile, fresh: bool, corpora: dict, say) -> dict:
    """Bring all up to date; returns what run.json holds."""
    whole = read_json(run.path("metrics.json"))  # without it, what is recorded is of no use
    earlier = (whole and read_json(run.path("run.json")).get("chapters")) or {}
    record = _facts(run, profile)
    states = record["chapters"]
    failed = False
    for number, chapter in enumerate(CHAPTERS, 1):
        if failed:
            states[chapter] = {"status": "not run", "seconds": None}
            continue
        label = f"[{number}/{len(CHAPTERS)}] {chapter}"
        values = record["parameters"][chapter]
        key = fingerprint(run, chapter, values, profile.notebooks, corpora)
        if not fresh and _is_current(run, earlier.get(chapter), key):
            states[chapter] = earlier[chapter]
            say(f"{label}: unchanged, kept")
            continue
        fresh = True  # all that follow run, too
        _forget_from(run, chapter)
        # On record before it starts: a run that is killed goes on with this chapter.
        states[chapter] = {"status": "running", "seconds": None}
        run.write_json("run.json", record)
        say(f"{label} …")
        notebook = profile.notebooks / f"{chapter}.ipynb"
        state = _run_chapter(run, notebook, values, profile.time_limits.get(chapter), say)
        failed = state["status"] == "failed"
        say(f"{label}: {'FAILED' if failed else 'done'}, {state['seconds']} s")
        states[chapter] = {**state, "fingerprint": key}
        seconds = {name: state["seconds"] for name, state in states.items()}
        run.save_metrics(profile=profile.name, seconds=seconds)
        files.seal(run.folder)
        run.write_json("run.json", record)
    run.write_json("run.json", record)
    return record


def _is_current(run: Run, state: dict | None, key: str) -> bool:
    """Did it end well, from the same start, and is all it made still here as it was?"""
    if not state or state.get("status") != "done" or state.get("fingerprint") != key:
        return False
    return not files.damage(run.folder, state["made"])


def _forget_from(run: Run, chapter: str) -> None:
    """Remove pages, executed notebooks and records of this chapter and all later ones: stale."""
    metrics = read_json(run.path("metrics.json"))
    for later in CHAPTERS[CHAPTERS.index(chapter) :]:
        run.path(f"{later}.html").unlink(missing_ok=True)
        run.path("notebooks", f"{later}.ipynb").unlink(missing_ok=True)
        for section in SECTIONS[later]:
            metrics.pop(section, None)
    run.write_json("metrics.json", metrics)


def _run_chapter(run: Run, notebook: Path, values: dict, limit: float | None, say) -> dict:
    """Execute one notebook and render its page; returns its state, which has any `error`."""
    started = time.time()
    with atomic(run.path("notebooks", notebook.name)) as part:
        error = _execute(notebook, part, values, limit, say)
        executed = nbformat.read(part if part.exists() else notebook, as_version=4)
        executed.metadata.pop("papermill", None)  # it names folders of this machine
        nbformat.write(executed, part)
    render_chapter(run, notebook.stem, executed)
    seconds = round(time.time() - started, 1)
    if error:
        return {"status": "failed", "seconds": seconds, "error": error}
    made = []
    for path in sorted(run.folder.rglob("*")):
        # A second of grace: file systems keep times less finely than the clock does.
        name = path.relative_to(run.folder).as_posix()
        if path.is_file() and name not in SHARED and path.stat().st_mtime >= started - 1:
            made.append(name)
    return {"status": "done", "seconds": seconds, "made": made}


def _execute(notebook: Path, target: Path, values: dict, limit: float | None, say) -> str | None:
    """Run a notebook with papermill; returns what went wrong, None when nothing did."""
    deadline = time.monotonic() + (limit or 0)

    def seconds_left(_cell) -> int | None:
        return max(1, int(deadline - time.monotonic())) if limit else None

    # papermill takes {name} in a path for a parameter.
    paths = [str(path).replace("{", "{{").replace("}", "}}") for path in (notebook, target)]
    for last_try in (False, True):
        try:
            papermill.execute_notebook(
                *paths,
                values,
                kernel_name="python3",
                progress_bar={"desc": notebook.stem, "mininterval": 1},
                start_timeout=120,
                timeout_func=seconds_left,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
            return None
        except PapermillExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except CellTimeoutError:
            return f"over its time limit of {limit:.0f} s; `time_limit` of the profile sets it"
        except RuntimeError as error:
            if last_try or isinstance(error, DeadKernelError):
                return f"{error}; out of memory is the usual cause"
            # Two kernels that start at once may draw the same port: one dies before it answers.
            say(f"      {notebook.stem}: {error}; once more")


def _verdict(run: Run, record: dict, seconds: float, say) -> int:
    """Say how the run ended; returns the exit code."""
    states = record["chapters"].items()
    failed = [f"{name}: {state['error']}" for name, state in states if "error" in state]
    missed = []
    for gate in [] if failed else gates.check(record["gates"], run.metrics):
        if not gate["passed"]:
            told = gate["why"] or f"the value is {gate['value']}"
            missed.append(f"gate {gate['gate']}: not met, {told}")
    outcome = "FAILED" if failed or missed else "done"
    say(f"{outcome} in {seconds:.0f} s: {os.path.relpath(run.path('index.html'))}")
    for line in failed + missed:
        say(line)
    return 1 if failed else 3 if missed else 0


def _facts(run: Run, profile: Profile) -> dict:
    """What run.json says before a chapter has run."""
    command = ["gpt2news", "report", "--profile", profile.name]
    if run.name != profile.name:
        command += ["--name", run.name]
    for item in profile.sets:
        command += ["--set", item]
    # By the shell: where there is no git, it answers with nothing.
    describe = 'git describe --always --abbrev=40 "--exclude=*" "--dirty=, with local changes"'
    git = subprocess.run(describe, shell=True, cwd=ROOT, capture_output=True, text=True)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {
        "profile": profile.name,
        "name": run.name,
        "command": shlex.join(command),
        "revision": git.stdout.strip() or "not a git checkout",
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{system}, Python {platform.python_version()}",
        "versions": {package: version(package) for package in (*PACKAGES, "papermill")},
        "parameters": {
            chapter: {**values, "run": run.name} for chapter, values in profile.parameters.items()
        },
        "gates": profile.gates,
        "chapters": {},
    }
