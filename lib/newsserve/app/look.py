"""How answers are shown. What comes from outside is made safe in here.

Streamlit reads Markdown in its widgets: somebody's text could then load a picture from elsewhere.
"""

from __future__ import annotations

import html
import json
import re
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parent
STYLE, DROPZONE = HERE / "look.css", HERE / "dropzone.html"


def read(name: str) -> dict[str, str]:
    """What a JSON file of this folder says."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


SAYS = read("says.json")


def percent(p: float) -> str:
    """A probability for people; never 100 % or 0 %, which no model can promise."""
    if p > 0.9995:
        return "over 99.9%"
    return "under 0.1%" if p < 0.0005 else f"{p:.1%}"


def plain(text: str) -> str:
    """Markdown that shows a text as it is."""
    return re.sub(r"([^\w\s])", r"\\\1", text)


def _mark(share: float) -> str | None:
    """How a phrase is marked whose fall is this share of the largest one."""
    if share >= 0.5:
        return "much"
    if share >= 0.2:
        return "some"
    return "less" if share <= -0.3 else None


def words(drops: list[tuple[str, float]], text: str, topic: str) -> str:
    """The text with the words marked that spoke for a topic or against it, and the strongest named.

    `drops` is from `Predictor.explain`: neighbours with the same value were left out together, and
    are marked together; the rest of the text was not read.
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
            strongest.append((value, f"“{phrase}”"))
    rest = len(text.split()) - len(drops)
    if rest:
        marked.append(f'<span class="rest">… {rest:,} more words, not read</span>')
    # Named as well, for those who do not see colours.
    named = ", ".join(phrase for _, phrase in sorted(strongest, reverse=True)[:3])
    topic = html.escape(topic)
    says = f"Strongest for {topic}: {named}." if named else f"No single word spoke for {topic}."
    page = (HERE / "words.html").read_text(encoding="utf-8")
    return page.format(marked=" ".join(marked), says=says, topic=topic)
