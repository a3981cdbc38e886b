"""The long studies: what is trained on what, one record at a time, going on after a stop."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from scipy import stats
from transformers import GPT2Config, GPT2LMHeadModel

from gpt2news import split
from gpt2news.run import ROOT, Run
from pretrain_gpt2_mini import train_tokenizer

sys.path.append(str(ROOT / "benchmarks"))
studies = importlib.import_module("studies")

WORDS = {
    "sport": "goal keeper penalty cup striker",
    "business": "shares profit bank market forecast",
    "farm": "tractor field barley cow hay",
}


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    """90 texts of three topics; the last ten are nearly the first ten: twins must stay together."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(90):
        topic = sorted(WORDS)[i % 3]
        words = " ".join(random.choice(WORDS[topic].split(), size=20))
        rows.append({"text": f"Number {i}: {words}.", "topic": topic, "source_id": f"id{i}"})
    for i in range(10):
        rows[80 + i] = {**rows[i], "text": rows[i]["text"] + " Indeed", "source_id": f"twin{i}"}
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory, texts) -> str:
    folder = tmp_path_factory.mktemp("backbone")
    tokenizer = train_tokenizer(texts["text"].tolist(), 400)
    torch.manual_seed(0)
    shape = {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    config = GPT2Config(vocab_size=len(tokenizer), **shape, **special)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run(tmp_path, monkeypatch, texts, backbone) -> Run:
    """A run as chapters 02 and 03 leave it, but for the weights."""
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path))
    run = Run("mine")
    parted = texts.assign(group=range(90), split=["train"] * 60 + ["val"] * 15 + ["test"] * 15)
    split.write_split(parted, run.path("splits"), {})
    training = {
        "backbone": backbone,
        "from_scratch": False,
        "pooling": "last",
        "batch_size": 8,
        "learning_rate": 0.005,
        "max_length": 32,
    }
    run.path("model").mkdir()
    run.write_json("model/training.json", training)
    config = Path(backbone, "config.json").read_text(encoding="utf-8")
    run.path("model", "config.json").write_text(config, encoding="utf-8")
    return run


def pretend(unit, settings):
    return {**unit.facts, "accuracy": 0.9, "seconds": 1.0}


def test_folds_score_every_text_once_a_seed_and_never_part_twins(texts):
    parts = {"train": texts.iloc[:60], "val": texts.iloc[60:75], "test": texts.iloc[75:]}
    units = list(studies.fold_units(parts, folds=5, seeds=2))
    assert [unit.facts for unit in units[:2]] == [{"fold": 1, "seed": 0}, {"fold": 2, "seed": 0}]
    assert len({unit.name for unit in units}) == 10
    for seed in (0, 1):
        scored = pd.concat([unit.parts["test"] for unit in units if unit.facts["seed"] == seed])
        assert sorted(scored["source_id"]) == sorted(texts["source_id"])
    for unit in units:
        sides = {
            part: set(frame["source_id"].str.replace("twin", "id"))
            for part, frame in unit.parts.items()
        }
        assert not sides["train"] & sides["test"]
        assert not sides["train"] & sides["val"]
        assert not sides["val"] & sides["test"]
        assert all(frame["topic"].nunique() == 3 for frame in unit.parts.values())
    assert set(units[0].parts["test"]["source_id"]) != set(units[5].parts["test"]["source_id"])


def test_samples_are_nested_and_keep_the_topics_in_proportion():
    train = pd.DataFrame(
        {"topic": ["a"] * 600 + ["b"] * 300 + ["c"] * 100, "source_id": map(str, range(1000))}
    )
    small, large = (studies.nested_sample(train, n, seed=3) for n in (50, 200))
    assert set(small["source_id"]) <= set(large["source_id"])
    assert large["topic"].value_counts().to_dict() == {"a": 120, "b": 60, "c": 20}
    assert set(small["source_id"]) != set(studies.nested_sample(train, 50, seed=4)["source_id"])


