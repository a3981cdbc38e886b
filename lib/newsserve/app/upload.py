"""The tab that takes a file: its rows come back with topics."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from newsserve.app import look
from newsserve.batch import ADDED, answer_rows, check_columns, write_csv
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
    """The columns and the rows of an upload; raises TableError when it is no table."""
    table = Table(name, data=data)
    rows = list(table)
    if not rows:
        raise TableError(
            "This file has no rows: it needs a line with the names of the columns, then one text a "
            "row."
        )
    return table, rows


def tab(model: Model) -> None:
    """Take a file, ask which column holds the texts, answer it."""
    asks = "A CSV file, one text a row, names of the columns in the first line"
    upload = st.file_uploader(asks, type="csv")
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
        answers = answer_all(model, rows, table.column)
        state.done = (key, answers) if answers else None
    if state.get("done") and state.done[0] == key:
        show_results(table, rows, state.done[1], label[column], Path(upload.name).stem)


def answer_all(model: Model, rows: list[Row], column: str) -> list[dict] | None:
    """The answers to all rows, under a progress bar; None after saying why there are none."""
    bar, began, answers = st.progress(0.0, "Starting …"), time.perf_counter(), []
    try:
        for start in range(0, len(rows), PORTION):
            answers += answer_rows(model, rows[start : start + PORTION], column)
            done, total = len(answers), len(rows)
            rate = done / (time.perf_counter() - began)
            left = (total - done) / rate
            says = f"{done:,} of {total:,} rows, {rate:,.0f} a second, {left:,.0f} s left"
            bar.progress(done / total, says)
    except EndpointError as error:
        st.error(str(error))
        return None
    finally:
        bar.empty()
    return answers


def counts_as(answer: dict) -> str:
    """The topic of a row, or why it has none."""
    if answer["error"]:
        return NOT_READ
    return answer["predicted"] if answer["answered"] else NOT_SURE


def show_results(table: Table, rows: list[Row], answers: list[dict], label: str, name: str) -> None:
    """How many rows have each topic, the first answers, and all of them as a file."""
    counts = Counter(counts_as(answer) for answer in answers)
    unsure, unread, total = counts.pop(NOT_SURE, 0), counts.pop(NOT_READ, 0), len(answers)
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    others = [(NOT_SURE, unsure), (NOT_READ, unread)]
    order += [(kind, count) for kind, count in others if count]
    largest = max(count for _, count in order)
    bars = [(topic, count / largest, f"{count:,}") for topic, count in order]
    kinds = {**dict.fromkeys(counts, "all"), NOT_SURE: "odd", NOT_READ: "odd"}
    st.header("Topics", anchor=False)
    st.html(look.bars(bars, kinds))
    st.html(
        f'<p class="g-note" role="status">{total:,} rows: {total - unsure - unread:,} answered, '
        f"{unsure:,} not sure, {unread:,} could not be read.</p>"
    )
    shown = []
    for (row, _), answer in zip(rows[:10], answers, strict=False):
        topic, probability = answer["error"], ""
        if not topic:
            guess = answer["predicted"]
            topic = guess if answer["answered"] else f"not sure ({guess}?)"
            probability = look.percent(answer["probability"])
        shown.append([topic, probability, row[table.column]])
    names = ["topic", "probability", label]
    st.html(look.table(names, shown, "the first rows of the results", long=2))
    content = as_csv(table, rows, answers)
    keep = {"on_click": "ignore", "type": "primary"}
    st.download_button("Download the results", content, f"{name}-topics.csv", "text/csv", **keep)


def as_csv(table: Table, rows: list[Row], answers: list[dict]) -> bytes:
    """The rows with their answers, in the file's own bytes and with its own delimiter."""
    out = io.StringIO(newline="")
    merged = [{**row, **answer} for (row, _), answer in zip(rows, answers, strict=True)]
    write_csv(out, merged, [*table.names, *ADDED], table.delimiter)
    return out.getvalue().encode("utf-8", "surrogateescape")
