"""Chapter 01: load a corpus of labelled texts, say what is wrong with it, and describe it."""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from tokenizers import Regex, normalizers

from gpt2news.run import ROOT

RAW = ROOT / "data" / "raw"
SAMPLE = ROOT / "data" / "sample" / "articles.csv"
BBC_TOPICS = ("business", "entertainment", "politics", "sport", "tech")
MIN_TEXTS_A_TOPIC = 10

# Lower case, accents stripped, every run of other characters one space. It makes the two BBC sources, the cased archive
# and the lower-cased CSV, the same text; gpt2-mini keeps it inside its tokenizer.json.
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


@dataclass(frozen=True)
class Source:
    """A public corpus: the file it is kept in, where it is downloaded from, and the hash a download must have."""

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


def normalise(text: str) -> str:
    """`text` as gpt2-mini's tokenizer sees it (see `NORMALISER`)."""
    return NORMALISER.normalize_str(text)


def unread(text: str) -> bool:
    """Would `normalise` lose most letters of `text`? It keeps a to z, so another script is lost whole."""
    return not text.isascii() and 2 * sum(map(str.isalpha, normalise(text))) < sum(
        map(str.isalpha, text)
    )


def comparable(text: str) -> str:
    """`text` for counting and comparing words: `normalise`d, or, in another script, in lower case without punctuation."""
    return " ".join(re.findall(r"\w+", text.lower())) if unread(text) else normalise(text)


def find_source(name: str) -> Path:
    """The local file of a public corpus: `data/raw/`, then the folder `GPT2NEWS_DATA`, then a download.

    A local file is taken as it is; a download is held to the known hash.

    Raises:
        CorpusError: the download failed or has another hash; the message has the manual steps.
    """
    source = SOURCES[name]
    named = os.environ.get("GPT2NEWS_DATA")
    places = [
        RAW,
        *([Path(named), ROOT / named] if named else []),
    ]  # relative to where one is, or to the repository
    for place in places:
        if (place / source.file).exists():
            return place / source.file
    import pooch

    try:
        return Path(
            pooch.retrieve(
                source.url, f"sha256:{source.sha256}", source.file, RAW, progressbar=True
            )
        )
    except Exception as error:  # requests, urllib3, ssl and pooch each have their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorpusError(
            f"{name}: {source.url} could not be downloaded ({type(error).__name__}: {reason}). By hand: fetch that file with a "
            f"browser (sha256 {source.sha256}), save it as data/raw/{source.file} or in the folder that the environment "
            "variable GPT2NEWS_DATA names, and run again."
        ) from error


