"""The page itself. `gpt2news app` has Streamlit run this file, and hands over the model folder.

With GPT2NEWS_ENDPOINT set, that endpoint answers in the folder's place.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import streamlit as st

from newsserve.app import look, sheets
from newsserve.app.examples import EXAMPLES
from newsserve.app.models import EndpointModel, LocalModel, ModelError
from newsserve.predictor import ModelFolderError

FEWEST, FEW = (
    5,
    20,
)  # words: below the first nothing is asked, below the second the answer carries a warning
state = st.session_state


@st.cache_resource(show_spinner="Loading the model …")
def load(folder: str, endpoint: str | None) -> LocalModel | EndpointModel:
    return EndpointModel(endpoint) if endpoint else LocalModel(folder)


def take_example() -> None:
    if state.example:
        state.text = state.asked = EXAMPLES[state.example]


def own_text() -> None:
    state.example = None


def ask(model: LocalModel | EndpointModel, text: str) -> dict:
    """The answer to one text with the milliseconds that it took, from this session's memory if it is the text of before."""
    if state.get("answer", {}).get("text") != text:
        began = time.perf_counter()
        (answer,) = model([text])
        state.answer = {"text": text, "answer": answer, "ms": (time.perf_counter() - began) * 1000}
    return state.answer


def classify(model: LocalModel | EndpointModel) -> None:
    """The first tab."""
    st.pills("Try an example", list(EXAMPLES), key="example", on_change=take_example)
    st.text_area(
        "Article",
        key="text",
        height=190,
        on_change=own_text,
        placeholder="Paste a news article in English.",
    )
    if st.button("Classify", type="primary"):
        state.asked = state.text
    if state.get("asked") is None or state.asked != state.text:
        return
    text, count = state.text, len(state.text.split())
    if count < FEWEST:
        st.info(
            "There is nothing to read yet: paste an article."
            if not count
            else "That is very short. Give it a sentence or two."
        )
        return
    try:
        given = ask(model, text)
    except ModelError as error:
        st.error(str(error))
        return
    answer, local = given["answer"], isinstance(model, LocalModel)
    st.html(look.verdict(answer, model.predictor.threshold if local else None))
    st.html(look.bars([(topic, p, look.percent(p)) for topic, p in answer.probabilities.items()]))
    notes = [f"{answer.tokens:,} tokens (words and pieces of words) read in {given['ms']:,.0f} ms."]
    if answer.truncated:
        notes.append("The text is longer than the model reads, so its end did not count.")
    if count < FEW:
        notes.append("So short a text is easily misjudged; the model learned from whole articles.")
    st.html(f'<p class="g-note">{" ".join(notes)}</p>')
    st.header("The words that decided", anchor=False)
    if not local:
        st.html(
            '<p class="g-note">Shown only by a model on this machine: an endpoint would have to be asked once for each word.</p>'
        )
        return
    if "words" not in given:
        with st.spinner("Leaving words out and asking again …"):
            given["words"] = model.words(text, answer.tokens)
    st.html(look.words(given["words"], text, answer.topic))


def file(model: LocalModel | EndpointModel) -> None:
    """The second tab."""
    upload = st.file_uploader(
        "A CSV file, one text a row, names of the columns in the first line", type="csv"
    )
    if upload is None:
        state.pop("sheet", None)
        st.html('<p class="g-note">The rows come back as they are, with the topic, its probability and, where one could not be read, the '
                "reason. Larger files go through <code>gpt2news classify --input</code>.</p>")  # fmt: skip
        return
    if state.get("sheet", (None,))[0] != upload.file_id:
        try:
            state.sheet = upload.file_id, sheets.read(upload.getvalue())
        except sheets.SheetError as error:
            st.error(str(error))
            return
    sheet: sheets.Sheet = state.sheet[1]
    label = [name.strip() or f"column {i + 1}" for i, name in enumerate(sheet.names)]
    column = st.selectbox(
        "Column of the texts", range(len(label)), sheet.likely_column(), label.__getitem__
    )
    st.html(look.table(label, sheet.rows[:3], "the first rows of the file", long=column))
    total, key = len(sheet.rows), (upload.file_id, column)
    if st.button(f"Classify {total:,} row{'s' if total > 1 else ''}", type="primary"):
        state.done = None
        bar, began = st.progress(0.0, "Starting …"), time.perf_counter()
        try:
            for done in sheet.answer(model, column):
                rate = done / (time.perf_counter() - began)
                bar.progress(
                    done / total,
                    f"{done:,} of {total:,} rows, {rate:,.0f} a second, {(total - done) / rate:,.0f} s left",
                )
        except ModelError as error:
            bar.empty()
            st.error(str(error))
            return
        bar.empty()
        state.done = key
    if state.get("done") == key:
        results(sheet, label, column, Path(upload.name).stem)


