"""Load a corpus of labelled texts, or say what is wrong with it."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from gpt2news.run import ROOT, sha256_of
from newsserve.tables import TableError, read_rows

RAW = ROOT / "data" / "raw"
SAMPLE = ROOT / "data" / "sample" / "articles.csv"
BBC_TOPICS = ("business", "entertainment", "politics", "sport", "tech")
MIN_TEXTS_A_TOPIC = 10


class CorpusError(ValueError):
    """Something is wrong with a corpus; the message names the file, the row and the way out."""


@dataclass(frozen=True)
class Source:
    """A public corpus: its file, the address it is downloaded from, the hash of a download."""

    file: str
    url: str
    sha256: str


SOURCES = {
    "bbc": Source(
        "bbc-fulltext.zip",
        "http://mlg.ucd.ie/files/datasets/bbc-fulltext.zip",
        "a351031a62325b3d7ff13146eeb035c22feca8290913b5183d1ff3be35109495",
    ),
    "bbc-csv": Source(
        "bbc-text.csv",
        "https://storage.googleapis.com/dataset-uploader/bbc/bbc-text.csv",
        "fdaee0f7451cd8db2709d00e992886fe1c387ee332b8c7b7c1554ed3d3e3382e",
    ),
}


def find_source(name: str) -> Path:
    """The file of a public corpus: in `data/raw/`, in the folder `GPT2NEWS_DATA`, or downloaded.

    A local file is taken as it is; a download is held to the known hash.

    Raises:
        CorpusError: the download failed or has another hash; the message has the manual steps.
    """
    source = SOURCES[name]
    places = [RAW]
    if named := os.environ.get("GPT2NEWS_DATA"):
        # A relative folder counts from where one is, or from the repository.
        places += [Path(named), ROOT / named]
    for place in places:
        if (place / source.file).exists():
            return place / source.file
    import pooch

    try:
        known_hash = f"sha256:{source.sha256}"
        return Path(pooch.retrieve(source.url, known_hash, source.file, RAW, progressbar=True))
    except Exception as error:  # requests, urllib3, ssl and pooch each have their own
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise CorpusError(
            f"{name}: {source.url} could not be downloaded ({reason}). By hand: fetch that file "
            f"with a browser (sha256 {source.sha256}), save it as data/raw/{source.file} or in the "
            "folder that the environment variable GPT2NEWS_DATA names, and run again."
        ) from error


def locate(name_or_path: str | Path) -> Path:
    """The file behind a corpus name, or a path; a relative one also from the repository's root.

    Raises:
        CorpusError: neither a known name nor an existing file.
    """
    if str(name_or_path) == "sample":
        return SAMPLE
    if str(name_or_path) in SOURCES:
        return find_source(str(name_or_path))
    for path in (Path(name_or_path), ROOT / name_or_path):
        if path.is_file():
            return path
    known = ", ".join(["sample", *SOURCES])
    raise CorpusError(f"{name_or_path}: no such file, and not one of the known corpora: {known}")


def load_corpus(name_or_path: str | Path, text: str = "text", label: str = "topic") -> pd.DataFrame:
    """A corpus as a frame with the columns `text`, `topic`, `source_id` (strings, a row a text).

    Args:
        name_or_path: `sample`, `bbc` (archive), `bbc-csv`, or a .csv, .jsonl or .parquet file. A
            column `source_id` in it names the rows; else they are numbered from 1.
        text, label: columns of the texts and of the topics, for a file.

    Raises:
        CorpusError: no file, or a fault in it, with its first rows (counted from 1, without the
            header).
    """
    path, name = locate(name_or_path), str(name_or_path)
    columns = {"sample": ("text", "topic"), "bbc-csv": ("text", "category")}
    if name == "bbc":
        frame = _read_archive(path)
    else:
        frame = _read_table(path, *columns.get(name, (text, label)))
    _check(frame, path.name, BBC_TOPICS if name in SOURCES else None)
    return frame


def describe(dataset: str, texts: pd.DataFrame, unique: int) -> dict:
    """The section `dataset` of metrics.json: name, hash of the file, counts, topics."""
    path = locate(dataset)
    return {
        "name": dataset if dataset in ("sample", *SOURCES) else path.name,
        "sha256": sha256_of(path),
        "rows": len(texts),
        "unique": unique,
        "duplicates_removed": len(texts) - unique,
        "topics": sorted(texts["topic"].unique()),
    }


def _rows(path: Path) -> Iterator[dict]:
    """The rows of a table, by the one reader that batch scoring and the web app use too."""
    kind = path.suffix[1:].lower()
    if kind not in ("csv", "jsonl", "parquet"):
        raise CorpusError(
            f"{path.name}: files end in .csv, .jsonl or .parquet, not {path.suffix or 'nothing'}"
        )
    if kind != "parquet":
        _check_encoding(path)
    try:
        for number, (row, wrong) in enumerate(read_rows(path), 1):
            if wrong:
                raise TableError(f"row {number}: {wrong}; texts with commas need double quotes")
            yield row
    except (TableError, ValueError, OSError) as error:  # pyarrow's errors are ValueErrors
        reason = str(error).removeprefix(f"{path}: ")
        raise CorpusError(
            f"{path.name}: cannot be read as {kind}: {reason}. Is the file whole?"
        ) from error


def _check_encoding(path: Path) -> None:
    data = path.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, byte = data[: error.start].count(b"\n") + 1, data[error.start]
        raise CorpusError(
            f"{path.name}: line {line} is not UTF-8 (byte 0x{byte:02x}); "
            "save the file as UTF-8 and run again"
        ) from error


def _read_table(path: Path, text: str, label: str) -> pd.DataFrame:
    table = pd.DataFrame(list(_rows(path)), dtype=object)
    if table.empty:
        raise CorpusError(f"{path.name}: no texts in it; is the file whole?")
    missing = [column for column in (text, label) if column not in table]
    if missing:
        raise CorpusError(
            f"{path.name}: no column {' and no column '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, table.columns))}. Name the columns: text_column and "
            "label_column of chapters 01 and 02, --text and --label of new-profile."
        )
    if "source_id" not in table:
        table["source_id"] = range(1, len(table) + 1)
    table = table[[text, label, "source_id"]].set_axis(["text", "topic", "source_id"], axis=1)
    return table.where(table.notna(), "").astype(str)


def _read_archive(path: Path) -> pd.DataFrame:
    """The BBC archive: `bbc/<topic>/<number>.txt`, UTF-8 or else latin-1."""
    rows = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist()):
                parts = PurePosixPath(member.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts:
                    raise CorpusError(
                        f"{path.name}: member {member!r} points outside the archive; "
                        "fetch the file again"
                    )
                if parts.suffix != ".txt" or len(parts.parts) != 3:
                    continue
                data = archive.read(member)
                try:
                    content = data.decode("utf-8")
                except UnicodeDecodeError:
                    content = data.decode("latin-1")
                rows.append((content.strip(), parts.parts[1], f"{parts.parts[1]}/{parts.stem}"))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise CorpusError(
            f"{path.name}: not a whole zip file ({error}); delete {path.name} and fetch it again"
        ) from error
    return pd.DataFrame(rows, columns=["text", "topic", "source_id"])


def _check(frame: pd.DataFrame, name: str, topics: tuple[str, ...] | None) -> None:
    """Refuse what would surface an hour later as a strange score; also strips the topics."""
    if frame.empty:
        raise CorpusError(f"{name}: no texts in it; is the file whole?")
    frame["topic"] = frame["topic"].str.strip()
    faults = [
        ("empty text", frame["text"].str.strip() == "", "fill in the text or delete the row"),
        ("empty topic", frame["topic"] == "", "fill in the topic or delete the row"),
        (
            "replacement character U+FFFD (bytes that were not decoded)",
            frame["text"].str.contains("\ufffd"),
            "read the source with its right encoding",
        ),
        ("duplicate source_id", frame["source_id"].duplicated(), "give each row its own id"),
    ]
    if topics:
        unknown = f"unknown topic (not one of {', '.join(topics)})"
        faults.append((unknown, ~frame["topic"].isin(topics), "correct it"))
    for what, wrong, way_out in faults:
        rows = np.flatnonzero(wrong)
        if len(rows):
            named = ", ".join(f"{i + 1} (id {frame['source_id'].iloc[i]})" for i in rows[:5])
            more = " …" if len(rows) > 5 else ""
            raise CorpusError(f"{name}: {what} in row {named}{more}; {way_out}")
    counts = frame["topic"].value_counts()
    if len(counts) < 2:
        raise CorpusError(
            f"{name}: one topic only ({counts.index[0]!r}); a classifier needs two or more"
        )
    small = counts[counts < MIN_TEXTS_A_TOPIC]
    if len(small):
        listed = ", ".join(f"{topic[:40]!r} has {n}" for topic, n in small[:5].items())
        if len(small) > 5:
            listed += f", and {len(small) - 5:,} more (is that the label column?)"
        raise CorpusError(
            f"{name}: fewer than {MIN_TEXTS_A_TOPIC} texts a topic: {listed}; "
            "add texts or drop the topic"
        )
