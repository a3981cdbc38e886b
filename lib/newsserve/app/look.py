"""The pieces of HTML that Streamlit has no widget for, and their style. Everything that comes from outside is escaped in here."""

from __future__ import annotations

import html
from itertools import groupby

from newsserve.predictor import Answer

# The blues and oranges of gpt2news.show, darkened or lightened until text on them has a contrast of at least 4.5.
STYLE = """<style>
:root { --g-line: light-dark(#d6dbe1, #3a424c); --g-soft: light-dark(#f4f6f8, #1e2329); --g-quiet: light-dark(#57606a, #a4aeb9);
  --g-blue: light-dark(#0072b2, #56b4e9); --g-pale: light-dark(#d3e9f7, #0f4466); --g-orange: light-dark(#b84a00, #ff9d5c);
  --g-grey: light-dark(#7d858f, #8a939e); }
.block-container { padding-top: 2.2rem; padding-bottom: 3rem; }
button[kind="primary"], button[kind="primary"] p { color: light-dark(#ffffff, #0c1014); }
.g-card { border: 1px solid var(--g-line); border-left: .4rem solid var(--g-blue); border-radius: 6px; background: var(--g-soft);
  padding: .7rem 1.1rem; }
.g-card.unsure { border-left-color: var(--g-orange); }
.g-card p { margin: 0; }
.g-card .g-topic { font-size: 1.7rem; font-weight: 700; line-height: 1.25; overflow-wrap: anywhere; }
ul.g-bars.g-bars { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: minmax(4rem, max-content) 1fr max-content;
  gap: .45rem .8rem; align-items: center; }
.g-bars li { display: contents; }
.g-bars li > * { min-width: 0; margin: 0; }
.g-bars .g-name { overflow-wrap: anywhere; }
.g-bars .g-value { text-align: right; font-variant-numeric: tabular-nums; }
.g-bars .g-track { background: var(--g-soft); border-radius: 4px; height: .9rem; overflow: hidden; }
.g-bars .g-track i { display: block; height: 100%; min-width: 2px; background: var(--g-grey); border-radius: 4px; }
.g-bars .top .g-track i, .g-bars .all .g-track i { background: var(--g-blue); }
.g-bars .odd .g-track i { background: var(--g-orange); }
.g-bars .top .g-name, .g-bars .top .g-value { font-weight: 700; }
.g-words { line-height: 1.95; margin: 0; overflow-wrap: anywhere; }
.g-words mark, .g-key mark { color: light-dark(#1b1f24, #e6e9ed); background: none; padding: .08em .12em; border-radius: 3px 3px 0 0; }
.g-words .much, .g-key .much { background: var(--g-pale); border-bottom: 3px solid var(--g-blue); font-weight: 700; }
.g-words .some, .g-key .some { border-bottom: 2px solid var(--g-blue); }
.g-words .less, .g-key .less { border-bottom: 2px dotted var(--g-orange); }
.g-words .rest { color: var(--g-quiet); }
.g-key, .g-note { color: var(--g-quiet); font-size: .9rem; margin: 0; line-height: 1.9; }
.g-foot { border-top: 1px solid var(--g-line); color: var(--g-quiet); font-size: .88rem; margin-top: 2rem; padding-top: .8rem; }
.g-scroll { overflow-x: auto; }
.g-scroll table { border-collapse: collapse; font-size: .9rem; width: 100%; font-variant-numeric: tabular-nums; }
.g-scroll th, .g-scroll td { text-align: left; vertical-align: top; padding: .35rem .6rem; border: 0;
  border-bottom: 1px solid var(--g-line); }
.g-scroll thead th { border-bottom-width: 2px; white-space: nowrap; }
.g-scroll td { min-width: 5rem; }
.g-scroll td.g-long { min-width: 15rem; }
</style>"""

# Streamlit labels the drop zone, and says in the same tag that it means nothing: a screen reader may then skip it.
DROPZONE = """<script>
const label = () => document.querySelectorAll('[data-testid="stFileUploaderDropzone"][role="presentation"]')
  .forEach((zone) => zone.setAttribute("role", "group"));
new MutationObserver(label).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["role"] });
label();
</script>"""


def percent(p: float) -> str:
    """A probability for people; never 100 % or 0 %, which no model can promise."""
    return "over 99.9%" if p > 0.9995 else "under 0.1%" if p < 0.0005 else f"{p:.1%}"


