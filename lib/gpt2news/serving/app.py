"""The web app: paste an article, see its topic. Started by `gpt2news app`, which hands over the model folder."""

from __future__ import annotations

import sys
import time

import streamlit as st

from gpt2news.serving.predictor import Predictor

EXAMPLES = {
    "an airline": "Shares in the airline fell nine per cent after it cut its profit forecast and said that fuel would cost more.",
    "a cup tie": "The keeper saved two penalties as the visitors, down to ten men for most of the second half, went through on spot kicks.",
    "a vote": "Parliament voted late last night to put the budget off until spring, after two parties left the coalition over pensions.",
    "a phone": "The update closes a hole that let anyone with the handset read messages on a locked phone without knowing its code.",
    "a premiere": "The audience stood for nine minutes after the premiere, and the director said the lead had learnt the cello.",
}


@st.cache_resource
def load(folder: str) -> Predictor:
    return Predictor(folder)


def main(folder: str) -> None:
    st.set_page_config(page_title="News topics", page_icon="📰")
    predictor = load(folder)
    st.title("What is this article about?")
    st.caption(f"A fine-tuned GPT-2 that knows {len(predictor.topics)} topics: {', '.join(predictor.topics)}.")
    choice = st.pills("Try one", list(EXAMPLES))
    text = st.text_area("Article", value=EXAMPLES.get(choice, ""), height=220, placeholder="Paste a news article in English.")
    if not st.button("Sort it", type="primary"):
        return
    if len(text.split()) < 5:
        st.info("That is very short: give it a sentence or two.")
        return
    began = time.perf_counter()
    answer = predictor([text])[0]
    spent = (time.perf_counter() - began) * 1000
    if answer.answered:
        st.success(f"**{answer.topic}**, {answer.probability:.0%} likely")
    else:
        st.warning(f"**Not sure.** The best guess is {answer.topic}, {answer.probability:.0%} likely.")
    for topic, probability in answer.probabilities.items():
        st.progress(probability, text=f"{topic}: {probability:.1%}")
    cut = f" Only the first {answer.tokens} tokens were read." if answer.truncated else ""
    st.caption(f"{answer.tokens} tokens in {spent:.0f} ms.{cut}")


if __name__ == "__main__":
    main(sys.argv[1])
