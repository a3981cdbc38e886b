"""The simple rival of the benchmarks."""

from rival import baseline


def test_baseline_learns_what_marks_a_topic():
    texts = [f"{word} and the rest of it" for word in ("tractor", "lighthouse") for _ in range(5)]
    model = baseline(texts, ["farm"] * 5 + ["sea"] * 5)
    assert model.predict(["a tractor", "the lighthouse"]).tolist() == ["farm", "sea"]