def locate(name_or_path: str | Path) -> Path:
    """The file behind a corpus name (`sample`, `bbc`, `bbc-csv`) or path; a relative path is tried from the repository root too.

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
    raise CorpusError(
        f"{name_or_path}: no such file, and not one of the known corpora: sample, {', '.join(SOURCES)}"
    )


def load_corpus(name_or_path: str | Path, text: str = "text", label: str = "topic") -> pd.DataFrame:
    """A corpus as a frame with the columns `text`, `topic`, `source_id` (all strings, one row a text).

    Args:
        name_or_path: `sample`, `bbc` (archive), `bbc-csv`, or a .csv, .jsonl or .parquet file.
        text: column of the texts, for a file.
        label: column of the topics, for a file. A column `source_id`, if there, names the rows; else they are numbered from 1.

    Raises:
        CorpusError: no file, or a fault in it; the message names the first rows that have it (counted from 1, header not counted).
    """
    path = locate(name_or_path)
    name = str(name_or_path)
    if name == "bbc":
        frame = _read_archive(path)
    elif name == "bbc-csv":
        frame = _pick(_read_table(path), path, "text", "category")
    else:
        frame = _pick(
            _read_table(path), path, *(("text", "topic") if name == "sample" else (text, label))
        )
    return _checked(frame, path, BBC_TOPICS if name in SOURCES else None)


def _read_table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(io.StringIO(_decoded(path)), dtype=str, keep_default_na=False)
            if not isinstance(
                table.index, pd.RangeIndex
            ):  # pandas took the first field for an index and shifted the rest
                raise CorpusError(
                    f"{path.name}: row 1 has more fields than the header; put texts with commas in double quotes"
                )
            return table
        if path.suffix == ".jsonl":
            return pd.read_json(io.StringIO(_decoded(path)), lines=True, dtype=False)
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
    except CorpusError:
        raise
    except Exception as error:  # pandas and pyarrow raise many kinds; each means an unreadable file
        raise CorpusError(
            f"{path.name}: cannot be read as {path.suffix[1:]}: {error}. Is the file whole?"
        ) from error
    raise CorpusError(
        f"{path.name}: files end in .csv, .jsonl or .parquet, not {path.suffix or 'nothing'}"
    )


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CorpusError(
            f"{path.name}: line {line} is not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8 and run again"
        ) from error


def _pick(table: pd.DataFrame, path: Path, text: str, label: str) -> pd.DataFrame:
    if table.empty:
        raise CorpusError(f"{path.name}: no texts in it; is the file whole?")
    missing = [column for column in (text, label) if column not in table.columns]
    if missing:
        raise CorpusError(
            f"{path.name}: no column {' and no column '.join(map(repr, missing))}; it has {', '.join(map(repr, table.columns))}. "
            "Name the columns: --text and --label of new-profile, text_column and label_column of chapters 01 and 02."
        )
    ids = (
        table["source_id"].astype(str)
        if "source_id" in table
        else pd.Series(range(1, len(table) + 1)).astype(str)
    )
    values = {
        key: table[column].fillna("").astype(str).tolist()
        for key, column in (("text", text), ("topic", label))
    }
    return pd.DataFrame({**values, "source_id": ids.tolist()})


def _read_archive(path: Path) -> pd.DataFrame:
    """The BBC archive: `bbc/<topic>/<number>.txt`, UTF-8 or else latin-1."""
    rows = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist()):
                parts = PurePosixPath(member.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts:
                    raise CorpusError(
                        f"{path.name}: member {member!r} points outside the archive; fetch the file again"
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


def _checked(frame: pd.DataFrame, path: Path, topics: tuple[str, ...] | None) -> pd.DataFrame:
    frame["topic"] = frame["topic"].str.strip()

    def fail(what: str, rows: np.ndarray, way_out: str) -> None:
        if len(rows):
            named = ", ".join(f"{i + 1} (id {frame['source_id'].iloc[i]})" for i in rows[:5]) + (
                " …" if len(rows) > 5 else ""
            )
            raise CorpusError(f"{path.name}: {what} in row {named}; {way_out}")

    if frame.empty:
        raise CorpusError(f"{path.name}: no texts in it; is the file whole?")
    fail(
        "empty text",
        np.flatnonzero(frame["text"].str.strip() == ""),
        "fill in the text or delete the row",
    )
    fail("empty topic", np.flatnonzero(frame["topic"] == ""), "fill in the topic or delete the row")
    fail(
        "replacement character U+FFFD (bytes that were not decoded)",
        np.flatnonzero(frame["text"].str.contains("�")),
        "read the source with its right encoding",
    )
    fail(
        "duplicate source_id",
        np.flatnonzero(frame["source_id"].duplicated()),
        "give each row its own id",
    )
    if topics:
        fail(
            f"unknown topic (not one of {', '.join(topics)})",
            np.flatnonzero(~frame["topic"].isin(topics)),
            "correct it",
        )
    counts = frame["topic"].value_counts()
    if len(counts) < 2:
        raise CorpusError(
            f"{path.name}: one topic only ({counts.index[0]!r}); a classifier needs two or more"
        )
    small = counts[counts < MIN_TEXTS_A_TOPIC]
    if len(small):
        listed = ", ".join(f"{topic[:40]!r} has {n}" for topic, n in small[:5].items())
        if len(small) > 5:
            listed += f", and {len(small) - 5:,} more (is that the label column?)"
        raise CorpusError(
            f"{path.name}: fewer than {MIN_TEXTS_A_TOPIC} texts a topic: {listed}; add texts or drop the topic"
        )
    return frame


def excerpt(text: str, words: int = 20) -> str:
    """The first `words` words, at most 20 of a text in any report: the articles belong to their publishers."""
    parts = text.split()
    return " ".join(parts[: min(words, 20)]) + (" …" if len(parts) > min(words, 20) else "")


def marking_words(texts: list[str], topics: list[str], n: int = 10) -> pd.DataFrame:
    """The `n` words that mark each topic most: columns `topic`, `word`, `z`.

    z-scored log-odds with an informative Dirichlet prior: Monroe, Colaresi and Quinn, "Fightin' Words", Political
    Analysis 16(4), 2008. Words of three letters and more.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(preprocessor=comparable, token_pattern=r"[^\W\d_]{3,}", min_df=3)
    counts = vectorizer.fit_transform(texts)
    words = vectorizer.get_feature_names_out()
    labels = np.asarray(topics)
    total = np.asarray(counts.sum(axis=0)).ravel()
    rows = []
    for topic in sorted(set(topics)):
        inside = np.asarray(counts[np.flatnonzero(labels == topic)].sum(axis=0)).ravel()
        outside = total - inside
        log_odds = lambda part: np.log((part + total) / (part.sum() + total.sum() - part - total))  # noqa: E731
        z = (log_odds(inside) - log_odds(outside)) / np.sqrt(
            1 / (inside + total) + 1 / (outside + total)
        )
        rows += [(topic, words[i], z[i]) for i in np.argsort(-z)[:n]]
    return pd.DataFrame(rows, columns=["topic", "word", "z"])


def word_counts(texts: list[str]) -> np.ndarray:
    """(n,) number of words of each text, split at white space."""
    return np.array([len(re.findall(r"\S+", text)) for text in texts])
