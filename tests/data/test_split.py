import hashlib
import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from gpt2news import explore, split
from gpt2news.explore import load_corpus, normalise
from gpt2news.split import (
    PARTS,
    LeakError,
    check_leaks,
    duplicate_groups,
    find_leaks,
    read_split,
    similar_pairs,
    split_corpus,
    write_split,
)

SIZES = {"left": 60, "right": 35, "up": 25}
# Row of the planted text -> row of the text it is made from. 4 and 5 make a chain: 100 ~ 4 ~ 5.
EXACT, NEAR = {101: 0, 102: 1}, {103: 70, 104: 71, 100: 4, 5: 100}


def words(random: np.random.Generator, n: int = 40) -> list[str]:
    return [f"w{i}" for i in random.integers(5000, size=n)]


def one_word_changed(text: str, place: int, word: str) -> str:
    """Of 36 shingles of a text of 40 different words 31 stay, 5 are new: Jaccard 31/41 = 0.76."""
    parts = text.split()
    parts[place] = word
    return " ".join(parts)


@pytest.fixture
def planted() -> pd.DataFrame:
    """120 random texts in three topics, with copies planted (see `EXACT`, `NEAR`)."""
    random = np.random.default_rng(0)
    texts = [" ".join(words(random)) for _ in range(sum(SIZES.values()))]
    for copy, original in EXACT.items():
        texts[copy] = texts[original].upper().replace(" ", ", ", 1)
    for i, (copy, original) in enumerate(NEAR.items()):
        texts[copy] = one_word_changed(texts[original], 15 + 2 * i, f"changed{i}")
    topics = [topic for topic, n in SIZES.items() for _ in range(n)]
    return pd.DataFrame(
        {"text": texts, "topic": topics, "source_id": [f"id{i}" for i in range(len(texts))]}
    )


@pytest.fixture
def written(planted, tmp_path):
    """The folder of a written split of `planted`."""
    write_split(split_corpus(planted, seed=0), tmp_path / "splits", {"seed": 0})
    return tmp_path / "splits"


def rows_of(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {part: frame[frame["split"] == part] for part in PARTS}


def brute_force(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    """`similar_pairs` from its definition, pair by pair."""
    found = {}
    for a, b in combinations(range(len(texts)), 2):
        left, right = normalise(texts[a]).split(), normalise(texts[b]).split()
        grams = [{tuple(part[i : i + 5]) for i in range(len(part) - 4)} for part in (left, right)]
        union = grams[0] | grams[1]
        jaccard = 1.0 if left == right else len(grams[0] & grams[1]) / len(union) if union else 0.0
        if jaccard > threshold:
            found[a, b] = jaccard
    return found


# --- twins --------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_similar_pairs_is_what_brute_force_finds(seed, threshold):
    random = np.random.default_rng(seed)
    seeds = [
        " ".join(random.choice(["Red", "green,", "blue", "café"], n))
        for n in random.integers(1, 14, 25)
    ]
    texts = [f"{text} {random.choice(['red', 'blue', ''])}" for text in seeds for _ in range(2)]
    wanted = brute_force(texts, threshold)
    pairs = similar_pairs(texts, threshold)
    found = {(row.a, row.b): row.jaccard for row in pairs.itertuples()}
    assert len(wanted) > 5
    assert found == pytest.approx(wanted)
    assert list(found) == sorted(found)


def test_similar_pairs_sees_through_case_punctuation_and_accents():
    pairs = similar_pairs(
        [
            "The Café, at noon: closed today!",
            "another text of five words and more",
            "the cafe at noon: closed today",
        ]
    )
    assert pairs.to_numpy().tolist() == [[0, 2, 1.0]]


def test_texts_under_five_words_are_compared_whole():
    pairs = similar_pairs(
        ["One two three", "one two four", "ONE, two three!", "one two three four"]
    )
    assert pairs.to_numpy().tolist() == [[0, 2, 1.0]]
    assert (
        len(set(duplicate_groups(["goal", "a quite different text of eight short words", "Goal!"])))
        == 2
    )


@pytest.mark.parametrize("texts", [[], ["one text of five words alone"]])
def test_no_pairs_in_nothing(texts):
    assert len(similar_pairs(texts)) == 0


def test_planted_twins_share_a_group_and_no_others_do(planted):
    groups = duplicate_groups(planted["text"].tolist())
    for copy, original in (EXACT | NEAR).items():
        assert groups[copy] == groups[original]
    assert groups[4] == groups[5]  # by the chain
    assert len(set(groups)) == len(planted) - len(EXACT) - len(NEAR)


# --- the split ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_twins_never_stand_on_two_sides(planted, seed):
    frame = split_corpus(planted, seed)
    assert (frame["split"] == "duplicate").sum() == len(EXACT) + len(NEAR)
    assert (frame[frame["split"] != "duplicate"].groupby("group").size() == 1).all()
    assert len(find_leaks(rows_of(frame))) == 0


def test_a_random_split_of_the_same_texts_would_leak(planted):
    """So the two tests around this one can fail."""
    parts = np.random.default_rng(0).choice(PARTS, len(planted))
    assert len(find_leaks(rows_of(planted.assign(split=parts)))) > 0


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.2, 0.3)])
def test_each_topic_has_its_share_of_each_part_within_one_row(planted, seed, val, test):
    frame = split_corpus(planted, seed, val, test)
    kept = frame[frame["split"] != "duplicate"].groupby("topic").size()
    for part, share in {"train": 1 - val - test, "val": val, "test": test}.items():
        rows = frame[frame["split"] == part].groupby("topic").size()
        assert (rows - share * kept).abs().max() <= 1, part