def test_the_curve_ends_with_all_texts_and_leaves_out_sizes_that_miss_a_topic():
    texts = pd.DataFrame({"topic": ["a"] * 480 + ["b"] * 10, "source_id": map(str, range(490))})
    units = list(studies.curve_units({"train": texts, "val": texts, "test": texts}, seeds=1))
    assert [unit.facts["texts"] for unit in units] == [100, 200, 400, 490]


@pytest.mark.parametrize(
    ("row", "options"),
    [
        ("last@64", {"pooling": "last", "max_length": 64}),
        ("mean@256+scratch", {"pooling": "mean", "max_length": 256, "from_scratch": True}),
        (
            "mean@128+frozen",
            {"pooling": "mean", "max_length": 128, "freeze": 4, "learning_rate": 0.01},
        ),
    ],
)
def test_rows_of_the_ablation(row, options):
    assert studies.parse_row(row, blocks=4, rate=0.001) == options


@pytest.mark.parametrize(
    "row",
    [
        "last",
        "sum@128",
        "left@128",
        "article",
        "last@x",
        "last@128+",
        "last@128+scratch+frozen",
        "",
    ],
)
def test_a_row_that_cannot_be_read_says_how_to_write_one(row):
    with pytest.raises(studies.StudyError, match=r"write pooling@tokens .*, say last@128"):
        studies.parse_row(row, blocks=4, rate=0.001)


def test_the_whole_table_has_what_the_backbone_can_read():
    rows = studies.ablation_rows({"pooling": "mean", "max_length": 128}, longest=256)
    heads = ["mean@128", "last@128", "first@128"]
    assert rows == [*heads, "mean@64", "mean@256", "mean@128+scratch", "mean@128+frozen"]
    words = [studies.reading(row) for row in rows]
    assert words[0] == "mean of all tokens"
    assert words[-2:] == ["mean of all tokens, from scratch", "mean of all tokens, backbone frozen"]


def test_goes_on_after_a_stop_and_adds_what_is_asked_for_later(run):
    trained = []

    def stops(unit, settings):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(unit.name)
        return pretend(unit, settings)

    said = []
    with pytest.raises(KeyboardInterrupt):
        studies.run_study(run, "folds", folds=2, seeds=2, train=stops, say=said.append)
    assert "[3/4] fold 1, seed 1: accuracy 0.900; 1 s, about 0 min left" in said[-1]
    assert list(studies.load(run, "folds")["units"]) == trained
    more = []
    result = studies.run_study(
        run,
        "folds",
        folds=2,
        seeds=2,
        train=lambda u, s: more.append(u.name) or pretend(u, s),
        say=said.append,
    )
    assert more == ["fold 2, seed 1"]
    assert result == studies.load(run, "folds")
    assert sorted(result["units"]) == sorted(result["wanted"])
    studies.run_study(
        run,
        "folds",
        folds=2,
        seeds=3,
        train=lambda u, s: more.append(u.name) or pretend(u, s),
        say=said.append,
    )
    assert more[1:] == ["fold 1, seed 2", "fold 2, seed 2"]
    studies.run_study(run, "folds", folds=2, seeds=1, fresh=True, train=pretend, say=said.append)
    assert len(studies.load(run, "folds")["units"]) == 2
    assert not list(run.folder.rglob("*.part*"))


def test_other_settings_or_texts_are_refused(run):
    quiet = {"train": pretend, "say": lambda line: None}
    studies.run_study(run, "folds", folds=2, seeds=1, **quiet)
    with pytest.raises(
        studies.StudyError, match=r"2 trainings with other max_length 32, now 16.*--fresh"
    ):
        studies.run_study(run, "folds", folds=2, seeds=1, max_length=16, **quiet)
    with pytest.raises(studies.StudyError, match=r"folds 2, now 3"):
        studies.run_study(run, "folds", folds=3, seeds=1, **quiet)
    path = run.path("splits", "test.csv")
    path.write_text(path.read_text().replace("Number", "No."))
    with pytest.raises(studies.StudyError, match="other texts"):
        studies.run_study(run, "folds", folds=2, seeds=1, **quiet)


