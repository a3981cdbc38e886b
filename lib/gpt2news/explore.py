"""Chapter 01: load a corpus of labelled texts, or say what is wrong with it; count its words."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from tokenizers import Regex, normalizers

from gpt2news.run import ROOT, sha256_of
from newsserve.tables import Table, TableError

RAW = ROOT / "data" / "raw"
SAMPLE = ROOT / "data" / "sample" / "articles.csv"
BBC_TOPICS = ("business", "entertainment", "politics", "sport", "tech")
MIN_TEXTS_A_TOPIC = 10

# Lower case, accents stripped, every run of other characters one space. It makes the two BBC
# sources, the cased archive and the lower-cased CSV, the same text. gpt2-mini keeps it inside its
# tokenizer.json, so that training and every way of use read a text alike.
NORMALISER = normalizers.Sequence(
    [
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(r"[^a-z0-9£$%.:\-]+"), " "),
        normalizers.Strip(),
    ]
)


class CorpusError(ValueError):
    """Something is wrong with a corpus; the message names the file, the row and the way out."""


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
    if name in ("sample", *SOURCES):
        text, label = "text", "category" if name == "bbc-csv" else "topic"
    table = pd.DataFrame(_archive(path) if name == "bbc" else _rows(path), dtype=object)
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
    table = table.where(table.notna(), "").astype(str)
    table["topic"] = table["topic"].str.strip()
    _check_rows(table, path.name, BBC_TOPICS if name in SOURCES else None)
    _check_topics(table, path.name)
    return table


def _rows(path: Path) -> Iterator[dict]:
    """The rows of a table, by the one reader that batch scoring and the web app use too."""
    kind = path.suffix[1:].lower()
    if kind not in ("csv", "jsonl", "parquet"):
        raise CorpusError(
            f"{path.name}: files end in .csv, .jsonl or .parquet, not {path.suffix or 'nothing'}"
        )
    try:
        if kind != "parquet":
            path.read_bytes().decode("utf-8")
        for number, (row, wrong) in enumerate(Table(path), 1):
            if wrong:
                raise TableError(f"row {number}: {wrong}; texts with commas need double quotes")
            yield row
    except UnicodeDecodeError as error:
        line, byte = error.object[: error.start].count(b"\n") + 1, error.object[error.start]
        raise CorpusError(
            f"{path.name}: line {line} is not UTF-8 (byte 0x{byte:02x}); "
            "save the file as UTF-8 and run again"
        ) from error
    except (TableError, ValueError, OSError) as error:  # pyarrow's errors are ValueErrors
        reason = str(error).removeprefix(f"{path}: ")
        raise CorpusError(
            f"{path.name}: cannot be read as {kind}: {reason}. Is the file whole?"
        ) from error


def _archive(path: Path) -> Iterator[dict]:
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


def _check_rows(table: pd.DataFrame, name: str, topics: tuple[str, ...] | None) -> None:
    """Refuse rows that would surface an hour later as a strange score."""
    text, topic = table["text"], table["topic"]
    not_decoded = "replacement character U+FFFD (bytes that were not decoded)"
    faults = [
        ("empty text", text.str.strip() == "", "fill in the text or delete the row"),
        ("empty topic", topic == "", "fill in the topic or delete the row"),
        (not_decoded, text.str.contains("\ufffd"), "read the source with its right encoding"),
        ("duplicate source_id", table["source_id"].duplicated(), "give each row its own id"),
    ]
    if topics:
        unknown = f"unknown topic (not one of {', '.join(topics)})"
        faults.append((unknown, ~topic.isin(topics), "correct it"))
    for what, wrong, way_out in faults:
        rows = np.flatnonzero(wrong)
        if len(rows):
            named = ", ".join(f"{i + 1} (id {table['source_id'].iloc[i]})" for i in rows[:5])
            more = " …" if len(rows) > 5 else ""
            raise CorpusError(f"{name}: {what} in row {named}{more}; {way_out}")


def _check_topics(table: pd.DataFrame, name: str) -> None:
    """Refuse a single topic, and topics of a few texts."""
    counts = table["topic"].value_counts()
    if len(counts) < 2:
        only = f"one topic only ({counts.index[0]!r}); a classifier needs two or more"
        raise CorpusError(f"{name}: {only}")
    small = counts[counts < MIN_TEXTS_A_TOPIC]
    if len(small):
        listed = ", ".join(f"{topic[:40]!r} has {n}" for topic, n in small[:5].items())
        if len(small) > 5:
            listed += f", and {len(small) - 5:,} more (is that the label column?)"
        raise CorpusError(
            f"{name}: fewer than {MIN_TEXTS_A_TOPIC} texts a topic: {listed}; "
            "add texts or drop the topic"
        )


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


def normalise(text: str) -> str:
    """`text` as gpt2-mini's tokenizer sees it (see `NORMALISER`)."""
    return NORMALISER.normalize_str(text)


def unread(text: str) -> bool:
    """Would `normalise` lose most letters of `text`? It keeps a to z: another script is lost."""
    if text.isascii():
        return False
    letters, kept = sum(map(str.isalpha, text)), sum(map(str.isalpha, normalise(text)))
    return 2 * kept < letters


def comparable(text: str) -> str:
    """`text` for counting words: `normalise`d, or in another script lower case and words only."""
    return " ".join(re.findall(r"\w+", text.lower())) if unread(text) else normalise(text)


def excerpt(text: str) -> str:
    """The first 20 words, no more in any report: the articles belong to their publishers."""
    words = text.split()
    return " ".join(words[:20]) + (" …" if len(words) > 20 else "")


def marking_words(texts: list[str], topics: list[str], n: int = 10) -> pd.DataFrame:
    """The `n` words that mark each topic most: columns `topic`, `word`, `z`.

    z-scored log-odds with an informative Dirichlet prior: Monroe, Colaresi and Quinn, "Fightin'
    Words", Political Analysis 16(4), 2008. Words of three letters and more.
    """
    vectorizer = CountVectorizer(preprocessor=comparable, token_pattern=r"[^\W\d_]{3,}", min_df=3)
    counts = vectorizer.fit_transform(texts)
    words, labels = vectorizer.get_feature_names_out(), np.asarray(topics)
    # The prior is the whole corpus: a word needs many counts to move away from it.
    prior = np.asarray(counts.sum(axis=0)).ravel()
    rows = []
    for topic in sorted(set(topics)):
        inside = np.asarray(counts[labels == topic].sum(axis=0)).ravel() + prior
        outside = 3 * prior - inside
        log_odds = [np.log(part / (part.sum() - part)) for part in (inside, outside)]
        z = (log_odds[0] - log_odds[1]) / np.sqrt(1 / inside + 1 / outside)
        rows += [(topic, words[i], z[i]) for i in np.argsort(-z)[:n]]
    return pd.DataFrame(rows, columns=["topic", "word", "z"])
