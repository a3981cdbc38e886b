"""The tab that takes a file: its rows come back with topics."""

from __future__ import annotations

import io
from collections import Counter

import streamlit as st

from newsserve.app import look
from newsserve.batch import answer_rows, check_columns, counted, outcome, write_csv
from newsserve.endpoint import EndpointError
from newsserve.predictor import Model
from newsserve.tables import KINDS, Row, Table, TableError, cell_of

PORTION = 16  # rows between two steps of the progress bar
state = st.session_state


def read(name: str, data: bytes) -> tuple[Table, list[Row]]:
    """A table and its rows; the texts are thought to be in the longest column."""
    table = Table(name, data=data)
    rows = list(table)
    if not rows or not table.names:
        raise TableError(look.SAYS["no rows"])

    def length(name: str) -> int:
        cells = [cell_of(row, name) for row, _ in rows]
        return sum(len(cell) for cell in cells if isinstance(cell, str))

    table.column = max(table.names, key=length)
    return table, rows


def tab(model: Model) -> None:
    """Take a file, ask which column holds the texts, answer it."""
    upload = st.file_uploader(look.SAYS["upload"], type=[*KINDS, ".gz"])
    if upload is None:
        st.caption(look.SAYS["file"])
        return
    try:
        table, rows = read(upload.name, upload.getvalue())
        likely = table.names.index(table.column)
        table.column = st.selectbox("Column of the texts", table.names, likely)
        check_columns(table)
        for note in table.notes():
            st.info(look.plain(note))
        key = (upload.file_id, table.column)
        if st.button(f"Classify {len(rows):,} rows", type="primary"):
            state.done = (key, answer_all(model, rows, table.column))
    except (TableError, EndpointError) as error:
        st.error(look.plain(str(error)))
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
    return answer["predicted"] if answer["answered"] else outcome(answer)


def show_results(table: Table, rows: list[Row], answers: list[dict]) -> None:
    """How many rows have each topic, and all rows as a file."""
    counts, shown = Counter(map(counts_as, answers)), []
    for (row, _), answer in zip(rows[:10], answers, strict=False):
        text = str(cell_of(row, table.column)).encode("utf-8", "replace").decode()
        shown.append({"topic": counts_as(answer), "text": text[:200]})
    st.header("Topics", anchor=False)
    for kind, n in counts.most_common():
        st.progress(n / len(answers), f"{look.plain(kind)}: {n:,}")
    st.caption(counted(Counter(map(outcome, answers))))
    st.dataframe(shown)
    name, content = f"{table.path.stem}-topics.csv", as_csv(table, rows, answers)
    st.download_button("Download the results", content, name, on_click="ignore", type="primary")


def as_csv(table: Table, rows: list[Row], answers: list[dict]) -> bytes:
    """The rows with their answers, as CSV with the file's own delimiter and broken bytes."""
    out = io.StringIO(newline="")
    merged = [{**row, **answer} for (row, _), answer in zip(rows, answers, strict=True)]
    columns = list(dict.fromkeys(name for row, _ in rows for name in row))
    write_csv(out, merged, columns, table, table.delimiter)
    return out.getvalue().encode("utf-8", "surrogateescape")
