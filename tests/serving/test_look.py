"""The pieces of HTML of the web app."""

from newsserve.app import look
from newsserve.predictor import Answer


def answer(topic="sport", p=0.9, answered=True) -> Answer:
    return Answer(topic, p, answered, {topic: p, "other": 1 - p}, 7, False)


def test_html_of_others_is_shown_and_not_run():
    evil = "<script>alert(1)</script>"
    pieces = [
        look.verdict(answer(evil), 0.5),
        look.bars([(evil, 0.5, evil)]),
        look.words([(evil, 0.4), (evil, 0.1)], f"{evil} {evil} {evil}", evil),
    ]
    assert not [piece for piece in pieces if "<script" in piece]


def test_a_probability_is_never_certain():
    assert [look.percent(p) for p in (1.0, 0.9996, 0.983, 0.0004)] == [
        "over 99.9%",
        "over 99.9%",
        "98.3%",
        "under 0.1%",
    ]


def test_words_that_were_left_out_together_are_marked_together():
    shown = look.words(
        [("ten", 0.4), ("men", 0.4), ("held", 0.1), ("on", -0.3)],
        "ten men held on after that",
        "sport",
    )
    assert (
        '<mark class="much">ten men</mark> <mark class="some">held</mark> '
        '<mark class="less">on</mark>' in shown
    )
    assert "2 more words, not read" in shown
    assert "Strongest for sport: “ten men”, “held”." in shown
    assert "No single word spoke for sport" in look.words([("a", -0.1), ("b", 0.0)], "a b", "sport")
