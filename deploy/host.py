"""Install this library on a host that brings packages of its own, as Colab and Kaggle do.

    python deploy/host.py

What the host has stays as it is: each of its versions is a constraint. Only where pip finds no
solution then, the packages that it names as the conflict may move, and what moved is said.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARY = f"{Path(__file__).resolve().parents[1]}[notebooks]"
IN_THE_WAY = re.compile(r"The user requested \(constraint\) ([\w.-]+?)==")
MOVED = "These moved, because nothing fits as they were. Restart the kernel: "


def canonical(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """Name -> version of all that this Python has, but for this library."""
    importlib.invalidate_caches()
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        # Of two with one name, the first on the path is the one that is imported.
        found.setdefault(canonical(each.metadata["Name"] or ""), each.version)
    return {name: version for name, version in found.items() if name not in ("", "gpt2-news")}


def install(what: str = LIBRARY) -> dict[str, str]:
    """Install with pip; returns what moved: name -> "old to new".

    Raises:
        SystemExit: pip failed for another reason than a version; with what it said last.
    """
    before = installed()
    fixed = dict(before)
    while True:
        with tempfile.TemporaryDirectory() as folder:
            constraints = Path(folder, "host.txt")
            lines = [f"{name}=={version}\n" for name, version in sorted(fixed.items())]
            constraints.write_text("".join(lines), encoding="utf-8")
            command = [sys.executable, "-m", "pip", "install", "-c", str(constraints)]
            done = subprocess.run(
                [*command, "-e", what], capture_output=True, text=True, check=False
            )
        if done.returncode == 0:
            break
        said = done.stdout + done.stderr
        named = {canonical(name) for name in IN_THE_WAY.findall(said)} & fixed.keys()
        if not named:
            raise SystemExit("pip could not install the library: " + " ".join(said.split()[-60:]))
        for name in named:
            del fixed[name]
    after = installed()
    changed = [name for name in before if name in after and after[name] != before[name]]
    return {name: f"{before[name]} to {after[name]}" for name in changed}


if __name__ == "__main__":
    if moved := install():
        print(MOVED + ", ".join(f"{name} {versions}" for name, versions in moved.items()))
