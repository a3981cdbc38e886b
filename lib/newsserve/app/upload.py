"""The tab that takes a file: its rows come back with topics."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from newsserve.app import look
from newsserve.batch import ADDED, answer_rows, check_columns, write_csv, write_header
from newsserve.endpoint import EndpointError
from newsserve.predictor import Answer
from newsserve.tables import Row, Table, TableError

PORTION = 16  # rows between two steps of the progress bar
NOT_SURE, NOT_READ = "not sure", "not read"
NOTE = (
    "The rows come back as they are, with the topic, its probability and, where one could not be "
    "read, the reason. Larger files go through <code>gpt2news classify --input</code>."
)
Model = Callable[[list[str]], list[Answer]]
state = st.session_state


def likely_column(table: Table, rows: list[Row]) -> int:
    """The column named text, article or the like; else the one with the longest cells."""
    lowered = [name.strip().lower() for name in table.names]
    for name in ("text", "article", "body", "content"):
        if name in lowered:
            return lowered.index(name)
    lengths = [sum(len(row[name]) for row, _ in rows) for name in table.names]
    return lengths.index(max(lengths))


def read(name: str, data: bytes) -> tuple[Table, list[Row]]:
    """The columns and the rows of an upload.

    Raises:
        TableError: it is no table, or has no rows.
    """
    table = Table(name, data=data)
    rows = list(table)
    if not rows:
        raise TableError(
            "This file has no rows: it needs a line with the names of the columns, then one text a "
            "row."
        )
    return table, rows


def file(model: Model) -> None:
    """The second tab."""
    upload = st.file_uploader(
        "A CSV file, one text a row, names of the columns in the first line", type="csv"
    )
    if upload is None:
        state.pop("sheet", None)
        st.html(look.note(NOTE))
        return
    try:
        if state.get("sheet", (None,))[0] != upload.file_id:
            state.sheet = (upload.file_id, *read(upload.name, upload.getvalue()))
        _, table, rows = state.sheet
        label = [name.strip() or f"column {i + 1}" for i, name in enumerate(table.names)]
        likely = likely_column(table, rows)
        column = st.selectbox("Column of the texts", range(len(label)), likely, label.__getitem__)
        table.column = table.names[column]
        first = [list(row.values()) for row, _ in rows[:3]]
        st.html(look.table(label, first, "the first rows of the file", long=column))
        check_columns(table)
    except TableError as error:
        st.error(str(error))
        return
    key = (upload.file_id, column)
    if st.button(f"Classify {len(rows):,} row{'s' if len(rows) > 1 else ''}", type="primary"):
        state.done = None
        state.answered = answer_all(model, rows, table.column)
        state.done = key if state.answered else None
    if state.get("done") == key:
        results(table, state.answered, label[column], Path(upload.name).stem)


def answer_all(model: Model, rows: list, column: str) -> list[dict] | None:
    """The rows with their answers, under a progress bar; None after saying why there are none."""
    bar, began, answered = st.progress(0.0, "Starting …"), time.perf_counter(), []
    try:
        for start in range(0, len(rows), PORTION):
            answered += answer_rows(model, rows[start : start + PORTION], column)
            done, total = len(answered), len(rows)
            rate = done / (time.perf_counter() - began)
            left = (total - done) / rate
            says = f"{done:,} of {total:,} rows, {rate:,.0f} a second, {left:,.0f} s left"
            bar.progress(done / total, says)
    except EndpointError as error:
        st.error(str(error))
        return None
    finally:
        bar.empty()
    return answered


def topic_of(row: dict) -> str:
    """What a row counts as."""
    if row["error"]:
        return NOT_READ
    return row["predicted"] if row["answered"] else NOT_SURE


def results(table: Table, answered: list[dict], label: str, name: str) -> None:
    """How many rows have each topic, the first answers, and all of them as a file."""
    counts = Counter(topic_of(row) for row in answered)
    unsure, unread, total = counts[NOT_SURE], counts[NOT_READ], len(answered)
    topics = sorted(set(counts) - {NOT_SURE, NOT_READ}, key=lambda topic: (-counts[topic], topic))
    order = topics + [other for other in (NOT_SURE, NOT_READ) if counts[other]]
    largest = max(counts.values())
    st.header("Topics", anchor=False)
    kinds = {**dict.fromkeys(topics, "all"), NOT_SURE: "odd", NOT_READ: "odd"}
    rows = [(topic, counts[topic] / largest, f"{counts[topic]:,}") for topic in order]
    st.html(look.bars(rows, kinds))
    st.html(
        f'<p class="g-note" role="status">{total:,} rows: {total - unsure - unread:,} answered, '
        f"{unsure:,} not sure, {unread:,} could not be read.</p>"
    )
    shown = []
    for row in answered[:10]:
        says, probability = row["error"], ""
        if not row["error"]:
            says = row["predicted"] if row["answered"] else f"not sure ({row['predicted']}?)"
            probability = look.percent(row["probability"])
        shown.append([says, probability, row[table.column]])
    names = ["topic", "probability", label]
    st.html(look.table(names, shown, "the first rows of the results", long=2))
    st.download_button(
        "Download the results",
        as_csv(table, answered),
        f"{name}-topics.csv",
        "text/csv",
        on_click="ignore",
        type="primary",
    )


def as_csv(table: Table, answered: list[dict]) -> bytes:
    """The rows with their answers, in the file's own bytes and with its own delimiter."""
    out = io.StringIO(newline="")
    columns = [*table.names, *ADDED]
    write_header(out, columns, table.delimiter)
    write_csv(out, answered, columns, table.delimiter)
    return out.getvalue().encode("utf-8", "surrogateescape")
