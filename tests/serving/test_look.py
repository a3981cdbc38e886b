"""How the web app shows answers."""

from newsserve.app import look


def test_html_and_markdown_of_others_are_shown_and_not_run():
    evil = "<script>alert(1)</script>"
    assert "<script" not in look.words([(evil, 0.4), (evil, 0.1)], f"{evil} {evil} {evil}", evil)
    assert look.plain("![a](http://b) 1_000 é") == r"\!\[a\]\(http\:\/\/b\) 1_000 é"


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
    marked = '<mark class="much">ten men</mark> <mark class="some">held</mark> '
    assert marked + '<mark class="less">on</mark>' in " ".join(shown.split())
    assert "2 more words, not read" in shown
    assert "Strongest for sport: “ten men”, “held”." in shown
    assert "No single word spoke for sport" in look.words([("a", -0.1), ("b", 0.0)], "a b", "sport")
