"""What Windows lacks: read for in the code, and simulated where it can be.

Windows has no fcntl and no fork, reads and writes no UTF-8 unless told so, finds `npm` under
another name, and neither replaces nor removes a file that is open.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from newsserve import batch, files

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("lib", "notebooks", "tools", "models", "deploy")
FILES = sorted(path for place in PLACES for path in (ROOT / place).rglob("*.py"))
FILES = [path for path in FILES if "node_modules" not in path.parts]
LACKING = {"fcntl", "grp", "pwd", "resource", "termios", "pty", "syslog"}
# What `os` and `signal` have elsewhere only.
LACKING_NAMES = {"fork", "getuid", "geteuid", "getpgid", "killpg", "mkfifo", "sched_getaffinity"}
LACKING_NAMES |= {"SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "getrusage", "chown"}
TEXT = {"read_text": 1, "write_text": 2}  # -> arguments when the encoding is one without its name


def faults(source: str) -> list[str]:
    """What in a module would end, or read otherwise, on Windows."""
    guarded = {word for word in LACKING_NAMES if f'hasattr(os, "{word}")' in source}
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [getattr(node, "module", None) or "", *(each.name for each in node.names)]
            found += [f"{node.lineno}: {name}" for name in names if name in LACKING]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = node.value.id in ("os", "signal") and node.attr in LACKING_NAMES - guarded
            renames = (node.value.id, node.attr) == ("os", "rename")  # fails where a file is
            if known or renames:
                found.append(f"{node.lineno}: {node.attr}")
        elif isinstance(node, ast.Call):
            found += _faults_of_call(node)
    return found


def _faults_of_call(node: ast.Call) -> list[str]:
    keywords = {each.arg: each.value for each in node.keywords}
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if "preexec_fn" in keywords:
        return [f"{node.lineno}: preexec_fn"]
    if name in TEXT and "encoding" not in keywords and len(node.args) < TEXT[name]:
        return [f"{node.lineno}: {name} without an encoding"]
    if isinstance(node.func, ast.Name) and name == "open":
        mode = [*node.args[1:2], keywords.get("mode")][0]
        binary = isinstance(mode, ast.Constant) and "b" in str(mode.value)
        if not binary and "encoding" not in keywords:
            return [f"{node.lineno}: open without an encoding"]
    # It is npm.cmd there, which a bare name does not find.
    listed = node.args[0].elts if node.args and isinstance(node.args[0], ast.List) else []
    first = listed[0].value if listed and isinstance(listed[0], ast.Constant) else ""
    return [f"{node.lineno}: {first} by its bare name"] if first in ("npm", "npx") else []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_that_windows_lacks(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "from resource import getrusage",
        "import os\nos.fork()",
        "import os\nos.rename('a', 'b')",
        "import os\nlen(os.sched_getaffinity(0))",
        "import signal\nsignal.SIGKILL",
        "path.read_text()",
        "path.write_text(text)",
        "open('a')",
        "open('a', 'w')",
        "run(['npm', 'ci'])",
        "Popen(command, preexec_fn=limit)",
    ],
)
def test_the_reading_finds(source):
    assert len(faults(source)) == 1


def test_the_reading_passes_what_is_right():
    assert faults("open('a', 'rb'); open('a', encoding='utf-8'); p.read_text('utf-8')") == []
    assert faults('import os\nhasattr(os, "sched_getaffinity") and os.sched_getaffinity(0)') == []


def open_here() -> set[Path]:
    """The files that this process has open; Windows would neither replace nor remove them."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.add(Path(os.readlink(link)))
        except FileNotFoundError:  # the one that lists the folder
            continue
    return found


@pytest.fixture
def windows(monkeypatch):
    """A file that is open cannot be replaced, moved or removed."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc tells which files are open")

    def refusing(call):
        def checked(path, *others, **options):
            paths = [Path(path).resolve(), *(Path(o).resolve() for o in others if o)]
            for each in open_here():
                if any(each == one or one in each.parents for one in paths):
                    raise PermissionError(13, "The process cannot access the file", str(path))
            return call(path, *others, **options)

        return checked

    for name in ("replace", "rename", "unlink", "remove"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    # It names files by the descriptor of their folder, which the above does not see.
    monkeypatch.setattr(shutil, "rmtree", refusing(shutil.rmtree))
    monkeypatch.setattr(files, "PAUSES", (0, 0))


def test_the_simulation_refuses(windows, tmp_path):
    file = tmp_path / "a"
    with open(file, "w", encoding="utf-8"), pytest.raises(PermissionError):
        os.replace(file, tmp_path / "b")
    os.replace(file, tmp_path / "b")


def test_a_file_that_is_open_is_named_with_the_way_out(windows, tmp_path):
    target = tmp_path / "a.csv"
    target.write_text("old", encoding="utf-8")
    told = r"open in another program; close it there.*a\.csv"
    with (
        open(target, encoding="utf-8"),
        pytest.raises(PermissionError, match=told),
        files.atomic(target) as part,
    ):
        part.write_text("new", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target], "nothing half is left"


def test_a_file_that_is_open_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    replace, refused = os.replace, []

    def scanned(*paths):
        if not refused:
            refused.append(paths)
            raise PermissionError(13, "a virus scanner has it")
        return replace(*paths)

    monkeypatch.setattr(os, "replace", scanned)
    monkeypatch.setattr(files, "PAUSES", (0, 0))
    with files.atomic(tmp_path / "a") as part:
        part.write_text("new", encoding="utf-8")
    assert refused
    assert (tmp_path / "a").read_text(encoding="utf-8") == "new"


class Answering:
    """In a model's place."""

    def __init__(self, _folder):
        pass

    def __call__(self, texts):
        from newsserve.predictor import Answer

        answer = {"topic": "sport", "probability": 1.0, "answered": True, "tokens": 1}
        answer |= {"probabilities": {"sport": 1.0}, "truncated": False, "reason": None}
        return [Answer(**answer) for _ in texts]


def test_a_batch_job_leaves_its_output_and_nothing_else(windows, tmp_path, monkeypatch):
    """Its lock is a file that is open until the end."""
    monkeypatch.setattr(batch, "Predictor", Answering)
    (tmp_path / "serving.json").write_text("{}", encoding="utf-8")
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\nGoal!\nVote!\n", encoding="utf-8")
    counts = batch.classify_file(tmp_path, source, out)
    assert counts["answered"] == 2
    assert not (tmp_path / ".out.csv.portions").exists()


def test_an_output_that_is_open_in_a_spreadsheet_is_named(windows, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "Predictor", Answering)
    (tmp_path / "serving.json").write_text("{}", encoding="utf-8")
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\nGoal!\n", encoding="utf-8")
    out.write_text("mine", encoding="utf-8")
    told = r"out\.csv: .*open in another program; close it there; go on with --resume"
    with open(out, encoding="utf-8"), pytest.raises(batch.TableError, match=told):
        batch.classify_file(tmp_path, source, out)
    assert batch.classify_file(tmp_path, source, out, resume=True)["answered"] == 1


def test_answers_in_any_script_do_not_end_an_old_console():
    """Windows' own encoding has neither blocks nor other scripts."""
    command = [sys.executable, "-m", "newsserve", "classify", "Ένα γκολ τη νύχτα", "ゴール"]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode in (0, 4), done.stderr
    assert b"UnicodeEncodeError" not in done.stderr
