"""What `gpt2news doctor` says of labels, languages and a machine."""

import sys
from collections import Counter

import pandas as pd
import pytest

from gpt2news.run import companion
from newsreport import __main__ as command

doctor = companion("doctor", "01_explore")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["Sport", "sport ", "news"], "'Sport', 'sport ' differ in capitals or spaces only"),
        (["a", "b", "a|b"], "'a|b' looks like several labels in one cell"),
        (["a", "b", "b / a"], "'b / a' looks like several labels in one cell"),
        (["0", "1", "2.5"], "The labels are numbers (0, 1, 2.5)"),
        (["a" * 61, "b"], "is a long label"),
        ([f"t{n}" for n in range(51)], "51 topics; figures are made for 50"),
        (["ham"] * 9 + ["spam"], "90% are 'ham': a model that always says so"),
    ],
)
def test_what_is_odd_about_labels(labels, says):
    (said,) = doctor.oddities(pd.Series(labels))
    assert says in said


@pytest.mark.parametrize("labels", [["sport", "news"], ["R&B/Soul", "a/c"], ["2 stars", "1"]])
def test_labels_that_are_not_odd(labels):
    assert doctor.oddities(pd.Series(labels)) == []


def corpus_of(**texts: list[str]) -> pd.DataFrame:
    rows = [(text, topic) for topic, some in texts.items() for text in some]
    return pd.DataFrame(rows, columns=["text", "topic"])


def test_a_topic_that_is_all_copies_is_said_before_chapter_02_stops():
    different = ["one bank", "two banks", "three banks", "four banks"]
    copied = ["the very same words on day one here"] * 4
    (said,) = doctor.once_copies_are_out(corpus_of(money=different, sport=copied))
    assert said.startswith("Once near copies are out, 5 of 8 texts are left: 'sport' has 1.")
    assert doctor.once_copies_are_out(corpus_of(money=different, sport=["a", "b", "c"])) == []
    assert doctor.once_copies_are_out(corpus_of(money=different)) == []


def test_languages_are_told_by_small_words():
    texts = {
        "English": "The bank said that it was in for a loss",
        "German": "Die Mannschaft gewann das Spiel und ist nicht mit dem Bus gefahren",
        "Spanish": "El gobierno dijo que los bancos en un mes y con la ley",
        "French": "Le gouvernement est dans une crise et les banques pour la loi",
        "Turkish": "Bir takım bu maç için ve daha yeni bir teknik direktör ile",
        "Russian": "Банк не снизил ставку и в этом году, что на руку",
        "open": "qzrt plmk wvxy",
    }
    for language, text in texts.items():
        assert doctor.languages([text]) == Counter({language: 1})
    assert [doctor.script_of(text) for text in ("Bank", "Банк", "银行", "123")] == [
        *("Latin", "Cyrillic", "Chinese characters", ""),
    ]


def test_columns_are_found_by_their_names_or_by_what_is_in_them():
    rows = [
        {"n": i, "words": f"a longer text of number {i}", "kind": "ab"[i % 2]} for i in range(8)
    ]
    assert doctor.likely_columns(["n", "words", "kind"], rows) == ("words", "kind")
    named = [{"label": "a", "Body": "b", "id": i} for i in range(8)]
    assert doctor.likely_columns(["label", "Body", "id"], named) == ("Body", "label")
    alone = [{"review": f"text {i}"} for i in range(8)]
    assert doctor.likely_columns(["review"], alone) == ("review", "")


def test_a_machine_is_looked_at(capsys):
    assert command.main(["doctor"]) in (0, 1)
    said = capsys.readouterr().out
    assert f"Python {sys.version.split()[0]}" in said
    for what in ("torch ", "GPU", "GB free", "font", "kernel `python3`"):
        assert what in said


def test_what_is_wrong_with_a_machine_comes_with_its_fix(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    monkeypatch.setattr(doctor, "FREE_GB", 10**6)
    assert command.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "make PYTHON=" in said
    assert "set GPT2NEWS_REPORTS" in said
    assert said.count("FIX") == 2


def test_a_kernel_that_is_another_python_is_named(monkeypatch):
    spec = type("Spec", (), {"argv": ["/opt/other/bin/python", "-m", "ipykernel_launcher"]})
    manager = type("Manager", (), {"get_kernel_spec": lambda self, name: spec})
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager", manager)
    fine, says = doctor.kernel()
    assert not fine
    assert "/opt/other/bin/python" in says
    assert f"{sys.executable} -m ipykernel install" in says
