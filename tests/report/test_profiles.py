"""Profiles: what is refused, in one sentence, before anything runs; profiles for own corpora."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from gpt2news import split
from gpt2news.run import CHAPTERS, ROOT, companion, parameters_of
from newsreport import __main__ as cli
from newsreport.gates import ReportError
from newsreport.profiles import NOTEBOOKS, load_profile

check_new = companion("doctor", "01_explore").check_new
marking_words = companion("words", "01_explore").marking_words


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("03_finetune.epoch=1",), "no parameter 'epoch'; it has value, share, source, dataset"),
        (("03_finetun.value=1",), "no notebook '03_finetun'; there are 01_explore"),
        (("03_finetune.value=many",), "value = 'many': str given, int needed"),
        (("03_finetune.value=1.5",), "float given, int needed"),
        (("03_finetune.value=true",), "bool given, int needed"),
        (("03_finetune.value=",), "NoneType given, int needed"),
        (("03_finetune.value=-1",), "value = -1: it cannot be below 0"),
        (("03_finetune.share=-1e-4",), "share = -0.0001: it cannot be below 0"),
        (("03_finetune.share=.nan",), "share = nan: a finite number is needed"),
        (("03_finetune.share=.inf",), "share = inf: a finite number is needed"),
        (("03_finetune.run=y",), "no parameter 'run'"),
        (("03_finetune=1",), "write it as chapter.parameter=value"),
        (("03_finetune.value",), "write it as chapter.parameter=value"),
        (("03_finetune.source=[",), "cannot be read as YAML"),
        (("gates.x=1",), "no notebook 'gates'"),
    ],
)
def test_a_wrong_value_is_refused(tiny, sets, message):
    with pytest.raises(ReportError) as raised:
        tiny.load(*sets)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- 03_finetune", "profile p holds ['03_finetune']; lines such as"),
        ("5", "profile p holds 5; lines such as"),
        ("quick", "profile p holds 'quick'; lines such as"),
        (
            "03_finetune: [value]",
            "03_finetune holds ['value']; lines such as `name: value` are needed",
        ),
        ("03_finetune: 5", "03_finetune holds 5; lines such as"),
        ("03_finetune: {value: -1}", "03_finetune.value = -1: it cannot be below 0"),
        ("03_finetune: {share: .nan}", "03_finetune.share = nan: a finite number is needed"),
        ("03_finetune: {value: 1, value: 2}", "'value' stands there twice"),
        ("03_finetune: {value: 1}\n03_finetune: {share: 1}", "'03_finetune' stands there twice"),
        ("5: {value: 1}", "no notebook 5; there are 01_explore"),
        ("time_limit: 5", "time_limit holds 5; lines such as"),
        ("time_limit: abc", "time_limit holds 'abc'; lines such as"),
        ("time_limit: {03_finetune: abc}", "time_limit of 03_finetune is 'abc'; seconds are"),
        ("time_limit: {03_finetune: 0}", "time_limit of 03_finetune is 0; seconds are needed"),
        ("time_limit: {03_finetune: .nan}", "time_limit of 03_finetune is nan; seconds are"),
        ("time_limit: {03_tune: 5}", "no notebook '03_tune'; there are 01_explore"),
        ("gates: split.train >= 7", "gates is a list of lines"),
        ("gates: {a: 1}", "gates is a list of lines"),
        ("gates: [split.trian >= 7]", "gate 'split.trian >= 7': metrics.json has no 'split.trian'"),
        ("a: [", "p.yaml: it cannot be read as YAML"),
    ],
)
def test_a_wrong_profile_is_refused(tiny, content, message):
    tiny.profile(content)
    with pytest.raises(ReportError) as raised:
        tiny.load()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("written", ["1e-4", "1E-4", "0.0001", "1.0e-4", ".0001"])
def test_a_number_as_people_write_it(tiny, written):
    assert tiny.load(f"02_split.share={written}").parameters["02_split"]["share"] == 1e-4
    tiny.profile(f"02_split: {{share: {written}}}")
    assert tiny.load().parameters["02_split"]["share"] == 1e-4


def test_an_int_fits_a_float(tiny):
    assert tiny.load("02_split.share=1").parameters["02_split"]["share"] == 1


@pytest.mark.parametrize("content", ["", "03_finetune:\n", "gates:\ntime_limit:\n"])
def test_what_is_not_set_keeps_its_default(tiny, content):
    tiny.profile(content)
    profile = tiny.load()
    assert profile.parameters["03_finetune"] == {
        "value": 1,
        "share": 0.5,
        "source": "",
        "dataset": "sample",
    }
    assert (profile.time_limits, profile.gates) == ({}, [])


def test_an_unknown_profile_lists_the_known(tiny):
    with pytest.raises(ReportError, match=r"no profile 'q'; there are p"):
        load_profile("q", (), tiny.notebooks)


@pytest.mark.parametrize("name", sorted(p.stem for p in (NOTEBOOKS / "profiles").glob("*.yaml")))
def test_the_shipped_profiles_are_valid(name):
    profile = load_profile(name)
    assert profile.gates
    assert set(profile.parameters) == set(profile.time_limits) == set(CHAPTERS)


def test_quick_is_what_the_notebooks_default_to():
    profile = load_profile("quick")
    for chapter in CHAPTERS:
        defaults = parameters_of(NOTEBOOKS / f"{chapter}.ipynb")
        assert {**profile.parameters[chapter], "run": "quick"} == defaults


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "nope"], "no profile 'nope'; there are "),
        (["--set", "03_finetune.epoch=1"], "no parameter 'epoch'"),
        (["--name", "a/b"], "plain folder name"),
        (["--name", "published"], "choose another --name"),
        (["--set", "01_explore.dataset=nowhere.csv", "--name", "x"], "nowhere.csv: no such file"),
    ],
)
def test_the_command_says_what_is_wrong_and_exits_2(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    assert cli.main(["report", *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


# --- a profile for a corpus of one's own ------------------------------------------------------


@pytest.fixture
def make(tmp_path, monkeypatch, capsys):
    """`make(file, text, label)`: the command, into a folder of its own; what it wrote, and said."""

    folder = tmp_path / "notebooks"
    monkeypatch.setattr("newsreport.profiles.NOTEBOOKS", folder)

    def new_profile(data, text="text", label="topic", name="mine"):
        command = ["new-profile", name, "--data", str(data), "--text", text, "--label", label]
        code = cli.main(command)
        file = folder / "profiles" / f"{name}.yaml"
        said = capsys.readouterr()
        if code:
            assert said.err.startswith("gpt2news new-profile: ")
            assert said.err.count("\n") == 1
            return code, None, said.err
        return code, yaml.safe_load(file.read_text(encoding="utf-8")), said.out

    return new_profile


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
def test_the_profile_is_valid_and_its_split_works(csv, make, tmp_path, topics, texts):
    frame = invented(topics, texts)
    code, written, said = make(csv(frame), "body", "section")
    assert code == 0
    assert f"{topics * texts:,} texts, {topics} topics" in said
    assert "Next: gpt2news report --profile mine" in said
    assert written["01_explore"] == {
        "dataset": str(tmp_path / "my news.csv"),
        "text_column": "body",
        "label_column": "section",
    }
    for file in NOTEBOOKS.glob("*.ipynb"):
        (tmp_path / "notebooks" / file.name).symlink_to(file)
    values = load_profile("mine", (), tmp_path / "notebooks").parameters["02_split"]
    assert values["dataset"] == str(tmp_path / "my news.csv")
    renamed = frame.rename(columns={"body": "text", "section": "topic"})
    parts = split.split_corpus(renamed, 0, val=values["val_share"], test=values["test_share"])
    for part in split.PARTS:
        assert parts.loc[parts["split"] == part, "topic"].nunique() == topics


@pytest.mark.parametrize(("words", "length"), [(8, 64), (30, 128), (300, 512)])
def test_longer_texts_are_read_further(csv, make, words, length):
    _, written, _ = make(csv(invented(2, 12, words)), "body", "section")
    assert written["03_finetune"]["max_length"] == length


def test_a_file_in_the_repository_is_named_from_its_root(make):
    _, written, _ = make(ROOT / "data" / "sample" / "articles.csv")
    assert written["01_explore"]["dataset"] == "data/sample/articles.csv"


def test_column_names_that_mean_something_in_yaml(csv, make):
    frame = invented(2, 12).set_axis(["a: b # c", 'yes "nö"'], axis=1)
    _, written, _ = make(csv(frame), "a: b # c", 'yes "nö"')
    values = written["02_split"]
    assert (values["text_column"], values["label_column"]) == ("a: b # c", 'yes "nö"')


def test_texts_in_another_script_are_told_apart_and_the_reader_is_warned(csv, make):
    words = ["банк", "ставка", "рынок", "матч", "вратарь", "кубок", "закон", "министр"]
    texts = [" ".join(np.random.default_rng(i).choice(words, 12)) for i in range(24)]
    frame = pd.DataFrame({"text": texts, "topic": ["a", "b"] * 12})
    assert len(set(split.duplicate_groups(texts))) == 24
    assert set(marking_words([*texts, *texts], [*"ab"] * 24)["word"]) <= set(words)
    _, _, said = make(csv(frame))
    assert "100% of the texts are in a script that models/gpt2-mini cannot read" in said


def test_many_topics_are_asked_about(csv, make):
    _, _, said = make(csv(invented(51, 10)), "body", "section")
    assert "51 topics; figures are made for 50. Is that the label column?" in said


def test_an_existing_profile_is_left_alone(csv, make, tmp_path):
    folder = tmp_path / "notebooks" / "profiles"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("precious")
    code, _, said = make(csv(invented(2, 12)), "body", "section")
    assert code == 2
    assert "mine.yaml is there already and was not changed" in said
    assert (folder / "mine.yaml").read_text() == "precious"


def emptied(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(body=frame["body"].where(~frame.index.isin([4, 5]), " "))


def one_topic(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["section"] == "section: 00"]


@pytest.mark.parametrize(
    ("name", "change", "columns", "told"),
    [
        ("a/b", None, ("body", "section"), "letters, digits"),
        (
            "mine",
            None,
            ("text", "section"),
            "no column 'text'; it has 'body', 'section'. Name the columns: ",
        ),
        ("mine", None, ("section", "body"), "more (is that the label column?)"),
        ("mine", emptied, ("body", "section"), "line 6: no text"),
        ("mine", one_topic, ("body", "section"), "one topic only"),
        ("mine", pd.DataFrame.head, ("body", "section"), ""),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_written(
    csv, make, tmp_path, name, change, columns, told
):
    frame = invented(2, 12)
    code, _, said = make(csv(change(frame) if change else frame), *columns, name)
    assert code == 2
    assert told in said
    assert not list(tmp_path.rglob("*.yaml*"))


def test_an_empty_corpus_is_refused(csv, make):
    assert "no texts in it" in make(csv(invented(2, 12).head(0)), "body", "section")[2]


@pytest.mark.parametrize("name", ["sample", "bbc"])
def test_a_corpus_that_has_a_profile_is_refused(make, name):
    assert "has a profile of its own already" in make(name)[2]


def test_a_name_that_is_a_path_is_refused(tmp_path):
    for name in ("../x", "", ".x", "a b"):
        with pytest.raises(ReportError, match="letters, digits"):
            check_new(name, tmp_path)


def test_a_topic_of_copies_is_named():
    frame = invented(2, 12).rename(columns={"body": "text", "section": "topic"})
    copies = "the same story over and over again in every row"
    frame.loc[frame["topic"] == "section: 01", "text"] = copies
    with pytest.raises(ValueError, match="topic 'section: 01' has 1 texts once copies are out"):
        split.split_corpus(frame)


def test_a_part_too_small_for_all_topics_is_named():
    frame = invented(50, 8).rename(columns={"body": "text", "section": "topic"})
    told = "val_share=0.1 of 400 texts is less than one for each of 50 topics"
    with pytest.raises(ValueError, match=told):
        split.split_corpus(frame)


def test_the_command_says_what_is_wrong(tmp_path):
    data = str(tmp_path / "none.csv")
    command = [sys.executable, "-m", "newsreport", "new-profile", "quick", "--data", data]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("gpt2news new-profile: quick.yaml is there already")
    assert "Traceback" not in done.stderr