def test_a_study_that_is_going_on_is_not_run_twice(run):
    with (
        FileLock(run.path(".curve.lock")),
        pytest.raises(studies.StudyError, match="by another process"),
    ):
        studies.run_study(run, "curve", seeds=1, train=pretend, say=lambda line: None)


@pytest.mark.parametrize(
    ("study", "options", "message"),
    [
        ("fold", {}, "no study 'fold'; there are folds, ablation, curve"),
        ("folds", {"folds": 1}, "2 folds or more"),
        ("folds", {"seeds": 0}, "seeds 0"),
        ("ablation", {"rows": ("best@128",)}, "ablation row 'best@128'"),
    ],
)
def test_what_cannot_be_run_is_refused(run, study, options, message):
    with pytest.raises(studies.StudyError, match=message):
        studies.run_study(run, study, train=pretend, say=lambda line: None, **options)
    assert not run.path("studies").exists()


def test_a_real_training_learns_and_is_recorded(run):
    said = []
    result = studies.run_study(
        run, "folds", folds=2, seeds=1, max_length=24, epochs=2, say=said.append
    )
    assert said[0] == "folds: 2 trainings of 24 tokens, 2 epochs, 0 of them done"
    for record in result["units"].values():
        assert (
            record["epochs"] >= 20
        )  # some 40 texts are 5 steps of 8: passes are added up to 100 steps
        assert record["accuracy"] == record["right"] / record["n"] >= 0.8
        assert record["baseline"] >= 0.8
        assert {"macro_f1", "log_loss", "ece", "ece_before", "temperature"} <= set(record)
    assert sum(record["n"] for record in result["units"].values()) == 90


def test_the_command_runs_one_row_sums_up_and_says_what_is_wrong(run, capsys):
    def command(*arguments):
        return studies.main(["--run", "mine", *arguments]), capsys.readouterr()

    code, told = command("--ablation", "last@16", "--seeds", "2", "--epochs", "1")
    assert code == 0, told.err
    assert "[2/2] last@16, seed 1: accuracy" in told.out
    assert set(studies.load(run, "ablation")["units"]) == {"last@16, seed 0", "last@16, seed 1"}
    summary = json.loads(run.path("studies", "summary.json").read_text())
    assert (summary["folds"], summary["curve"]) == (None, None)
    (row,) = summary["ablation"]
    assert (row["row"], row["tokens"], row["runs"]) == ("last@16", 16, 2)
    assert row["again"] == "python benchmarks/studies.py --run mine --ablation last@16"
    assert run.path("studies", "ablation.png").stat().st_size > 1000
    code, told = command("--ablation", "worst@16")
    assert (code, told.out) == (2, "")
    assert "studies: ablation row 'worst@16'" in told.err
    run.path("model", "training.json").unlink()
    code, told = command("--curve")
    assert code == 2
    assert "run chapter 03_finetune first" in told.err


# --- what the records say ------------------------------------------------------------------------

SETTINGS = {"max_length": 128, "epochs": 2, "folds": 2}


def test_corrected_difference_is_wider_than_the_plain_t_test():
    differences = np.array([0.01, 0.02, 0.00, 0.03, 0.02, 0.01])
    given = studies.corrected_difference(differences, train=400, test=100)
    plain = stats.ttest_1samp(differences, 0)
    assert given["value"] == pytest.approx(0.015)
    assert given["p"] > plain.pvalue
    widening = np.sqrt((1 / 6 + 100 / 400) / (1 / 6))
    half = stats.sem(differences) * stats.t.ppf(0.975, 5) * widening
    assert given["high"] - given["value"] == pytest.approx(half)
    none = studies.corrected_difference(np.zeros(4), 4, 1)
    assert none == {"value": 0, "low": 0, "high": 0, "p": 1.0}


