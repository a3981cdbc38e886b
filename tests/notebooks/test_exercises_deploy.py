"""The exercises of chapter 05 that ask a learner to change something."""

import pytest

from gpt2news.run import companion

check = companion("exercises", "05_deploy").check
GIVEN = {"test": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("05.post", "application/jsonlines", "the reply takes the form of the question"),
        ("05.post", "application/jsonlines; charset=utf-8", "the reply takes the form"),
        ("05.temperature", 0, "keeps their order"),
    ],
)
def test_right(name, answer, says):
    verdict = check(name, answer, GIVEN)
    assert verdict.right is True
    assert says in verdict.text


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("05.post", "application/json", "`json=` makes JSON of them"),
        ("05.post", "text", 'response.headers["content-type"]'),
        ("05.temperature", 3, "Compare `topic`, not `answered`"),
        ("05.temperature", 1, "hold the new temperature"),
    ],
)
def test_a_slip_gets_its_hint(name, answer, says):
    verdict = check(name, answer, GIVEN)
    assert verdict.right is False
    assert says in verdict.text