def results(sheet: sheets.Sheet, label: list[str], column: int, name: str) -> None:
    counts = sheet.topics()
    unsure, unread, total = counts[sheets.NOT_SURE], counts[sheets.NOT_READ], len(sheet.rows)
    st.header("Topics", anchor=False)
    largest = max(counts.values())
    last = (sheets.NOT_SURE, sheets.NOT_READ)
    order = sorted(
        (name for name in counts if name not in last), key=lambda name: (-counts[name], name)
    ) + [n for n in last if counts[n]]
    st.html(
        look.bars(
            [(topic, counts[topic] / largest, f"{counts[topic]:,}") for topic in order],
            odd=last,
            first=False,
        )
    )
    st.html(f'<p class="g-note" role="status">{total:,} rows: {total - unsure - unread:,} answered, {unsure:,} not sure, '
            f"{unread:,} could not be read.</p>")  # fmt: skip
    rows = []
    for row, a, error in zip(sheet.rows[:10], sheet.answers, sheet.errors, strict=False):
        said = (
            [error, ""]
            if a is None
            else [a.topic if a.answered else f"not sure ({a.topic}?)", look.percent(a.probability)]
        )
        rows.append([*said, row[column]])
    st.html(
        look.table(
            ["topic", "probability", label[column]], rows, "the first rows of the results", long=2
        )
    )
    st.download_button(
        "Download the results",
        sheet.write(),
        f"{name}-topics.csv",
        "text/csv",
        on_click="ignore",
        type="primary",
    )


def card(folder: Path) -> str | None:
    """The folder's README.md for a tab: no front matter, headings one level down, no pictures, links only to the web."""
    if not (folder / "README.md").is_file():
        return None
    text = (folder / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^#", "##", text, flags=re.MULTILINE)
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\]\((?!https?://)[^)]*\)", r"\1", text)
    return re.sub(r"^\|\s*\|\s*\|$", "| what | value |", text, flags=re.MULTILINE)


def about(model: LocalModel | EndpointModel) -> None:
    """The third tab."""
    if isinstance(model, EndpointModel):
        st.markdown(
            f"The endpoint `{model.name}` answers. What this page knows of its model is what the answers say."
        )
        if "answer" in state:
            st.markdown(f"It sorts into {', '.join(sorted(state.answer['answer'].probabilities))}.")
        else:
            st.markdown("Classify a text, and its topics are listed here.")
        return
    st.markdown(
        card(model.folder)
        or f"There is no `README.md` in the model's folder `{model.folder.name}`, so only its settings are known."
    )
    p = model.predictor
    facts = {
        "topics": ", ".join(p.topics),
        "reads": f"at most {p.max_length:,} tokens of a text",
        "answers": f"from a probability of {p.threshold:.2f}",
        "temperature": f"{p.temperature:.2f}",
        "model": f"{p.model_file}, {(model.folder / p.model_file).stat().st_size / 1e6:.1f} MB",
    }
    st.header("What the app read from serving.json", anchor=False)
    st.html(
        look.table(
            ["setting", "value"], [list(fact) for fact in facts.items()], "settings of the model"
        )
    )


def main(folder: str) -> None:
    st.set_page_config(page_title="What is this article about?", page_icon="📰")
    st.html(look.STYLE)
    st.html(look.DROPZONE, unsafe_allow_javascript=True)
    st.title("What is this article about?", anchor=False)
    try:
        model = load(folder, os.environ.get("GPT2NEWS_ENDPOINT"))
    except (ModelError, ModelFolderError) as error:
        st.error(str(error))
        return
    local = isinstance(model, LocalModel)
    does = (
        f"knows {len(model.predictor.topics)} topics: {', '.join(model.predictor.topics)}"
        if local
        else f"answers at the endpoint {model.name}"
    )
    st.markdown(f"A fine-tuned GPT-2 that {does}.")
    first, second, third = st.tabs(["Classify", "A file", "About this model"])
    with first:
        classify(model)
    with third:
        about(model)
    with second:  # last, for a large file takes long
        file(model)
    where = (
        "read by a model on the machine that runs this page"
        if local
        else f"sent to the endpoint {model.name}"
    )
    st.html(f'<p class="g-foot">Texts are {where}. This page stores none.</p>')


if __name__ == "__main__":
    main(sys.argv[1])