def ablation(accuracies: dict[str, list[float]]) -> dict:
    units = {
        f"{row}, seed {seed}": {
            "row": row, "seed": seed, "accuracy": accuracy,
            "max_length": 128, "log_loss": 0.2, "seconds": 30.0,
        }
        for row, several in accuracies.items()
        for seed, accuracy in enumerate(several)
    }  # fmt: skip
    return {"settings": SETTINGS, "units": units, "wanted": list(units)}


def test_the_table_of_the_ablation():
    study = ablation({"last@128": [0.90, 0.92, 0.94], "mean@128+scratch": [0.5]})
    table = studies.ablation_table(study, "run --ablation")
    assert table["again"].tolist() == [
        "run --ablation last@128",
        "run --ablation mean@128+scratch",
    ]
    numbers = table.loc[0, ["runs", "accuracy", "sd", "low", "high"]].tolist()
    assert numbers == [3, pytest.approx(0.92), pytest.approx(0.02), 0.90, 0.94]
    assert table["sd"][1] is None or np.isnan(table["sd"][1])


def folds(*accuracies: float) -> dict:
    fold = {
        "baseline": 0.95,
        "macro_f1": 0.9,
        "ece_before": 0.05,
        "ece": 0.02,
        "train": 80,
        "n": 20,
    }
    units = {str(i): {**fold, "seed": 0, "accuracy": value} for i, value in enumerate(accuracies)}
    return {"settings": SETTINGS, "units": units, "wanted": [*units, "one more"]}


def test_the_summary_of_the_folds():
    summary = studies.folds_summary(folds(0.9, 0.8))
    assert (summary["runs"], summary["wanted"], summary["seeds"]) == (2, 3, 1)
    assert summary["accuracy"]["mean"] == pytest.approx(0.85)
    assert summary["difference"]["value"] == pytest.approx(-0.1)
    assert summary["verdict"].startswith(
        "Over 2 folds (128 tokens, epochs 2), fine-tuned model against rival: "
        "no difference that they can prove, -10.0 points"
    )


@pytest.mark.parametrize(
    ("accuracies", "told"),
    [
        ((0.99, 0.989, 0.988), ": ahead, +3.9 points ("),
        ((0.90, 0.899, 0.898), ": behind, -5.1 points ("),
        ((0.95, 0.95), ": no difference that they can prove, +0.0 points (+0.0 to +0.0)"),
    ],
)
def test_the_verdict_of_the_folds(accuracies, told):
    assert told in studies.folds_summary(folds(*accuracies))["verdict"]


def test_one_fold_has_no_verdict():
    summary = studies.folds_summary(folds(0.9))
    assert "difference" not in summary
    assert "verdict" not in summary
    assert summary["accuracy"]["sd"] is None


def test_all_studies_are_summed_up_in_figures_and_numbers(run):
    assert studies.summarise(run) is None
    curve = {
        f"{n} texts, seed 0": {"texts": n, "seed": 0, "epochs": 2, "accuracy": a, "baseline": 0.9}
        for n, a in ((50, 0.7), (1000, 0.95))
    }
    curve = {"settings": SETTINGS, "units": curve, "wanted": list(curve)}
    known = {"folds": folds(0.9, 0.8), "ablation": ablation({"last@128": [0.9]}), "curve": curve}
    for name, study in known.items():
        run.write_json(f"studies/{name}.json", study)
    summary = studies.summarise(run)
    assert summary == json.loads(run.path("studies", "summary.json").read_text())
    assert summary["ablation"][0]["sd"] is None
    assert [row["texts"] for row in summary["curve"]] == [50, 1000]
    for name in ("folds", "ablation", "learning_curve"):
        assert run.path("studies", f"{name}.png").stat().st_size > 1000
