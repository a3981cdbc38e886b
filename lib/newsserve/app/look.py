"""How answers are shown. What comes from outside is made safe in here.

Streamlit reads Markdown in its widgets: somebody's text could then load a picture from elsewhere.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path

import jinja2

HERE = Path(__file__).parent
STYLE, DROPZONE = HERE / "look.css", HERE / "dropzone.html"
WORDS = jinja2.Template((HERE / "words.html").read_text(encoding="utf-8"), autoescape=True)


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


def words(drops: list[tuple[str, float]], text: str, topic: str) -> str:
    """The text with the words marked that spoke for a topic or against it, and the strongest named.

    `drops` is from `Predictor.explain`: neighbours with the same value were left out together, and
    are marked together; the rest of the text was not read.
    """
    phrases = []
    for fall, part in groupby(drops, key=lambda drop: drop[1]):
        phrases.append((fall, " ".join(word for word, _ in part)))
    return WORDS.render(phrases=phrases, rest=len(text.split()) - len(drops), topic=topic)
