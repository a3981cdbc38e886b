"""`gpt2news new-profile`: what it writes is valid, what it cannot use it refuses by name, and it overwrites nothing."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from gpt2news import cli, newprofile, split
import newsreport as reports
from gpt2news.explore import CorpusError, marking_words
from gpt2news.run import ROOT
from newsreport.newprofile import ProfileError, new_profile


def invented(topics: int, texts: int, words: int = 30, seed: int = 0) -> pd.DataFrame:
    """`topics` x `texts` rows of invented words; a quarter of each text are words of its topic."""
    rng = np.random.default_rng(seed)
    common = [
        a + b for a in ("lo", "mi", "ta", "re", "so") for b in ("ren", "mul", "tas", "kin", "dov")
    ]
    rows = []
    for topic in range(topics):
        own = [f"{a}{b}{topic}" for a in ("bru", "che", "dra") for b in ("lin", "mop")]
        drawn = [
            [*rng.choice(common, words - words // 4), *rng.choice(own, words // 4)]
            for _ in range(texts)
        ]
        rows += [(" ".join(rng.permutation(text)), f"section: {topic:02d}") for text in drawn]
    return pd.DataFrame(rows, columns=["body", "section"])


@pytest.fixture
def csv(tmp_path):
    def write(frame: pd.DataFrame, name: str = "my news.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return write


@pytest.mark.parametrize(("topics", "texts"), [(2, 20), (20, 12), (50, 10)])
def test_the_profile_is_valid_and_its_split_works(csv, tmp_path, topics, texts):
    frame = invented(topics, texts)
    made = new_profile("mine", csv(frame), "body", "section", tmp_path / "profiles")
    assert (made.rows, made.topics) == (topics * texts, topics)
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "profiles").symlink_to(tmp_path / "profiles")
    for file in reports.NOTEBOOKS.glob("*.ipynb"):
        (notebooks / file.name).symlink_to(file)
    profile = reports.load_profile("mine", (), notebooks)
    assert profile["01_explore"] == {
        "dataset": str(tmp_path / "my news.csv"),
        "text_column": "body",
        "label_column": "section",
    }
    shares = {
        key.partition("_")[0]: profile["02_split"][key] for key in ("val_share", "test_share")
    }
    parts = split.split_corpus(
        frame.rename(columns={"body": "text", "section": "topic"}), 0, **shares
    )
    for part in split.PARTS:
        assert parts.loc[parts["split"] == part, "topic"].nunique() == topics


@pytest.mark.parametrize(("words", "length"), [(8, 64), (30, 128), (300, 512)])
def test_longer_texts_are_read_further(csv, tmp_path, words, length):
    assert (
        new_profile(
            "mine", csv(invented(2, 12, words)), "body", "section", tmp_path / "p"
        ).max_length
        == length
    )


def test_a_file_in_the_repository_is_named_from_its_root(tmp_path):
    made = new_profile("mine", ROOT / "data" / "sample" / "articles.csv", folder=tmp_path)
    assert (
        yaml.safe_load(made.path.read_text(encoding="utf-8"))["01_explore"]["dataset"]
        == "data/sample/articles.csv"
    )


def test_column_names_that_mean_something_in_yaml(csv, tmp_path):
    frame = invented(2, 12).set_axis(["a: b # c", 'yes "no"'], axis=1)
    made = new_profile("mine", csv(frame), "a: b # c", 'yes "no"', tmp_path)
    values = yaml.safe_load(made.path.read_text(encoding="utf-8"))["02_split"]
    assert (values["text_column"], values["label_column"]) == ("a: b # c", 'yes "no"')


def test_texts_in_another_script_are_told_apart_and_the_reader_is_warned(
    csv, tmp_path, monkeypatch, capsys
):
    words = ["банк", "ставка", "рынок", "матч", "вратарь", "кубок", "закон", "министр"]
    texts = [" ".join(np.random.default_rng(i).choice(words, 12)) for i in range(24)]
    frame = pd.DataFrame({"text": texts, "topic": ["a", "b"] * 12})
    assert len(set(split.duplicate_groups(texts))) == 24
    assert set(marking_words([*texts, *texts], [*"ab"] * 24)["word"]) <= set(words)
    monkeypatch.setattr(
        newprofile.new_profile, "__defaults__", ("text", "topic", tmp_path / "profiles")
    )
    assert cli.main(["new-profile", "mine", "--data", str(csv(frame))]) == 0
    assert (
        "100% of the texts are in a script that models/gpt2-mini cannot read"
        in capsys.readouterr().out
    )


def test_an_existing_profile_is_left_alone(csv, tmp_path):
    (tmp_path / "mine.yaml").write_text("precious")
    with pytest.raises(ProfileError, match=r"mine\.yaml is there already and was not changed"):
        new_profile("mine", csv(invented(2, 12)), "body", "section", tmp_path)
    assert (tmp_path / "mine.yaml").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "change", "columns", "error", "told"),
    [
        ("a/b", None, ("body", "section"), ProfileError, "letters, digits"),
        (
            "mine",
            None,
            ("text", "section"),
            CorpusError,
            "no column 'text'; it has 'body', 'section'. Name the columns: --text and --label",
        ),
        ("mine", None, ("section", "body"), CorpusError, "more (is that the label column?)"),
        (
            "mine",
            lambda f: f.assign(body=f["body"].where(f.index != 4, " ")),
            ("body", "section"),
            CorpusError,
            "empty text in row 5",
        ),
        (
            "mine",
            lambda f: f[f["section"] == "section: 00"],
            ("body", "section"),
            CorpusError,
            "one topic only",
        ),
        ("mine", lambda f: f.head(0), ("body", "section"), CorpusError, "no texts in it"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_written(
    csv, tmp_path, name, change, columns, error, told
):
    frame = invented(2, 12)
    file = csv(change(frame) if change else frame)
    with pytest.raises(error) as raised:
        new_profile(name, file, *columns, tmp_path / "profiles")
    assert told in str(raised.value)
    assert not list(tmp_path.rglob("*.yaml*"))


def test_a_topic_of_copies_is_named():
    frame = invented(2, 12).rename(columns={"body": "text", "section": "topic"})
    frame.loc[frame["topic"] == "section: 01", "text"] = (
        "the same story over and over again in every row"
    )
    with pytest.raises(ValueError, match="topic 'section: 01' has 1 texts once copies are out"):
        split.split_corpus(frame)


def test_a_part_too_small_for_all_topics_is_named():
    frame = invented(50, 8).rename(columns={"body": "text", "section": "topic"})
    with pytest.raises(
        ValueError, match=r"val_share=0.1 of 400 texts is less than one for each of 50 topics"
    ):
        split.split_corpus(frame)


def test_the_command_says_what_is_wrong(tmp_path):
    command = [
        sys.executable,
        "-m",
        "newsreport",
        "new-profile",
        "quick",
        "--data",
        str(tmp_path / "none.csv"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("gpt2news new-profile: quick.yaml is there already")
    assert "Traceback" not in done.stderr


def test_the_command_says_what_comes_next(csv, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        newprofile.new_profile, "__defaults__", ("text", "topic", tmp_path / "profiles")
    )
    assert (
        cli.main(
            [
                "new-profile",
                "mine",
                "--data",
                str(csv(invented(2, 12))),
                "--text",
                "body",
                "--label",
                "section",
            ]
        )
        == 0
    )
    assert "Next: gpt2news report --profile mine" in capsys.readouterr().out
    assert (tmp_path / "profiles" / "mine.yaml").exists()
