"""The corpora that the tutorial knows by name, and which rows of any file make a corpus."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from gpt2news.explore import SAMPLE, CorpusError
from gpt2news.run import OWN, ROOT
from newsserve.tables import Table, TableError, cell_of, fault_of

RAW = ROOT / "data" / "raw"
BBC_TOPICS = ("business", "entertainment", "politics", "sport", "tech")
MIN_TEXTS_A_TOPIC = 10
# How the known corpora are read: their columns of texts and of labels, and their topics.
LABELS = {
    "sample": ("text", "topic", BBC_TOPICS),
    "bbc": ("text", "topic", BBC_TOPICS),
    "bbc-csv": ("text", "category", BBC_TOPICS),
    "agnews": ("title+description", "class", ()),
}
# Of a file without a header whose labels are numbers: its columns, and what the numbers mean.
NUMBERED = {"agnews": ("class,title,description", "World,Sports,Business,Sci/Tech")}


class Source(NamedTuple):
    """A public corpus: its file, where it is downloaded from, the hash of a download."""

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
    "agnews": Source(
        "ag_news_test.csv",
        "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/test.csv",
        "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
    ),
}


def locate(name_or_path: str | Path) -> Path:
    """The file of a corpus: its name or a path, a relative one also from the repository's root.

    A public corpus is looked for in `data/raw/` and in the folder `GPT2NEWS_DATA`, then downloaded.
    A local file is taken as it is; a download is held to the known hash.

    Raises:
        CorpusError: no such file or corpus, or a failed download, with the steps by hand.
    """
    name = str(name_or_path)
    if name == "sample":
        return SAMPLE
    places = [Path(name), ROOT / name]
    own = map(Path, os.environ.get(OWN, "").splitlines())  # whose paths a report does not show
    places = [path for path in own if path.name == name] + places
    if name in SOURCES:
        file, folder = SOURCES[name].file, os.environ.get("GPT2NEWS_DATA") or RAW
        places = [RAW / file, Path(folder, file), ROOT / folder / file]
    for path in places:
        if path.is_file():
            return path
    if name in SOURCES:
        return _download(name, SOURCES[name])
    known = ", ".join(["sample", *SOURCES])
    raise CorpusError(f"{name}: no such file, and not one of the known corpora: {known}")


def _download(name: str, source: Source) -> Path:
    import pooch

    known_hash = f"sha256:{source.sha256}"
    try:
        return Path(pooch.retrieve(source.url, known_hash, source.file, RAW, progressbar=True))
    except Exception as error:  # requests, urllib3, ssl and pooch each have their own
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise CorpusError(
            f"{name}: {source.url} could not be downloaded ({reason}). By hand: fetch that file "
            f"with a browser (sha256 {source.sha256}), save it as data/raw/{source.file} or in the "
            "folder that the environment variable GPT2NEWS_DATA names, and run again."
        ) from error


def archive(path: Path) -> Iterator[dict]:
    """The BBC archive: `bbc/<topic>/<number>.txt`, UTF-8 or else latin-1."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist()):
                name = PurePosixPath(member.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts:
                    raise CorpusError(
                        f"{path.name}: member {member!r} points outside the archive; "
                        "fetch the file again"
                    )
                if name.suffix != ".txt" or len(name.parts) != 3:
                    continue
                data, topic = archive.read(member), name.parts[1]
                try:
                    text = data.decode("utf-8")
                except UnicodeDecodeError:
                    text = data.decode("latin-1")
                yield {"text": text.strip(), "topic": topic, "source_id": f"{topic}/{name.stem}"}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise CorpusError(
            f"{path.name}: not a whole zip file ({error}); delete {path.name} and fetch it again"
        ) from error


# --- any file: which of its rows are used ---------------------------------------------------------


def load(
    name_or_path: str | Path,
    text_column: str = "text",
    label_column: str = "topic",
    column_names: str = "",
    label_names: str = "",
    encoding: str = "",
    max_left_out: float = 0.05,
) -> pd.DataFrame:
    """A corpus as a frame with the columns `text`, `topic`, `source_id` (strings, a row a text).

    Rows that cannot be used are left out. `attrs["left_out"]` names each, `attrs["notes"]` says
    what should be known of how the file was read.

    Args:
        name_or_path: `sample`, `bbc` (archive), `bbc-csv`, `agnews`, or a file that
            `newsserve.tables` reads. A column `source_id` in it names the rows if it has no name
            twice; else they are numbered from 1.
        text_column, label_column: of the texts and of the topics, for a file; `a+b` joins two.
        column_names: for a CSV file without a header, with commas between.
        label_names: for labels that are numbers, with commas between, in the order of the numbers.
        encoding: of the file; "": found out.
        max_left_out: share of the rows that may be left out.

    Raises:
        CorpusError: no file, a fault in it, or too many rows that cannot be used.
    """
    path, known = locate(name_or_path), LABELS.get(str(name_or_path))
    text, label, topics = known or (text_column, label_column, ())
    numbered = NUMBERED.get(str(name_or_path), (column_names, label_names))
    column_names, label_names = numbered
    notes, names = [], []
    try:
        if known and path.suffix == ".zip":
            rows = [(f"row {n}", row, None) for n, row in enumerate(archive(path), 1)]
        else:
            file = Table(path, text, columns=column_names, encoding=encoding)
            rows = [(f"{file.unit} {file.line}", row, wrong) for row, wrong in file]
            notes, names = file.notes(), _names_inside(file, label)
            lacking = file.lacks(text, label) if rows else ""
            if lacking:
                chapters = "text_column and label_column of chapters 01 and 02"
                raise TableError(f"{path}: {lacking}. Name the columns: {chapters}")
    except TableError as error:
        raise CorpusError(str(error).replace(str(path), path.name)) from error
    if not rows:
        raise CorpusError(f"{path.name}: no texts in it; is the file whole?")
    judged = [_judged(at, row, wrong, text, label) for at, row, wrong in rows]
    table = pd.DataFrame(judged, dtype=object)  # strings of pandas' own take no broken bytes
    if table["source_id"].isna().any() or table["source_id"].duplicated().any():
        table["source_id"] = range(1, len(table) + 1)
    # The numbers of the library `datasets` begin with 0; those of others with 0 or 1.
    start = 0 if names or "0" in set(table["topic"]) else 1
    names = [name.strip() for name in label_names.split(",")] if label_names else names
    allowed = topics or [str(n) for n, _ in enumerate(names, start)]
    if allowed:
        unknown = (table["wrong"] == "") & ~table["topic"].isin(allowed)
        table.loc[unknown, "wrong"] = f"unknown topic (not one of {', '.join(allowed)})"
        table["topic"] = table["topic"].replace(dict(zip(allowed, names or allowed, strict=True)))
    left_out = _leave_out(table, path.name, max_left_out)
    table = table.loc[table["wrong"] == "", ["text", "topic", "source_id"]].astype(str)
    rows = table.to_csv(index=False).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(rows).hexdigest()
    table.attrs = {"left_out": left_out, "notes": notes, "sha256": digest}
    return table.reset_index(drop=True)


def check_same(metrics: dict, texts: pd.DataFrame) -> None:
    """CorpusError: an earlier chapter of the run has recorded other rows than these."""
    earlier = metrics.get("dataset", {})
    if earlier.get("rows_sha256", texts.attrs["sha256"]) != texts.attrs["sha256"]:
        raise CorpusError(
            f"chapter 01 of this run has read {earlier['rows']:,} other texts ({earlier['name']}): "
            "give both chapters the same dataset and columns and run 01 again, or name another run"
        )


def _names_inside(file: Table, column: str) -> list[str]:
    """What a Parquet file of the library `datasets` says that the numbers in a column mean."""
    known = (file.schema.metadata or {}) if file.schema else {}
    features = json.loads(known.get(b"huggingface", "{}")).get("info", {}).get("features", {})
    return features.get(column, {}).get("names") or []


def _judged(at: str, row: dict, wrong: str | None, text: str, label: str) -> dict:
    """What of a row counts, and what is `wrong` with it ("": nothing)."""
    words, topic = cell_of(row, text), cell_of(row, label)
    if isinstance(topic, list) and len(topic) == 1:
        topic = topic[0]
    if isinstance(topic, float):
        topic = int(topic) if topic.is_integer() else None if topic != topic else topic  # NaN
    wrong = wrong or fault_of(words)
    if topic is None or not str(topic).strip():
        wrong = wrong or "no topic"
    if isinstance(topic, (list, dict)):
        wrong = wrong or f"not one label but {topic}"
    if "\ufffd" in f"{words}{topic}":
        wrong = wrong or "U+FFFD: these bytes were read with a wrong encoding once"
    judged = {"text": words, "topic": str(topic).strip(), "source_id": row.get("source_id") or None}
    return {**judged, "at": at, "wrong": wrong or ""}


def _leave_out(table: pd.DataFrame, name: str, most: float) -> list[str]:
    """Why each row is left out that cannot be used, or whose topic is rare; refuse too many."""
    bad = table[table["wrong"] != ""]
    if len(bad) > most * len(table):
        named = "; ".join(_named(bad)[:5])
        more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
        raise CorpusError(
            f"{name}: {len(bad):,} of {len(table):,} rows cannot be used, and {most:.0%} may be "
            f"left out: {named}{more}. Correct them, or raise max_left_out (--max-left-out)."
        )
    counts = table.loc[table["wrong"] == "", "topic"].value_counts()
    small = counts[counts < MIN_TEXTS_A_TOPIC]
    if small.sum() > most * len(table):
        listed = ", ".join(f"{topic[:40]!r} has {n}" for topic, n in small[:5].items())
        if len(small) > 5:
            listed += f", and {len(small) - 5:,} more (is that the label column?)"
        few = f"fewer than {MIN_TEXTS_A_TOPIC} texts a topic"
        raise CorpusError(f"{name}: {few}: {listed}; add texts or drop the topic")
    if len(counts) - len(small) < 2:
        only = f"one topic only ({', '.join(counts.index[:1])!r})"
        raise CorpusError(f"{name}: {only}; a classifier needs two or more")
    rare = (table["wrong"] == "") & table["topic"].isin(small.index)
    table.loc[rare, "wrong"] = "its topic is rare: " + table["topic"]
    return _named(table[table["wrong"] != ""])


def _named(bad: pd.DataFrame) -> list[str]:
    """Where each row is and what is wrong with it; too short to hold a text."""
    return (bad["at"] + ": " + bad["wrong"]).str.slice(0, 120).tolist()