def verdict(answer: Answer, threshold: float | None) -> str:
    """The topic, or "not sure" and why."""
    if answer.answered:
        big, says, kind = answer.topic, f"{percent(answer.probability)} likely", ""
    else:
        big, kind = "Not sure", " unsure"
        needs = (
            f"; this model answers from {threshold:.0%}"
            if threshold is not None
            else ", too little to answer"
        )
        says = f"The likeliest topic is {answer.topic}, at {percent(answer.probability)}{needs}."
    return f'<div class="g-card{kind}" role="status"><p class="g-topic">{html.escape(big)}</p><p>{html.escape(says)}</p></div>'


def bars(rows: list[tuple[str, float, str]], odd: tuple[str, ...] = (), first: bool = True) -> str:
    """A bar a row of (name, length from 0 to 1, what to write behind it).

    Args:
        odd: names whose bars are orange.
        first: whether the first row stands out, else all others look like it.
    """
    items = []
    for i, (name, length, value) in enumerate(rows):
        kind = "odd" if name in odd else "top" if first and i == 0 else "" if first else "all"
        bar = f'<span class="g-track" aria-hidden="true"><i style="width: {100 * length:.1f}%"></i></span>'
        name, value = html.escape(name), html.escape(value)
        items.append(
            f'<li class="{kind}"><span class="g-name">{name}</span>{bar}<span class="g-value">{value}</span></li>'
        )
    return f'<ul class="g-bars" role="list">{"".join(items)}</ul>'


def words(drops: list[tuple[str, float]], text: str, topic: str) -> str:
    """The text with the words marked that spoke for a topic or against it, and a sentence that names the strongest.

    Args:
        drops: `Predictor.explain`; neighbours with the same value were left out together, and are marked together.
        text: the whole text; what `drops` does not reach was not read.
    """
    together = [
        (value, " ".join(word for word, _ in part))
        for value, part in groupby(drops, key=lambda pair: pair[1])
    ]
    most = max((value for value, _ in together), default=0.0)
    marked = []
    for value, phrase in together:
        share = value / most if most > 0 else 0.0
        kind = (
            "much"
            if share >= 0.5
            else "some"
            if share >= 0.2
            else "less"
            if share <= -0.3
            else None
        )
        phrase = html.escape(phrase)
        marked.append(f'<mark class="{kind}">{phrase}</mark>' if kind else phrase)
    rest = text.split()[len(drops) :]
    if rest:
        marked.append(f'<span class="rest">… {len(rest):,} more words, not read</span>')
    strongest = [
        phrase.strip(".,;:!?()“”\"'")
        for value, phrase in sorted(together, reverse=True)[:3]
        if value >= 0.2 * most > 0
    ]
    named = ", ".join(
        f"“{html.escape(phrase if len(phrase) < 60 else phrase[:60].rpartition(' ')[0] + ' …')}”"
        for phrase in strongest
    )
    topic = html.escape(topic)
    says = f"Strongest for {topic}: {named}. " if named else f"No single word spoke for {topic}. "
    if named and most < 0.005:
        says += "The model is so sure that leaving one out changes next to nothing. "
    much, some, less = (
        f'<mark class="{kind}">{says}</mark>'
        for kind, says in (("much", "a lot"), ("some", "a little"), ("less", "something"))
    )
    key = f"{much} or {some} for {topic}, {less} against it; found by leaving words out and asking again."
    return f'<p class="g-words">{" ".join(marked)}</p><p class="g-key">{says}</p><p class="g-key">Key: {key}</p>'


def table(names: list[str], rows: list[list[str]], label: str, long: int | None = None) -> str:
    """A plain table that scrolls inside itself, also by keyboard; the column `long` is wide, and its cells are cut to 120 characters."""

    def cell(i: int, text: str) -> str:
        text = text.encode("utf-8", "replace").decode("utf-8")
        if len(text) > 120:
            text = text[:120].rpartition(" ")[0] + " …"
        return f"<td{' class=g-long' if i == long else ''}>{html.escape(text)}</td>"

    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    body = "".join(
        f"<tr>{''.join(cell(i, text) for i, text in enumerate(row))}</tr>" for row in rows
    )
    return (
        f'<div class="g-scroll" role="group" aria-label="{html.escape(label, quote=True)}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
