"""What the model gets wrong: the surest mistakes, the training text nearest to each, and labels that look wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from gpt2news.explore import excerpt
from gpt2news.split import PARTS


def confident_mistakes(part: pd.DataFrame, table: pd.DataFrame, n: int = 8) -> pd.DataFrame:
    """The wrong answers that the model was surest of, with at most 20 words of each text."""
    frame = table.assign(begins=part["text"].map(excerpt).to_numpy())
    wrong = frame[frame["predicted"] != frame["topic"]].sort_values("confidence", ascending=False)
    return (
        wrong.loc[:, ["source_id", "topic", "predicted", "confidence", "baseline", "begins"]]
        .head(n)
        .reset_index(drop=True)
    )


def nearest_neighbours(
    train: pd.DataFrame, part: pd.DataFrame, vectorizer: TfidfVectorizer
) -> pd.DataFrame:
    """The training text most like each text of `part`: columns `source_id`, `neighbour`, `neighbour_topic`, `similarity`.

    Args:
        vectorizer: fitted; `similarity` is the cosine of its TF-IDF rows, 1.0 for the same words.
    """
    likeness = vectorizer.transform(part["text"]) @ vectorizer.transform(train["text"]).T
    nearest = np.asarray(likeness.argmax(axis=1)).ravel()
    values = np.asarray(likeness.max(axis=1).todense()).ravel()
    return pd.DataFrame({
        "source_id": part["source_id"].to_numpy(),
        "neighbour": train["source_id"].to_numpy()[nearest],
        "neighbour_topic": train["topic"].to_numpy()[nearest],
        "similarity": values.clip(0, 1),
    })  # fmt: skip


def out_of_fold(texts: pd.DataFrame, folds: int = 5) -> tuple[np.ndarray, list[str]]:
    """`(n, topics)` probabilities of each text by a linear model that has not seen it (TF-IDF, logistic regression), and the topics."""
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, strip_accents="unicode")
    model = make_pipeline(words, SGDClassifier(loss="log_loss", random_state=0))
    folder = StratifiedKFold(folds, shuffle=True, random_state=0)
    probabilities = cross_val_predict(
        model, texts["text"], texts["topic"], cv=folder, method="predict_proba"
    )
    return probabilities, sorted(texts["topic"].unique())


def from_folds(texts: pd.DataFrame, study: dict | None) -> tuple[np.ndarray, list[str]] | None:
    """As `out_of_fold`, from the fine-tuned models of the `folds` study (mean over its seeds); None until it has scored every text."""
    units = list((study or {"units": {}})["units"].values())
    answers: dict[str, list] = {}
    for unit in units:
        for source_id, row in unit["answers"].items():
            answers.setdefault(source_id, []).append(row)
    if not units or not set(texts["source_id"]) <= set(answers):
        return None
    rows = np.array([np.mean(answers[i], axis=0) for i in texts["source_id"]])
    return rows / rows.sum(axis=1, keepdims=True), units[0]["topics"]


def label_candidates(
    parts: dict[str, pd.DataFrame], study: dict | None = None
) -> tuple[pd.DataFrame, str]:
    """Texts whose label looks wrong to models that have not seen them, the likeliest first, and whose probabilities were used.

    Confident learning: Northcutt, Jiang and Chuang, JAIR 70, 2021 (cleanlab). A candidate is a question for a person, not a verdict.

    Args:
        parts: of the split; all texts are looked at.
        study: the `folds` study, if there is one.

    Returns:
        Columns `source_id`, `part`, `topic`, `looks_like`, `p_topic` (probability of the label it has), `begins`; and
        `fine-tuned` or `linear`.
    """
    texts = pd.concat([parts[part].assign(part=part) for part in PARTS], ignore_index=True)
    found = from_folds(texts, study)
    probabilities, topics = found or out_of_fold(texts)
    labels = np.array([topics.index(topic) for topic in texts["topic"]])
    rows = find_label_issues(
        labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    table = texts.loc[rows, ["source_id", "part", "topic"]]
    table["looks_like"] = np.array(topics)[probabilities[rows].argmax(axis=1)]
    table["p_topic"] = probabilities[rows, labels[rows]]
    table["begins"] = texts.loc[rows, "text"].map(excerpt)
    return table.reset_index(drop=True), "fine-tuned" if found else "linear"
