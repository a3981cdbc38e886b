"""The pieces of HTML that Streamlit has no widget for. What comes from outside is escaped in here.

Streamlit reads Markdown in most of its widgets: somebody's text could then load a picture from
elsewhere. So texts and topics are drawn here.
"""

from __future__ import annotations

import html
from itertools import groupby
from pathlib import Path

from newsserve.predictor import Answer

HERE = Path(__file__).parent
STYLE, DROPZONE = HERE / "look.css", HERE / "dropzone.html"


def percent(p: float) -> str:
    """A probability for people; never 100 % or 0 %, which no model can promise."""
    if p > 0.9995:
        return "over 99.9%"
    return "under 0.1%" if p < 0.0005 else f"{p:.1%}"


def verdict(answer: Answer, threshold: float | None) -> str:
    """The topic, or "not sure" and why; of an endpoint the threshold is not known (None)."""
    kind, topic, says = "", answer.topic, f"{percent(answer.probability)} likely"
    if not answer.answered:
        needs = ", too little to answer"
        if threshold is not None:
            needs = f"; this model answers from {threshold:.0%}"
        kind, topic = " unsure", "Not sure"
        says = f"The likeliest topic is {answer.topic}, at {percent(answer.probability)}{needs}."
    return (
        f'<div class="g-card{kind}" role="status"><p class="g-topic">{html.escape(topic)}</p>'
        f"<p>{html.escape(says)}</p></div>"
    )


def bars(rows: list[tuple[str, float, str]], top: str = "") -> str:
    """A bar a row of (name, length from 0 to 1, what to write behind it); `top` is blue and bold."""
    items = []
    for name, length, value in rows:
        kind = ' class="top"' if name == top else ""
        bar = f'<span class="g-track" aria-hidden="true"><i style="width: {length:.1%}"></i></span>'
        items.append(
            f'<li{kind}><span class="g-name">{html.escape(name)}</span>'
            f'{bar}<span class="g-value">{html.escape(value)}</span></li>'
        )
    return f'<ul class="g-bars" role="list">{"".join(items)}</ul>'


def _mark(share: float) -> str | None:
    """How a phrase is marked whose fall is this share of the largest one."""
    if share >= 0.5:
        return "much"
    if share >= 0.2:
        return "some"
    return "less" if share <= -0.3 else None


def words(drops: list[tuple[str, float]], text: str, topic: str) -> str:
    """The text with the words marked that spoke for a topic or against it, and the strongest named.

    Args:
        drops: `Predictor.explain`; neighbours with the same value were left out together, and are
            marked together.
        text: the whole text; what `drops` does not reach was not read.
    """
    together = []
    for value, part in groupby(drops, key=lambda drop: drop[1]):
        together.append((value, html.escape(" ".join(word for word, _ in part))))
    most = max((value for value, _ in together), default=0.0)
    marked, strongest = [], []
    for value, phrase in together:
        kind = _mark(value / most) if most > 0 else None
        marked.append(f'<mark class="{kind}">{phrase}</mark>' if kind else phrase)
        if kind in ("much", "some"):
            strongest.append((value, phrase))
    rest = len(text.split()) - len(drops)
    if rest:
        marked.append(f'<span class="rest">… {rest:,} more words, not read</span>')
    topic = html.escape(topic)
    says = f"No single word spoke for {topic}."
    if strongest:  # named as well, for those who do not see colours
        named = [f"“{phrase}”" for _, phrase in sorted(strongest, reverse=True)[:3]]
        says = f"Strongest for {topic}: {', '.join(named)}."
    return (
        f'<p class="g-words">{" ".join(marked)}</p><p class="g-key">{says}</p>'
        '<p class="g-key">Key: <mark class="much">a lot</mark> or <mark class="some">a little'
        f'</mark> for {topic}, <mark class="less">something</mark> against it; found by leaving '
        "words out and asking again.</p>"
    )
