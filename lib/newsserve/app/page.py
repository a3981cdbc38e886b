"""The page of the web app. `gpt2news app` has Streamlit run this file with the model folder.

With GPT2NEWS_ENDPOINT set, that endpoint answers in the folder's place.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import streamlit as st

from newsserve.app import look, upload
from newsserve.endpoint import Endpoint, EndpointError
from newsserve.predictor import ModelFolderError, Predictor

EXAMPLES = json.loads((look.HERE / "examples.json").read_text(encoding="utf-8"))
FEWEST = 5  # words; with fewer nothing is asked
FEW = 20  # words; with fewer the answer carries a warning
TOKENS_TO_EXPLAIN = 12_000  # so many take seconds
state = st.session_state


@st.cache_resource(show_spinner="Loading the model …")
def load(folder: str, endpoint: str | None) -> Predictor | Endpoint:
    """Who answers, once for all visitors."""
    return Endpoint(endpoint) if endpoint else Predictor(folder)


def take_example() -> None:
    """An example was picked: it is put into the text area and asked."""
    if state.example:
        state.text = state.asked = EXAMPLES[state.example]


def own_text() -> None:
    """The text was edited, so it is no example any more."""
    state.example = None


def answer_to(model: Predictor | Endpoint, text: str) -> dict:
    """The answer with its milliseconds; of the same text as before, from this session's memory."""
    if state.get("answer", {}).get("text") != text:
        began = time.perf_counter()
        (answer,) = model([text])
        state.answer = {"text": text, "answer": answer, "ms": (time.perf_counter() - began) * 1000}
    return state.answer


def classify(model: Predictor | Endpoint) -> None:
    """The first tab."""
    st.pills("Try an example", list(EXAMPLES), key="example", on_change=take_example)
    here = "Paste a news article in English."
    st.text_area("Article", key="text", height=190, on_change=own_text, placeholder=here)
    if st.button("Classify", type="primary"):
        state.asked = state.text
    if state.get("asked") is None or state.asked != state.text:
        return
    text = state.text
    count = len(text.split())
    if count == 0:
        st.info("There is nothing to read yet: paste an article.")
    elif count < FEWEST:
        st.info("That is very short. Give it a sentence or two.")
    else:
        try:
            show_answer(model, text, answer_to(model, text))
        except EndpointError as error:
            st.error(str(error))


def show_answer(model: Predictor | Endpoint, text: str, given: dict) -> None:
    """Topic, probabilities, and the words that decided."""
    answer, local = given["answer"], isinstance(model, Predictor)
    st.html(look.verdict(answer, model.threshold if local else None))
    rows = [(topic, p, look.percent(p)) for topic, p in answer.probabilities.items()]
    st.html(look.bars(rows, {answer.topic: "top"}))
    notes = [f"{answer.tokens:,} tokens (words and pieces of words) read in {given['ms']:,.0f} ms."]
    if answer.truncated:
        notes.append("The text is longer than the model reads, so its end did not count.")
    if len(text.split()) < FEW:
        notes.append("So short a text is easily misjudged; the model learned from whole articles.")
    st.html(look.note(" ".join(notes)))
    st.header("The words that decided", anchor=False)
    if not local:
        says = "Shown only by a model on this machine: an endpoint would be asked for each word."
        st.html(look.note(says))
        return
    if "words" not in given:
        # Of a long text in fewer and larger steps, so that it takes seconds.
        passes = min(200, max(20, TOKENS_TO_EXPLAIN // max(1, answer.tokens)))
        with st.spinner("Leaving words out and asking again …"):
            given["words"] = model.explain(text, passes)
    st.html(look.words(given["words"], text, answer.topic))


def card(folder: Path) -> str | None:
    """The folder's README.md for a tab: no front matter, no pictures, links only to the web."""
    if not (folder / "README.md").is_file():
        return None
    text = (folder / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^#", "##", text, flags=re.MULTILINE)  # headings one level down
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\]\((?!https?://)[^)]*\)", r"\1", text)
    return re.sub(r"^\|\s*\|\s*\|$", "| what | value |", text, flags=re.MULTILINE)


def about(model: Predictor | Endpoint) -> None:
    """The third tab: the model's card and settings; of an endpoint, what its answers say."""
    if isinstance(model, Endpoint):
        sorts = "Classify a text, and its topics are listed here."
        if "answer" in state:
            sorts = f"It sorts into {', '.join(sorted(state.answer['answer'].probabilities))}."
        st.markdown(f"The endpoint `{model.name}` answers; this page knows of it what it says.")
        st.markdown(sorts)
        return
    missing = (
        f"There is no `README.md` in the model's folder `{model.folder.name}`, so only its "
        "settings are known."
    )
    st.markdown(card(model.folder) or missing)
    megabytes = (model.folder / model.model_file).stat().st_size / 1e6
    facts = [
        ["topics", ", ".join(model.topics)],
        ["reads", f"at most {model.max_length:,} tokens of a text"],
        ["answers", f"from a probability of {model.threshold:.2f}"],
        ["temperature", f"{model.temperature:.2f}"],
        ["model", f"{model.model_file}, {megabytes:.1f} MB"],
    ]
    st.header("What the app read from serving.json", anchor=False)
    st.html(look.table(["setting", "value"], facts, "settings of the model"))


def main(folder: str) -> None:
    """Draw the page."""
    st.set_page_config(page_title="What is this article about?", page_icon="📰")
    st.html(look.STYLE)
    st.html(look.DROPZONE, unsafe_allow_javascript=True)
    st.title("What is this article about?", anchor=False)
    try:
        model = load(folder, os.environ.get("GPT2NEWS_ENDPOINT"))
    except (EndpointError, ModelFolderError) as error:
        st.error(str(error))
        return
    if isinstance(model, Predictor):
        does = f"knows {len(model.topics)} topics: {', '.join(model.topics)}"
        where = "read by a model on the machine that runs this page"
    else:
        does = f"answers at the endpoint {model.name}"
        where = f"sent to the endpoint {model.name}"
    st.markdown(f"A fine-tuned GPT-2 that {does}.")
    first, second, third = st.tabs(["Classify", "A file", "About this model"])
    with first:
        classify(model)
    with third:
        about(model)
    with second:  # last, for a large file takes long
        upload.tab(model)
    st.html(f'<p class="g-foot">Texts are {where}. This page stores none.</p>')


if __name__ == "__main__":
    main(sys.argv[1])
