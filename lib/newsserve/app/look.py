"""The pieces of HTML that Streamlit has no widget for. What comes from outside is escaped in here.

Streamlit reads Markdown in most of its widgets, `st.table` among them: a cell of somebody's file
could then load a picture from elsewhere. So texts, topics and cells are drawn here.
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


def note(text: str) -> str:
    """A line in small grey print; `text` is HTML of our own."""
    return f'<p class="g-note">{text}</p>'


def verdict(answer: Answer, threshold: float | None) -> str:
    """The topic, or "not sure" and why."""
    if answer.answered:
        return _card("", answer.topic, f"{percent(answer.probability)} likely")
    needs = ", too little to answer"
    if threshold is not None:
        needs = f"; this model answers from {threshold:.0%}"
    likeliest = f"The likeliest topic is {answer.topic}, at {percent(answer.probability)}{needs}."
    return _card(" unsure", "Not sure", likeliest)


def _card(kind: str, topic: str, says: str) -> str:
    return (
        f'<div class="g-card{kind}" role="status"><p class="g-topic">{html.escape(topic)}</p>'
        f"<p>{html.escape(says)}</p></div>"
    )


def bars(rows: list[tuple[str, float, str]], kinds: dict[str, str]) -> str:
    """A bar a row of (name, length from 0 to 1, what to write behind it).

    Args:
        kinds: name -> `top` (blue and bold), `all` (blue) or `odd` (orange); the others are grey.
    """
    items = []
    for name, length, value in rows:
        bar = f'<span class="g-track" aria-hidden="true"><i style="width: {length:.1%}"></i></span>'
        items.append(
            f'<li class="{kinds.get(name, "")}"><span class="g-name">{html.escape(name)}</span>'
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
        together.append((value, " ".join(word for word, _ in part)))
    most = max((value for value, _ in together), default=0.0)
    marked = []
    for value, phrase in together:
        kind = _mark(value / most) if most > 0 else None
        phrase = html.escape(phrase)
        marked.append(f'<mark class="{kind}">{phrase}</mark>' if kind else phrase)
    rest = len(text.split()) - len(drops)
    if rest:
        marked.append(f'<span class="rest">… {rest:,} more words, not read</span>')
    key = (
        f'<mark class="much">a lot</mark> or <mark class="some">a little</mark> for '
        f'{html.escape(topic)}, <mark class="less">something</mark> against it; found by leaving '
        "words out and asking again."
    )
    return (
        f'<p class="g-words">{" ".join(marked)}</p>'
        f'<p class="g-key">{html.escape(strongest(together, most, topic))}</p>'
        f'<p class="g-key">Key: {key}</p>'
    )


def strongest(together: list[tuple[float, str]], most: float, topic: str) -> str:
    """The sentence that names the strongest phrases, when there are any."""
    named = []
    for value, phrase in sorted(together, reverse=True)[:3]:
        if most > 0 and value >= 0.2 * most:
            phrase = phrase.strip(".,;:!?()“”\"'")
            named.append(f"“{_cut(phrase, 60)}”")
    if not named:
        return f"No single word spoke for {topic}."
    says = f"Strongest for {topic}: {', '.join(named)}."
    if most < 0.005:
        says += " The model is so sure that leaving one out changes next to nothing."
    return says


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length].rpartition(" ")[0] + " …"


def table(names: list[str], rows: list[list[str]], label: str, long: int | None = None) -> str:
    """A plain table that scrolls inside itself, also by keyboard; the column `long` is wide."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    body = ""
    for row in rows:
        body += "<tr>"
        for i, cell in enumerate(row):
            cell = _cut(cell.encode("utf-8", "replace").decode("utf-8"), 120)
            body += f"<td{' class=g-long' if i == long else ''}>{html.escape(cell)}</td>"
        body += "</tr>"
    label = html.escape(label, quote=True)
    return (
        f'<div class="g-scroll" role="group" aria-label="{label}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