def test_same_seed_same_split_other_seed_another(planted):
    first, again, other = (split_corpus(planted, seed) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(first, again)
    assert (first["split"] != other["split"]).any()


@pytest.mark.parametrize(
    ("val", "test"),
    [
        (0, 0.1),
        (0.1, 0),
        (-0.1, 0.1),
        (1, 0.1),
        (0.1, 1),
        (0.5, 0.5),
        (0.6, 0.6),
        (float("nan"), 0.1),
    ],
)
def test_shares_out_of_range(planted, val, test):
    with pytest.raises(
        ValueError,
        match=r"val=.*, test=.*: two shares over 0 that add up to less than 1 are needed",
    ):
        split_corpus(planted, 0, val, test)


# --- on disk ------------------------------------------------------------------------------------


def test_split_json_says_what_was_written(planted, tmp_path):
    frame = split_corpus(planted, seed=3)
    record = write_split(frame, tmp_path / "splits", {"seed": 3, "corpus": "planted"})
    assert json.loads((tmp_path / "splits" / "split.json").read_text()) == record
    assert (record["seed"], record["corpus"]) == (3, "planted")
    for part in PARTS:
        content = (tmp_path / "splits" / f"{part}.csv").read_bytes()
        assert record["sha256"][part] == hashlib.sha256(content).hexdigest()
        rows = frame[frame["split"] == part]
        assert record["counts"][part] == {
            "all": len(rows),
            **rows["topic"].value_counts().to_dict(),
        }
    assert record["duplicates_removed"] == len(EXACT) + len(NEAR)
    assert sorted(map(sorted, record["groups"])) == sorted(
        map(
            sorted,
            [
                ["id0", "id101"],
                ["id1", "id102"],
                ["id70", "id103"],
                ["id71", "id104"],
                ["id4", "id5", "id100"],
            ],
        )
    )
    assert sorted(path.name for path in (tmp_path / "splits").iterdir()) == [
        "split.json",
        "test.csv",
        "train.csv",
        "val.csv",
    ]


def test_texts_come_back_as_they_were_written(tmp_path):
    texts = [
        "a lone\rreturn",
        "two\r\nlines",
        'with "quotes", commas',
        "NA",
        "  spaces ",
        "£5 — café",
        "\nlines\n\n",
    ]
    frame = pd.DataFrame(
        {"text": texts, "topic": "a", "source_id": list("1234567"), "group": range(7)}
    )
    frame["split"] = ["train"] * 5 + ["val", "test"]
    write_split(frame, tmp_path, {})
    assert [text for part in read_split(tmp_path).values() for text in part["text"]] == texts


def test_a_missing_part_names_the_chapter_that_makes_it(written):
    (written / "val.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no val\.csv; chapter 02_split makes them"):
        read_split(written)


def test_the_leak_gate_lets_a_clean_split_through(written):
    assert check_leaks(written) == {"leaked_exact": 0, "leaked_near": 0}


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("kind", ["the same as", "0.76 like"])
def test_the_leak_gate_names_a_row_copied_into_train(written, part, kind):
    victim = read_split(written)[part].iloc[0]
    copied = (
        victim["text"] if kind == "the same as" else one_word_changed(victim["text"], 20, "changed")
    )
    train = read_split(written)["train"]
    train.loc[len(train)] = [copied, victim["topic"], "planted-one"]
    train.to_csv(written / "train.csv", index=False)
    with pytest.raises(LeakError, match=r"splits: 1 texts .* Run 02_split again") as error:
        check_leaks(written)
    assert f"{part} {victim['source_id']} is {kind} train planted-one" in str(error.value)


def test_a_leak_is_listed_once_with_its_nearest_twin():
    text = " ".join(f"w{i}" for i in range(40))
    train = pd.DataFrame(
        {"text": [one_word_changed(text, 20, "other"), text], "source_id": ["near", "same"]}
    )
    test = pd.DataFrame({"text": [text], "source_id": ["victim"]})
    leaks = find_leaks({"train": train, "val": test.iloc[:0], "test": test})
    assert leaks.to_numpy().tolist() == [["test", "victim", "same", 1.0]]


# --- the real thing -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bbc(bbc_data, tmp_path_factory) -> pd.DataFrame:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explore.corpora(), "RAW", tmp_path_factory.mktemp("empty"))
        patch.setenv("GPT2NEWS_DATA", str(bbc_data))
        return load_corpus("bbc-csv")


def test_our_split_of_bbc_news_does_not(bbc, tmp_path, monkeypatch):
    frame = split_corpus(bbc, seed=0)
    monkeypatch.setattr(
        split, "duplicate_groups", lambda _: frame["group"].to_numpy()
    )  # three seconds each otherwise
    write_split(frame, tmp_path, {})
    assert check_leaks(tmp_path) == {"leaked_exact": 0, "leaked_near": 0}
    kept = frame[frame["split"] != "duplicate"]
    assert len(kept) == frame["group"].nunique() <= 2126
    assert bbc["text"].map(normalise).nunique() <= 2126
    pd.testing.assert_series_equal(frame["split"], split_corpus(bbc, seed=0)["split"])
    assert (frame["split"] != split_corpus(bbc, seed=1)["split"]).any()
