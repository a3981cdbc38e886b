"""What each door says to each hostile file: `python tests/data/cases/doors.py` prints the table.

A row a file, a column a door: its exit code or HTTP status, and its first words. A stand-in answers
in place of a model, so that the table is made in a few seconds. With words after it, such as
`… doors.py gz`, only files whose names hold one of them.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import yaml
from fastapi.testclient import TestClient
from hostile import CASES, Case

from gpt2news.explore import CorpusError, load_corpus
from gpt2news.run import ROOT
from newsreport import __main__ as command
from newsserve import batch, server
from newsserve.predictor import Answer
from newsserve.tables import TableError

SHOWN = 76  # characters of what is said
JSON = {"Accept": "application/json"}
JSON_NAMES = (".json", ".jsonl", ".ndjson")
MODEL = ROOT / "models" / "gpt2-mini-bbc"
Said = tuple[int, str]


def answer(texts: list[str]) -> list[Answer]:
    """A model that finds everything to be sport: the doors do not depend on it."""
    return [Answer("sport", 0.9, True, {"sport": 0.9}, 5, False) for _ in texts]


def asked(words: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and errors of the command."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = command.main(words)
    for stream in (out, err):
        stream.seek(0)
    return code, out.read().strip(), err.read().strip()


def new_profile(case: Case, path: Path) -> Said:
    code, out, err = asked(["new-profile", "mine", "--data", str(path), *case.given])
    return code, err or out.splitlines()[-2]


def doctor(case: Case, path: Path) -> Said:
    code, out, _ = asked(["doctor", str(path), *case.given])
    trouble = [line for line in out.splitlines() if "cannot be learned from" in line]
    return code, (trouble or out.splitlines())[0]


def chapter_01(case: Case, path: Path) -> Said:
    """What `report` stops or goes on with: the corpus as its first chapter loads it."""
    written = path.parent / "notebooks" / "profiles" / "mine.yaml"
    values = {"max_left_out": 0.0} if "--strict" in case.given else {}
    if written.exists():
        values = yaml.safe_load(written.read_text(encoding="utf-8"))["01_explore"]
    named = {name: value for name, value in values.items() if name != "dataset"}
    try:
        corpus = load_corpus(path, **named)
    except (CorpusError, TableError) as error:
        return 1, str(error)
    left = f", {len(corpus.attrs['left_out'])} rows left out" if corpus.attrs["left_out"] else ""
    return 0, f"{len(corpus)} texts, {corpus['topic'].nunique()} topics{left}"


def classify(case: Case, path: Path) -> Said:
    out = path.parent / "answered.csv"
    words = ["classify", "--model", str(MODEL), "--input", str(path), "--output", str(out)]
    words += ["--text-column", case.text or "text"]
    if "--columns" in case.given:
        words += ["--columns", case.given[case.given.index("--columns") + 1]]
    code, _, err = asked(words)
    counts = [line for line in err.splitlines() if " rows: " in line]
    return code, (counts or err.splitlines())[-1]


def app(case: Case, path: Path) -> Said:
    """0: the rows are taken; 1: the app shows an error."""
    from newsserve.app import upload

    try:
        table, rows = upload.read(case.name, case.data)
    except TableError as error:
        return 1, str(error)
    return 0, f"{len(rows)} rows, texts in {table.column!r}"


def http(client: TestClient) -> Callable[[Case, Path], Said]:
    def post(case: Case, path: Path) -> Said:
        lines = "application/jsonlines" if path.suffix in (".jsonl", ".ndjson") else None
        kind = lines or ("application/json" if path.suffix in JSON_NAMES else "text/csv")
        reply = client.post(
            "/invocations", content=case.data, headers={"Content-Type": kind, **JSON}
        )
        said = reply.json()
        return reply.status_code, (
            f"{len(said)} answers" if reply.status_code == 200 else said["detail"]
        )

    return post


def said_by_all(case: Case, folder: Path, client: TestClient) -> dict[str, Said]:
    """Door -> its code and its words on a file."""
    path = folder / case.name
    path.write_bytes(case.data)
    doors = {
        "new-profile": new_profile,
        "doctor": doctor,
        "report": chapter_01,
        "classify": classify,
        "app": app,
        "HTTP": http(client),
    }
    said = {}
    for name, door in doors.items():
        code, words = door(case, path)
        said[name] = code, " ".join(words.replace(f"{folder}/", "").split())
    return said


def table(wanted: list[str], folder: Path) -> dict[str, dict[str, Said]]:
    """File -> `said_by_all` of it, for the files whose names hold one of the words."""
    rows = {}
    with (
        mock.patch("newsreport.profiles.NOTEBOOKS", folder / "notebooks"),
        mock.patch.object(batch, "Predictor", return_value=answer),
        mock.patch.object(server, "Predictor", return_value=answer),
        TestClient(server.make_app(folder)) as client,
    ):
        for case in CASES:
            if not wanted or any(word in case.name for word in wanted):
                (folder / "notebooks" / "profiles" / "mine.yaml").unlink(missing_ok=True)
                rows[case.name] = said_by_all(case, folder, client)
    return rows


def main(wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = table(wanted, Path(folder))
    for name, said in rows.items():
        print(name)
        for door, (code, words) in said.items():
            print(f"  {door:<12} {code:>3}  {words[:SHOWN]}")


if __name__ == "__main__":
    main(sys.argv[1:])
