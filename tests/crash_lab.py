"""A laboratory for crashes: a job runs in a child, and a fault strikes at its nth write.

A write is what Python's audit events show under one folder: a file opened to be written, a rename,
a file removed. What comes after the fault is the test's: the same job again, and the same result.
"""

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

FAULTS = ("kill", "full")
WRITES = {"open", "os.rename", "os.remove", "os.mkdir", "shutil.rmtree"}
KILLED, SENTENCE, TRACEBACK = 9, 2, 3


def _is_write(event: str, args: tuple, root: str) -> bool:
    if event not in WRITES or not isinstance(args[0], str | os.PathLike):
        return False
    if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
        return False
    if (event == "os.mkdir") == os.path.lexists(args[0]) and event in ("os.mkdir", "os.remove"):
        return False  # a folder that is there, a file that is not: nothing changes
    return os.fspath(args[0]).startswith(root)


def strike(
    job: Callable[[], object], root: Path, fault: str, nth: int, size: int | None = None
) -> tuple[int, str]:
    """Run `job` in a child of this process, with the fault at its nth write under `root`.

    `kill` ends it at once, `full` is a disk without space from there on; with `size`, no file can
    grow over so many bytes. Returns what was raised, after 0, KILLED, SENTENCE (a ValueError or an
    OSError: the commands print it in a line) or TRACEBACK.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said
    seen = 0

    def watch(event: str, args: tuple) -> None:
        nonlocal seen
        if not _is_write(event, args, str(root)):
            return
        seen += 1
        if fault == "kill" and seen == nth:
            os._exit(KILLED)
        if fault == "full" and seen >= nth and event in ("open", "os.mkdir"):
            raise OSError(errno.ENOSPC, "No space left on device", os.fspath(args[0]))

    code, said = 0, ""
    try:
        if size is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        sys.addaudithook(watch)
        job()
    except (ValueError, OSError) as error:
        code, said = SENTENCE, str(error)
    except BaseException as error:
        code, said = TRACEBACK, repr(error)
    os.write(writer, said.encode())
    os._exit(code)


def strikes(
    job: Callable[[], object], root: Path, reset: Callable[[], object], first: int = 1
) -> Iterator[tuple[str, int]]:
    """Strike `job` at each of its writes from the `first` on, with each fault.

    `reset` is called before each. Yields `(fault, nth)` when the job has ended as it
    should: killed, or in one line that names the disk.
    """
    for fault in FAULTS:
        for nth in count(first):
            reset()
            code, said = strike(job, root, fault, nth)
            if code == 0:
                break
            assert code == (KILLED if fault == "kill" else SENTENCE), (fault, nth, said)
            if fault == "full":
                assert "No space left on device" in said, (nth, said)
                assert "\n" not in said
            yield fault, nth


def content(folder: Path) -> dict[str, bytes]:
    """What is in each file of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def truncations(root: Path, pattern: str = "**/*"):
    """Each file under `root` in turn: cut to a half, emptied, gone; whole again afterwards."""
    for path in sorted(root.glob(pattern)):
        if not path.is_file():
            continue
        content = path.read_bytes()
        for kept in (content[: len(content) // 2], b"", None):
            if kept is None:
                path.unlink()
            else:
                path.write_bytes(kept)
            yield path, "gone" if kept is None else f"{len(kept)} bytes"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
