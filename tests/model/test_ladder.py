"""The ladder's machinery: the same draws for every rung, records that go on, masks, adapters."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from gpt2news.run import ROOT
from ladder import __main__ as command
from ladder import draws, prompt, rungs, store, studies, tables, tuning, vectors
from ladder.tuning import Setup

WORDS = {"farm": "the tractor ploughed field number", "sea": "the lighthouse warned ship number"}


@pytest.fixture
def corpus(monkeypatch, tmp_path):
    """A corpus of two topics in place of AG News, and a folder of results that is empty."""
    rows = [
        (f"{words} {i} {'x' * (i % 7)} {i * i} {i * 7} {i * 13} again", topic, f"{topic}-{i}")
        for topic, words in WORDS.items()
        for i in range(60)
    ]
    frame = pd.DataFrame(rows, columns=["text", "topic", "source_id"])
    monkeypatch.setattr(draws.explore, "load_corpus", lambda name: frame)
    shares = {"val_share": 0.1, "test_share": 0.4}
    monkeypatch.setattr(draws.earlier, "settings", lambda run, chapter: shares)
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setattr(store, "RESULTS", tmp_path / "results")
    caches = (draws.corpus, draws.draw, vectors.vectors, studies.linear_says)
    for cached in caches:
        cached.cache_clear()
    yield frame
    for cached in caches:
        cached.cache_clear()


# --- draws ---------------------------------------------------------------------------------------


def test_fewer_labels_are_part_of_more_and_no_test_text_is_learned(corpus):
    topics = corpus["topic"].to_numpy()
    two, eight, most = (draws.few("agnews", 3, n) for n in (2, 8, None))
    assert (len(two), len(eight)) == (4, 16)
    assert sorted(topics[two]) == ["farm", "farm", "sea", "sea"]
    assert set(two) < set(eight) < set(most)
    test = draws.asked("agnews", 3)
    assert not set(most) & set(test)
    assert list(draws.asked("agnews", 3, 10)) == list(test[:10])


def test_another_draw_is_another_split(corpus):
    assert set(draws.asked("agnews", 0)) != set(draws.asked("agnews", 1))


# --- records -------------------------------------------------------------------------------------


def test_records_go_on_and_other_settings_are_refused(tmp_path):
    first = store.Store("x", {"tokens": 64}, tmp_path)
    assert not first.has(rung="a", draw=0)
    first.add(rung="a", draw=0, accuracy=0.5)
    again = store.Store("x", {"tokens": 64}, tmp_path)
    assert again.has(rung="a", draw=0)
    assert store.read("x", tmp_path)["units"] == [{"rung": "a", "draw": 0, "accuracy": 0.5}]
    with pytest.raises(ValueError, match=r"x\.json was made with other settings"):
        store.Store("x", {"tokens": 128}, tmp_path)
    assert store.read("y", tmp_path)["units"] == []


def test_a_unit_that_is_on_record_is_not_run_again(corpus, monkeypatch):
    monkeypatch.setattr(studies, "CHEAP", ("largest", "tfidf", "tfidf-all"))
    monkeypatch.setattr(studies, "PER_TOPIC", (2, 8))
    monkeypatch.setattr(studies, "DRAWS", 2)
    studies.cheap_ladder("agnews", print)
    file = store.RESULTS / "labels-agnews.json"
    units = json.loads(file.read_text())["units"]
    assert len(units) == 3 * 2 * 3
    chosen = [u for u in units if u["rung"] == "tfidf" and u["per_topic"] is None]
    assert all(unit["accuracy"] == 1.0 for unit in chosen)
    assert all(unit["only_here"] == unit["only_linear"] == 0 for unit in chosen)

    def never(*arguments):
        raise AssertionError("run again")

    monkeypatch.setattr(studies, "cheap", never)
    studies.cheap_ladder("agnews", print)
    assert json.loads(file.read_text())["units"] == units


def test_a_missing_model_leaves_its_rungs_out_with_one_sentence(corpus, monkeypatch, capsys):
    monkeypatch.setattr(studies, "CHEAP", ("minilm", "wordllama"))
    monkeypatch.setitem(vectors.FOLDERS, "minilm", "models/never")
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    studies.cheap_ladder("agnews", print)
    said = capsys.readouterr().out
    assert "agnews, minilm: left out, models/never is not there: run gpt2news backbone" in said
    assert "wordllama: left out, the static table is not here: pip install wordllama==" in said


# --- rungs ---------------------------------------------------------------------------------------


def test_a_frozen_rung_learns_from_kept_vectors(corpus):
    learn, test = draws.few("agnews", 0, 8), draws.asked("agnews", 0)
    answer = rungs.cheap("gpt2-mini", "agnews", learn, test)
    linear = rungs.cheap("tfidf", "agnews", learn, test).says
    figures = rungs.scored(answer, "agnews", test, linear)
    assert figures["accuracy"] > 0.9
    assert figures["trained"] == 192 + 1
    assert vectors.vectors("gpt2-mini", "agnews")[0].shape == (120, 192)
    partly = rungs.scored(rungs.Answer(answer.says[:9], 0, 0, 0, 0), "agnews", test[:9], linear)
    assert partly["accuracy"] is None
    assert partly["n"] == 9


# --- training ------------------------------------------------------------------------------------


def first_state_moves(mask):
    sorter = tuning.Sorter(Setup("gpt2-mini", pooling="first", mask=mask), 2).eval()
    last = torch.tensor([3])
    one, other = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[5, 6, 7, 9]])
    with torch.no_grad():
        return float((sorter(one, last) - sorter(other, last)).abs().max())


def test_without_its_mask_the_first_token_sees_the_last():
    assert first_state_moves(mask=True) == 0
    assert first_state_moves(mask=False) > 1e-4


@pytest.mark.parametrize("mask", [True, False])
def test_padding_changes_no_answer(mask):
    sorter = tuning.Sorter(Setup("gpt2-mini", mask=mask), 2).eval()
    with torch.no_grad():
        alone = sorter(*tuning.batch_of([[5, 6, 7]], [0]))
        beside = sorter(*tuning.batch_of([[5, 6, 7], [1, 2, 3, 4, 5, 6]], [0, 1]))[:1]
    assert torch.allclose(alone, beside, atol=1e-5)


@pytest.mark.parametrize("how", tuning.HOWS)
def test_the_weights_that_learn_and_a_reload_that_answers_alike(how, corpus):
    setup = Setup("gpt2-mini", how=how, steps=4, epochs=1)
    texts, labels, names = studies.numbers("agnews", draws.few("agnews", 0, 8))
    done = tuning.one(setup, texts, labels.tolist(), texts, len(names))
    assert done["reload_differs"] < 1e-5
    share = done["trained"] / done["parameters"]
    within = {
        "all": (1, 1),
        "head": (0, 1e-3),
        "last 2 blocks": (0.1, 0.3),
        "lora": (1e-3, 0.05),
    }
    low, high = within[how]
    assert low <= share <= high


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="how 'some': there are all, head"):
        tuning.choose(tuning.Sorter(Setup("gpt2-mini"), 2), "some")


def test_few_texts_are_passed_often_enough():
    turns = list(tuning._orders(4, Setup("gpt2-mini", steps=10)))
    assert len(turns) == 10
    turns = list(tuning._orders(40, Setup("gpt2-mini", steps=2, epochs=3)))
    assert len(turns) == 9
    assert sorted(np.concatenate(turns[:3])) == list(range(40))


def test_contrast_turns_texts_of_a_topic_together(corpus):
    texts, labels, names = studies.numbers("agnews", draws.few("agnews", 0, 8))
    setup = Setup("gpt2-mini", steps=15)

    def apart(sorter):
        found = tuning.asks(sorter, setup, texts, "vectors")
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        same = labels[:, None] == labels[None]
        return (found @ found.T)[same].mean() - (found @ found.T)[~same].mean()

    before = apart(tuning.Sorter(setup, 2).eval())
    assert apart(tuning.contrast(setup, texts, labels, len(names))) > before + 0.2


# --- labels next, prompt, tables -----------------------------------------------------------------


@pytest.mark.parametrize("way", ["random", "unsure"])
def test_labels_are_added_step_by_step(way, corpus, monkeypatch):
    monkeypatch.setattr(studies, "NEXT_MOST", 30)
    rows, _ = vectors.vectors("gpt2-mini", "agnews")
    scores = studies.label_on(rows, "agnews", 0, way)
    assert list(scores) == [10, 20, 30]
    assert all(0 <= value <= 1 for value in scores.values())


def test_a_prompt_needs_its_model(monkeypatch):
    monkeypatch.setitem(vectors.FOLDERS, "smollm2", "models/never")
    with pytest.raises(vectors.MissingError, match="run gpt2news backbone smollm2"):
        prompt.answers(["a text"], ["one", "two"])


def test_parts_are_put_between_their_markers(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n")
    assert tables.put(file, {"x": "new \\1", "y": "none"}) == 1
    assert file.read_text() == "a\n<!-- x -->\nnew \\1\n<!-- end of x -->\nb\n"


def test_a_difference_is_bold_only_where_it_is_shown():
    assert tables.gained({"value": 0.1, "low": 0.05, "high": 0.15}) == "**+10.0 (+5.0 to +15.0)**"
    assert tables.gained({"value": 0.1, "low": -0.05, "high": 0.25}) == "+10.0 (-5.0 to +25.0)"
    assert "no interval" in tables.gained({"value": 0.1, "low": np.nan, "high": 0, "draws": 1})
    assert tables.gained(None) == "–"


def test_the_readmes_hold_what_the_records_say():
    made = tables.parts({corpus: tables.labels.units(corpus) for corpus in tables.labels.CORPORA})
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, content in made.items():
        assert f"<!-- {name} -->\n{content}\n<!-- end of {name} -->" in text + front, name


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "no part 'nothing'; there are labels" in capsys.readouterr().err
