"""Chapter 04 as typed: a planted leak and a planted wrong label are caught by name; catching up."""

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from gpt2news import evaluate, explore, split
from gpt2news.run import ROOT, companion
from rival import baseline

behaviour = companion("checks", "04_evaluate")
scoring = companion("scores", "04_evaluate")
CELLS = nbformat.read(ROOT / "notebooks" / "04_evaluate.ipynb", as_version=4).cells


class Quiet:
    """Stands for `show` and `say` of the notebook: whatever is asked of it, it does nothing."""

    def __getattr__(self, name):
        return lambda *_, **__: ""


def typed(*ids: str, **given) -> dict:
    """What these cells of the notebook leave, run with `given` in the place of the others."""
    quiet = {"show": Quiet(), "say": Quiet(), "display": print, "Markdown": str}
    variables = {"np": np, "pd": pd, "evaluate": evaluate, "explore": explore, "split": split}
    variables |= {"scoring": scoring, "words": companion("words", "04_evaluate")}
    variables |= quiet | {"binomtest": binomtest, **given}
    for cell in CELLS:
        if cell.id in ids:
            exec(cell.source, variables)
    return variables


@pytest.fixture(scope="module")
def parts() -> dict[str, pd.DataFrame]:
    """The shipped sample, split; test row 7 copied into train with a change, a label swapped."""
    frame = split.split_corpus(explore.load_corpus("sample"), seed=0)
    columns = ["text", "topic", "source_id"]
    parts = {
        part: frame.loc[frame["split"] == part, columns].reset_index(drop=True)
        for part in split.PARTS
    }
    leaked = parts["test"].iloc[[7]].assign(source_id="planted-leak")
    leaked["text"] = leaked["text"] + " More soon."
    parts["train"] = pd.concat([parts["train"], leaked], ignore_index=True)
    sport = parts["train"].index[parts["train"]["topic"] == "sport"][3]
    parts["train"].loc[sport, ["topic", "source_id"]] = ["politics", "planted-label"]
    return parts


def test_a_planted_leak_is_named(parts):
    left = typed("04-25", parts=parts)
    assert left["leaks"]["exact"] == 0
    assert left["leaks"]["near"] == 1
    (leak,) = left["leaks"]["named"]
    assert leak["source_id"] == parts["test"]["source_id"][7]
    assert leak["train_id"] == "planted-leak"
    assert 0.9 < leak["jaccard"] < 1


def test_the_nearest_neighbour_of_a_leaked_text_is_its_copy(parts):
    tfidf = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2, strip_accents="unicode"
    ).fit(parts["train"]["text"])
    table = parts["test"].assign(predicted="sport")
    texts = parts["test"]["text"].tolist()
    near = typed("04-38", parts=parts, tfidf=tfidf, table=table, wrong=table, test_texts=texts)[
        "near"
    ]
    assert len(near) == len(parts["test"])
    assert near.sort_values("similarity").iloc[-1]["neighbour"] == "planted-leak"
    assert near["similarity"][7] > 0.95 > near["similarity"].drop(7).max()
    assert near["neighbour_topic"][7] == parts["test"]["topic"][7]


def test_a_planted_wrong_label_is_named_first(parts):
    given = {"parts": parts, "TfidfVectorizer": TfidfVectorizer, "make_pipeline": make_pipeline}
    how = {"sublinear_tf": True, "min_df": 2, "strip_accents": "unicode"}
    candidates = typed("04-40", "04-41", how=how, **given)["candidates"]
    row = candidates.set_index("source_id").loc["planted-label"]
    assert (row["part"], row["topic"], row["looks_like"]) == ("train", "politics", "sport")
    assert candidates["source_id"].tolist().index("planted-label") < 5
    assert len(candidates) < 0.1 * sum(map(len, parts.values()))
    assert max(len(text.split()) for text in candidates["begins"]) <= 21


def test_the_rival_that_is_typed_is_that_of_the_benchmarks(parts):
    import time

    texts, topics = parts["test"]["text"].tolist(), parts["test"]["topic"].to_numpy()
    given = {"time": time, "test_texts": texts, "test_topics": topics, "n": len(texts)}
    left = typed("04-05", parts=parts, **given)
    ours = baseline(parts["train"]["text"].tolist(), parts["train"]["topic"].tolist())
    assert left["rival"].predict(texts).tolist() == ours.predict(texts).tolist()
    assert [str(step) for _, step in left["rival"].steps] == [str(step) for _, step in ours.steps]


