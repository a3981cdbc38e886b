"""Check cells: a right answer is right, a common slip gets the hint that fits it.

The folded solutions run in test_setup_cell.
"""

import numpy as np
import pandas as pd
import pytest
from transformers import AutoTokenizer

from gpt2news import deploy, explore, run, split
from gpt2news.explore import load_corpus

run.companion("exercises", "01_explore")
import exercises  # noqa: E402 (notebooks/ is on the path now)

TOKENS = np.array([100] * 6 + [300] * 3 + [110])


def jaccard(first, second, size):
    sets = []
    for text in (first, second):
        words = text.lower().split()
        sets.append({tuple(words[i : i + size]) for i in range(len(words) - size + 1)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def leaked(train, test):
    seen = set(map(explore.normalise, train))
    return sum(explore.normalise(text) in seen for text in test)


def counts_training(train, test):
    return leaked(test, train)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Variables of the notebooks: a corpus of 10 texts, the sample's split, five scored texts."""
    topics = ["a"] * 6 + ["b"] * 3 + ["c"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPT2NEWS_REPORTS", str(tmp_path_factory.mktemp("reports")))
        report = run.Run("quick")
    sample = load_corpus("sample")
    split.write_split(split.split_corpus(sample, 0), report.path("splits"), {})
    report.path("model").mkdir()
    report.write_json(
        "model/config.json", {"n_embd": 192, "id2label": dict.fromkeys("01234"), "pooling": "last"}
    )
    report.path("onnx").mkdir()
    for name, size in ((deploy.FP32, 370), (deploy.INT8, 100)):
        report.path("onnx", name).write_bytes(b"x" * size)
    return {
        "counts": pd.Series(topics).value_counts(),
        "texts": pd.DataFrame({"topic": topics}),
        "tokens": TOKENS,
        "headlines": ("The bank cut its rate on Monday", "The bank cut its rate again"),
        "reader": AutoTokenizer.from_pretrained(run.ROOT / "models" / "gpt2-mini"),
        "report": report,
        "record": report,  # until chapters 04 and 05 say report
        "val_share": 0.1,
        "test_share": 0.1,
        "seed": 0,
        "topics": list("01234"),
        "max_length": 256,
        "batch_size": 16,
        "epochs": 5,
        "probabilities": np.array([[0.95, 0.05], [0.92, 0.08], [0.6, 0.4], [0.5, 0.5], [0.1, 0.9]]),
        "model_right": np.array([True, False, True, True, True]),
    }, sample


def said(name, answer, given) -> exercises.Verdict:
    variables, sample = given
    return exercises.check(
        name, answer, {**variables, "texts": sample} if name == "02.seed" else variables
    )


@pytest.mark.parametrize(
    ("name", "answer", "told"),
    [
        ("01.longest", "b", "300 tokens"),
        ("01.lost", 516 / 1610, "516 of 1,610"),
        ("01.balance", 0.6, "6 of 10 texts"),
        ("01.jaccard", jaccard, "4 / 7"),
        ("01.pieces", "Zyzzogeton", "tokens: `z` + `y`"),
        ("02.choose", "val", "for choosing"),
        ("02.choose", " Validation", "for choosing"),
        ("02.gate", leaked, "holds in 8 cases. On this run's files it counts 0."),
        ("02.straddle", 0.16, "16 would"),
        ("02.straddle", 0.2, "16 would"),
        ("02.enough", 456, "± 6.0 points"),
        ("03.layer", 960, "192 × 5 = 960"),
        ("03.blind", 1.609, "1.609 nats"),
        ("03.steps", 125, "⌈400 / 16⌉ × 5"),
        ("05.integer", -124, "−124"),
        ("05.size", 3.7, "Not quite 4"),
        ("05.bad", 422, "names which one"),
        ("05.byte", "ModelFolderError", "other pieces"),
        ("05.padding", 3.2, "128 / 40"),
    ],
)
def test_right(name, answer, told, given):
    verdict = said(name, answer, given)
    assert verdict.right is True
    assert told in verdict.text


@pytest.mark.parametrize(
    ("name", "answer", "hint"),
    [
        ("01.balance", 60, "divide by 100"),
        ("01.balance", 6.5, "between 0 and 1"),
        ("01.balance", 1 / 3, "at random"),
        ("01.balance", 0.1, "smallest topic"),
        ("01.balance", 0.55, "counts.max()"),
        ("01.longest", "d", "They are a, b, c"),
        ("01.longest", "a", "shortest"),
        ("01.longest", "c", "another topic has more"),
        ("01.lost", 0.3, "share of *texts*"),
        ("01.lost", 1 - 516 / 1610, "What is lost is the rest"),
        ("01.lost", 900 / 1610, "counted long texts whole"),
        ("01.jaccard", lambda a, b, size: 4 / 11, "counts shared runs twice"),
        ("01.jaccard", lambda a, b, size: 0.8, "runs of one headline"),
        ("01.jaccard", lambda a, b, size: jaccard(a, b, 1), "single words"),
        ("01.jaccard", lambda a, b, size: jaccard(a, b, 2), "gives 0.5: the runs are of `size`"),
        ("01.jaccard", lambda a, b, size: 4 / 7, "gives 0.571429: two texts that are the same"),
        ("01.jaccard", lambda a, b, size: None, "returns nothing"),
        ("01.jaccard", lambda a, b: 1, "stops with TypeError"),
        ("01.jaccard", lambda a, b, size: "most", "a number is wanted"),
        ("01.jaccard", 0.571, "A function"),
        ("01.pieces", "government", "a frequent word is kept whole"),
        ("01.pieces", "two words", "no spaces"),
        ("01.pieces", "аяь", "reads none of the letters of `аяь`"),
        ("02.choose", "test", "cannot judge it any more"),
        ("02.choose", "train", "by heart"),
        ("02.choose", "exam", "train, val, test"),
        ("02.straddle", 0.08, "two ways"),
        ("02.straddle", 0.34, "validation included"),
        ("02.seed", 1.0, "Draw with `seed + 1`"),
        ("02.gate", lambda train, test: sum(t in train for t in test), "capitals hide a copy"),
        ("02.gate", lambda train, test: 0, "misses a copy word for word"),
        ("02.gate", lambda train, test: len(test), "counts a text that is only in test"),
        ("02.gate", counts_training, "count those of *test*"),
        ("02.gate", lambda train, test: test.pop(9), "stops with IndexError"),
        ("02.gate", 0, "A function"),
        ("02.enough", 2401, "worst case"),
        ("02.enough", 119, "1.96 of them"),
        ("02.enough", 21.4, "Square it"),
        ("03.layer", 965, "no bias"),
        ("03.layer", 192, "How many topics"),
        ("03.layer", 192 * 5 * 256, "*all* positions"),
        ("03.blind", 2.322, "in bits"),
        ("03.blind", 0.2, "minus its logarithm"),
        ("03.blind", -1.609, "The sign"),
        ("03.steps", 25, "one epoch"),
        ("03.steps", 2000, "counts texts"),
        ("05.integer", 124, "The sign"),
        ("05.size", 4, "what else is in the file"),
        ("05.size", 1 / 3.7, "other way up"),
        ("05.bad", 200, "What topic has a number"),
        ("05.bad", 500, "server's own fault"),
        ("05.byte", "ValueError", "type(error).__name__"),
        ("05.padding", 10.24, "with the square"),
        ("05.padding", 0.3125, "other way up"),
    ],
)
def test_a_slip_gets_its_hint(name, answer, hint, given):
    verdict = said(name, answer, given)
    assert verdict.right is False
    assert hint in verdict.text


def test_the_seed_of_the_run_is_compared_with_the_next(given):
    variables, sample = given
    ours = set(split.read_split(variables["report"].path("splits"))["test"]["source_id"])
    again = split.split_corpus(sample, 1)
    share = again.loc[again["split"] == "test", "source_id"].isin(ours).mean()
    assert said("02.seed", share, given).right is True


@pytest.mark.parametrize("name", ["01.balance", "01.pieces"])
def test_no_answer_is_no_error(name):
    verdict = exercises.check(name, None, {})
    assert verdict.right is None
    assert "in the place of `None`" in verdict._repr_markdown_()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("01.balance", "0.2"),
        ("01.balance", True),
        ("01.balance", float("nan")),
        ("01.balance", 10**400),
        ("01.balance", 1j),
        ("01.longest", 3),
    ],
)
def test_an_answer_of_another_kind_is_told_so(name, answer, given):
    verdict = said(name, answer, given)
    assert verdict.right is False
    assert "is wanted here" in verdict.text


def test_cells_that_did_not_run_are_named():
    verdict = exercises.check("01.balance", 0.2, {})
    assert verdict.right is None
    assert "`counts` is not there yet" in verdict.text


def test_an_unknown_exercise_lists_the_known():
    with pytest.raises(KeyError, match=r"no exercise '01.none'; there are .*01.balance"):
        exercises.check("01.none", 1, {})


def test_a_huge_number_is_a_wrong_answer_and_no_error(given):
    verdict = said("01.balance", 10**30, given)
    assert verdict.right is False
    assert "between 0 and 1, and this is 1e+30" in verdict.text


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        *((right, True) for right in (0.2, 0.202, 0.2022)),
        *((wrong, False) for wrong in (0.21, 0.3, 0.1, 0, 1)),
    ],
)
def test_an_answer_may_be_rounded_to_the_digits_that_it_has(answer, right):
    assert exercises.share(answer, 0.2022, "", otherwise="")[0] is right


def test_a_known_slip_is_told_even_where_rounding_would_let_it_pass():
    verdict = exercises.share(0.1, 0.13, "right", (0.1, "the slip"), otherwise="")
    assert verdict == (False, "the slip")


def test_a_count_is_not_rounded():
    assert exercises.number(2.5, 2.46, "", otherwise="", exact=True)[0] is False
    assert exercises.number(2.5, 2.46, "", otherwise="")[0] is True
