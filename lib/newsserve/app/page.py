"""The page of the web app. `gpt2news app` has Streamlit run this file with the model folder.

With GPT2NEWS_ENDPOINT set, that endpoint answers in the folder's place.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import streamlit as st

from newsserve.app import look, upload
from newsserve.endpoint import Endpoint, EndpointError
from newsserve.predictor import ModelFolderError, Predictor

EXAMPLES, SAYS = look.read("examples.json"), look.SAYS
FEW = 20  # words; with fewer the answer carries a warning
TOKENS_TO_EXPLAIN = 12_000  # so many take seconds
state = st.session_state


@st.cache_resource(show_spinner="Loading the model …")
def load(folder: str, endpoint: str | None) -> Predictor | Endpoint:
    """Who answers, once for all visitors."""
    return Endpoint(endpoint) if endpoint else Predictor(folder)


def take_example() -> None:
    """Ask the example that was picked."""
    if state.example:
        state.text = state.asked = EXAMPLES[state.example]


def own_text() -> None:
    """An edited text is no example any more."""
    state.example = None


def classify(model: Predictor | Endpoint) -> None:
    """The first tab."""
    st.pills("Try an example", list(EXAMPLES), key="example", on_change=take_example)
    here = "Paste a news article in English."
    st.text_area("Article", key="text", height=190, on_change=own_text, placeholder=here)
    if st.button("Classify", type="primary"):
        state.asked = state.text
    text = state.get("asked")
    if text is None or text != state.text:
        return
    if not text.split():
        st.info(SAYS["nothing"])
    else:
        try:
            show_answer(model, text)
        except EndpointError as error:
            st.error(look.plain(str(error)))


def show_answer(model: Predictor | Endpoint, text: str) -> None:
    """Topic, probabilities, and the words that decided."""
    # Each click draws the whole page anew; a text is asked once all the same.
    if state.get("given", {}).get("text") != text:
        began = time.perf_counter()
        (answer,) = model([text])
        spent = (time.perf_counter() - began) * 1000
        state.given = {"text": text, "answer": answer, "ms": spent}
    given, local = state.given, isinstance(model, Predictor)
    answer = given["answer"]
    likely = f"{look.plain(answer.topic)}, {look.percent(answer.probability)} likely"
    if answer.answered:
        st.success(f"**{likely}**")
    elif answer.reason:
        st.warning(SAYS["kind"].format(look.plain(answer.reason), likely))
    else:
        needs = f"this model answers from {model.threshold:.0%}" if local else "that is too little"
        st.warning(f"**Not sure.** At best {likely}; {needs}.")
    for topic, p in answer.probabilities.items():
        st.progress(p, f"{look.plain(topic)}: {look.percent(p)}")
    notes = SAYS["read"].format(tokens=answer.tokens, ms=given["ms"])
    if answer.truncated:
        notes += SAYS["longer"]
    if len(text.split()) < FEW:
        notes += SAYS["few"]
    st.caption(notes)
    st.header("The words that decided", anchor=False)
    if not local:
        st.caption(SAYS["remote"])
        return
    if "words" not in given:
        # Of a long text in fewer and larger steps, so that it takes seconds.
        passes = min(200, max(20, TOKENS_TO_EXPLAIN // max(1, answer.tokens)))
        with st.spinner("Leaving words out and asking again …"):
            given["words"] = model.explain(text, passes)
    st.html(look.words(given["words"], text, answer.topic))


def card(folder: Path) -> str:
    """README.md for a tab: no front matter, a picture is a link, links only to the web."""
    readme = folder / "README.md"
    if not readme.is_file():
        return SAYS["no card"].format(folder.name)
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^#", "##", text, flags=re.MULTILINE)  # headings one level down
    text = text.replace("![", "[")
    return re.sub(r"\[([^\]]*)\]\((?!https?://)[^)]*\)", r"\1", text)


def main(folder: str) -> None:
    """Draw the page."""
    st.set_page_config(page_title="What is this article about?", page_icon="📰")
    st.html(look.STYLE)
    st.html(look.DROPZONE, unsafe_allow_javascript=True)
    st.title("What is this article about?", anchor=False)
    try:
        model = load(folder, os.environ.get("GPT2NEWS_ENDPOINT"))
    except (EndpointError, ModelFolderError) as error:
        st.error(look.plain(str(error)))
        return
    if isinstance(model, Predictor):
        answers = SAYS["here"].format(", ".join(map(look.plain, model.topics)))
        about = card(model.folder)
    else:
        answers, about = f"the endpoint {look.plain(model.name)}", SAYS["endpoint"]
    st.markdown(SAYS["where"].format(answers))
    first, second, third = st.tabs(["Classify", "A file", "About this model"])
    with first:
        classify(model)
    with third:
        st.markdown(about)
    with second:  # last, for a large file takes long
        upload.tab(model)


if __name__ == "__main__":
    main(sys.argv[1])