@pytest.mark.parametrize(
    ("only_model", "only_rival", "p"),
    [
        (8, 2, 2 * (1 + 10 + 45) / 2**10),
        (2, 8, 2 * (1 + 10 + 45) / 2**10),
        (5, 0, 2 / 2**5),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_the_two_sided_binomial_of_the_rows_that_differ(only_model, only_rival, p):
    counts = [only_model, only_rival, 90, 7]
    right = np.repeat([True, False, True, False], counts)
    rival = np.repeat(["b", "a", "a", "b"], counts)
    score = {"value": 0.9}
    given = {"right": right, "rival_says": rival, "test_topics": np.array(["a"] * len(rival))}
    given |= {"accuracy": score, "rival_score": score, "n": len(rival), "never": [], "doubts": []}
    assert typed("04-12", **given)["p"] == pytest.approx(p)


def test_pairs_of_topics_are_counted_both_ways():
    test_topics, says = np.array(list("aabbcc")), np.array(list("abbaca"))
    left = typed("04-30", test_topics=test_topics, says=says, right=test_topics == says)
    assert left["pairs"].to_numpy().tolist() == [["a / b", 4, 2], ["a / c", 4, 1]]
    left = typed("04-30", test_topics=says, says=says, right=says == says)
    assert left["pairs"].empty


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_that_is_typed_is_the_library_s(scale):
    random = np.random.default_rng(0)
    logits = random.normal(0, 2 * scale, (80, 3)).astype(np.float32)
    labels = logits.argmax(axis=1)
    labels[:15] = random.integers(3, size=15)
    _agree(logits, labels)


def test_the_temperature_of_a_validation_part_without_mistakes():
    logits = np.eye(3, dtype=np.float32)[np.arange(12) % 3] * 9
    _agree(logits, np.arange(12) % 3)


def _agree(logits, labels):
    class Model:
        def logits(self, texts):
            return logits

    topics = list("abc")
    frame = pd.DataFrame({"text": "x", "topic": [topics[i] for i in labels]})
    parts = {"val": frame, "test": frame}
    typed("04-07", model=Model(), logits={"test": logits}, parts=parts, topics=topics)  # it asserts


def test_mistakes_are_sorted_begin_with_20_words_at_most_and_match_by_row():
    texts = [" ".join(f"text{i}word{j}" for j in range(30)) for i in range(6)]
    topics, says = list("abcabc"), np.array(list("bbacbb"))
    sources = [f"id{i}" for i in range(6)]
    test = pd.DataFrame({"text": texts, "topic": topics, "source_id": sources})
    confidence = np.array([0.7, 0.99, 0.6, 0.95, 0.5, 0.8])
    given = {"confidence": confidence, "right": says == np.array(topics), "rival_says": says}
    left = typed("04-20", parts={"test": test}, says=says, mistakes_shown=8, **given)
    wrong = left["wrong"]
    assert wrong["source_id"].tolist() == ["id3", "id5", "id0", "id2"]
    for number, begins in zip((3, 5, 0, 2), wrong["begins"], strict=True):
        assert begins.removesuffix(" …").split() == texts[number].split()[:20]
    columns = ["source_id", "topic", "predicted", "confidence", "baseline"]
    assert list(left["table"].columns) == columns
    assert "word" not in left["table"].to_csv()
    shown = typed("04-20", parts={"test": test}, says=says, mistakes_shown=2, **given)["wrong"]
    assert shown["source_id"].tolist() == ["id3", "id5"]


@pytest.mark.parametrize(("threshold", "not_sure"), [(0.95, 1.0), (0.5, 0.0)])
def test_off_topic_texts_under_the_threshold_are_not_sure(threshold, not_sure):
    def predict(texts):
        return np.tile([0.9, 0.0, 0.1], (len(texts), 1))

    class Model:
        def logits(self, texts):
            return np.log(np.maximum(predict(texts), 1e-9))

    given = {"model": Model(), "temperature": 1.0, "topics": list("abc"), "threshold": threshold}
    left = typed("04-35", "04-35-kinds", behaviour=behaviour, **given)
    assert left["strays"]["not_sure"].mean() == not_sure
    assert left["strays"]["kind"].value_counts().min() >= 5
    assert left["surest"]["text"].map(lambda text: len(text.split())).max() <= 21
    assert set(left["strays"]["taken for"]) == {"a"}
