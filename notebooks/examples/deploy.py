"""Single texts for the report's first page: a right answer with its words, the surest mistakes."""

from __future__ import annotations

import pandas as pd

from newsserve.predictor import Predictor

MISTAKES = 3
CANDIDATES = 4  # texts whose words are weighed for the example


def chosen(predictor: Predictor, test: pd.DataFrame, shown: int = 20) -> dict:
    """The section `examples` of metrics.json.

    Args:
        test: columns `text`, `topic`.
        shown: words of a text at most; 20 unless the corpus may be passed on.

    Returns:
        `right`: topic, probability, and [word, fall of the probability without it] of the stretch
        of `shown` words that counts most in one of the shortest texts; None where no answer is
        right. `wrong`: text, topic, predicted, probability and answered of the mistakes that the
        model is surest of.
    """
    answers = predictor(test["text"].tolist())
    rows = pd.DataFrame([vars(answer) for answer in answers])[["topic", "probability", "answered"]]
    rows = rows.rename(columns={"topic": "predicted"}).assign(**test[["text", "topic"]])
    wrong = rows[rows["predicted"] != rows["topic"]].nlargest(MISTAKES, "probability")
    wrong = wrong.assign(text=[stretch(text.split(), shown) for text in wrong["text"]])
    right = rows[(rows["predicted"] == rows["topic"]) & rows["answered"]]
    if right.empty:
        return {"right": None, "wrong": wrong.to_dict("records")}
    # Short ones are read to their end; of these, the one that its words move most.
    best, most = None, -1.0
    for one in right.loc[right["text"].str.len().nsmallest(CANDIDATES).index].itertuples():
        falls = predictor.explain(one.text)
        strongest = max(fall for _, fall in falls)
        if strongest > most:
            words = weightiest(falls, shown)
            best = {"topic": one.topic, "probability": one.probability, "words": words}
            most = strongest
    return {"right": best, "wrong": wrong.to_dict("records")}


def stretch(words: list[str], shown: int) -> str:
    """The first words of a text."""
    return " ".join(words[:shown]) + (" …" if len(words) > shown else "")


def weightiest(falls: list[tuple[str, float]], shown: int) -> list[list]:
    """The `shown` words in a row whose falls are the largest in sum, "…" where the text goes on."""
    starts = range(max(1, len(falls) - shown + 1))
    best = max(starts, key=lambda start: sum(max(0, fall) for _, fall in falls[start:][:shown]))
    words = [[word, round(fall, 4)] for word, fall in falls[best : best + shown]]
    before = [["…", 0.0]] if best else []
    after = [["…", 0.0]] if best + shown < len(falls) else []
    return before + words + after
