"""Files that are whole: a way to write that leaves the old content or the new, and a list to hold
finished work against before it is used again."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LISTED = "files.json"
PAUSES = (0.1, 0.4, 1.5)  # seconds in which a virus scanner lets go of a file


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces so that its size does not matter."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def move(source: Path, target: Path) -> None:
    """`os.replace`; where it is refused, as Windows does while a file is open, tried again.

    Raises PermissionError, which names the file, after a few seconds.
    """
    for pause in PAUSES:
        try:
            return os.replace(source, target)
        except PermissionError as error:
            time.sleep(pause)
            number = error.errno
    says = "it may not be written, or is open in another program; close it there"
    raise PermissionError(number, says, str(target))


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` (file or folder) that takes its place only when the block
    ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        if part.is_dir() and target.exists():
            # A folder cannot take the place of one that holds files: the old one steps aside.
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            move(target, old)
            move(part, target)
            shutil.rmtree(old)
        else:
            move(part, target)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def _facts_of(path: Path) -> dict | None:
    """Size and hash of a file, and the rows of a CSV table; None where there is none."""
    if not path.is_file():
        return None
    facts = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    if path.suffix == ".csv":
        csv.field_size_limit(2**31 - 1)
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            facts["rows"] = sum(map(bool, csv.reader(file))) - 1  # one is the header
    return facts


def _listed(folder: Path) -> dict[str, dict]:
    """What `files.json` says; {} where it is not as `seal` wrote it."""
    try:
        text = (folder / LISTED).read_text(encoding="utf-8")
        listed = json.loads(text)
    except (OSError, ValueError):
        return {}
    return listed if isinstance(listed, dict) and text == json.dumps(listed, indent=1) else {}


def seal(folder: Path) -> None:
    """Write `files.json`, last of all: size, hash and rows of each file of a folder."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("[!.]*")}
    paths.pop(LISTED, None)
    files = {name: _facts_of(path) for name, path in sorted(paths.items()) if path.is_file()}
    with atomic(folder / LISTED) as part:
        part.write_text(json.dumps(files, indent=1), encoding="utf-8")


def damage(folder: Path, names: list[str] | None = None) -> list[str]:
    """Which files of a sealed folder, or which of `names`, are not as `files.json` lists them."""
    listed = _listed(folder)
    if not listed:
        return [LISTED]
    asked = listed if names is None else names
    whole = [name for name in listed if name in asked and _facts_of(folder / name) == listed[name]]
    return [name for name in asked if name not in whole]


def sweep(folder: Path) -> None:
    """Remove what `atomic` has left in a folder when it was killed."""
    for path in [*folder.rglob(".*.part*"), *folder.rglob(".*.old")]:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
