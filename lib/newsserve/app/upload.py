"""The tab that takes a file: its rows come back with topics."""

from __future__ import annotations

import io
from collections import Counter

import streamlit as st

from newsserve.app import look
from newsserve.batch import ADDED, answer_rows, check_columns, write_csv
from newsserve.endpoint import EndpointError
from newsserve.predictor import Model
from newsserve.tables import Row, Table, TableError

PORTION = 16  # rows between two steps of the progress bar
NOT_SURE, NOT_READ = "not sure", "not read"
state = st.session_state


def read(name: str, data: bytes) -> tuple[Table, list[Row]]:
    """A table and its rows; the texts are thought to be in the longest column."""
    table = Table(name, data=data)
    rows = list(table)
    if not rows:
        raise TableError(look.SAYS["no rows"])
    lengths = {name: sum(len(row[name]) for row, _ in rows) for name in table.names}
    table.column = max(lengths, key=lengths.get)
    return table, rows


def tab(model: Model) -> None:
    """Take a file, ask which column holds the texts, answer it."""
    upload = st.file_uploader(look.SAYS["upload"], type="csv")
    if upload is None:
        st.caption(look.SAYS["file"])
        return
    try:
        table, rows = read(upload.name, upload.getvalue())
        likely = table.names.index(table.column)
        table.column = st.selectbox("Column of the texts", table.names, likely)
        check_columns(table)
        key = (upload.file_id, table.column)
        if st.button(f"Classify {len(rows):,} rows", type="primary"):
            state.done = (key, answer_all(model, rows, table.column))
    except (TableError, EndpointError) as error:
        st.error(str(error))
        return
    if "done" in state and state.done[0] == key:
        show_results(table, rows, state.done[1])


def answer_all(model: Model, rows: list[Row], column: str) -> list[dict]:
    """The answers to all rows, under a progress bar."""
    answers, bar = [], st.progress(0.0, "Starting …")
    while len(answers) < len(rows):
        answers += answer_rows(model, rows[len(answers) : len(answers) + PORTION], column)
        bar.progress(len(answers) / len(rows), f"{len(answers):,} of {len(rows):,} rows")
    bar.empty()
    return answers


def counts_as(answer: dict) -> str:
    """The topic of a row, or why it has none."""
    if answer["error"]:
        return NOT_READ
    return answer["predicted"] if answer["answered"] else NOT_SURE


def show_results(table: Table, rows: list[Row], answers: list[dict]) -> None:
    """How many rows have each topic, and all rows as a file."""
    counts = Counter(counts_as(answer) for answer in answers)
    total, unsure, unread = len(answers), counts[NOT_SURE], counts[NOT_READ]
    shown = []
    for (row, _), answer in zip(rows[:10], answers, strict=False):
        text = row[table.column].encode("utf-8", "replace").decode()
        shown.append({"topic": counts_as(answer), "text": text[:200]})
    st.header("Topics", anchor=False)
    for kind, n in counts.most_common():
        st.progress(n / total, f"{look.plain(kind)}: {n:,}")
    st.caption(
        f"{total:,} rows: {total - unsure - unread:,} answered, {unsure:,} not sure, "
        f"{unread:,} could not be read."
    )
    st.dataframe(shown)
    name, content = f"{table.path.stem}-topics.csv", as_csv(table, rows, answers)
    st.download_button("Download the results", content, name, on_click="ignore", type="primary")


def as_csv(table: Table, rows: list[Row], answers: list[dict]) -> bytes:
    """The rows with their answers, in the file's own bytes and with its own delimiter."""
    out = io.StringIO(newline="")
    merged = [{**row, **answer} for (row, _), answer in zip(rows, answers, strict=True)]
    write_csv(out, merged, [*table.names, *ADDED], table.delimiter)
    return out.getvalue().encode("utf-8", "surrogateescape")
