"""What a chapter reads and leaves: one folder a run, `reports/<name>/`, every file written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpt2news.corpus import ROOT


def reports_root() -> Path:
    """`reports/` of the repository, or the folder that `GPT2NEWS_REPORTS` names."""
    return Path(os.environ.get("GPT2NEWS_REPORTS") or ROOT / "reports")


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` (file or folder) that takes its place only when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        if part.is_dir() and target.exists():
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            os.replace(target, old)
            os.replace(part, target)
            shutil.rmtree(old)
        else:
            os.replace(part, target)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


class Run:
    """The folder of one run, as the notebooks see it.

    Attributes:
        folder: `reports/<name>`; made when missing.
    """

    def __init__(self, name: str):
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"run name {name!r}: a plain folder name is needed, such as 'quick'")
        self.name = name
        self.folder = reports_root() / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, *parts: str) -> Path:
        """A path under the run's folder."""
        return self.folder.joinpath(*parts)

    def needs(self, *parts: str, chapter: str) -> Path:
        """A file or folder that an earlier chapter made.

        Raises:
            FileNotFoundError: it is not there; the message says which chapter makes it.
        """
        path = self.path(*parts)
        if not path.exists():
            raise FileNotFoundError(f"reports/{self.name}/{'/'.join(parts)} is not there: run chapter {chapter} first")
        return path

    @property
    def metrics(self) -> dict:
        """What the chapters have recorded so far (`metrics.json`)."""
        path = self.path("metrics.json")
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def record(self, **sections: dict) -> None:
        """Put sections into `metrics.json`; a section that is there already is replaced whole."""
        self.write_json("metrics.json", {"profile": self.name, **self.metrics, **sections})

    def write_json(self, name: str, content: dict) -> None:
        """Write one JSON file of the run."""
        with atomic(self.path(name)) as file:
            file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
