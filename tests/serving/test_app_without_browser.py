"""The parts of the app that need no browser."""

import io
import sys

import pytest

from newsserve.app import look, models, sheets
from newsserve.predictor import Answer, Predictor


def answer(topic="sport", p=0.9, answered=True) -> Answer:
    return Answer(topic, p, answered, {topic: p, "other": 1 - p}, 7, False)


def test_a_file_keeps_its_bytes_its_delimiter_and_its_bad_rows(exported):
    sheet = sheets.read(
        "\ufeffid;text\n1;The bank cut its forecast\n2;\n3\n4;caf".encode()
        + b"\xe9\n\n5;Goal!;more\n"
    )
    assert (sheet.delimiter, sheet.likely_column(), len(sheet.rows)) == (";", 1, 5)
    predictor = Predictor(exported)
    assert list(sheet.answer(predictor, 1, portion=2)) == [2, 4, 5]
    lines = sheet.write().split(b"\n")
    (alone,) = predictor(["The bank cut its forecast"])
    assert lines[0] == b"id;text;predicted;probability;answered;truncated;error"
    assert (
        lines[1]
        == f"1;The bank cut its forecast;{alone.topic};{round(alone.probability, 6)};True;False;".encode()
    )
    assert lines[2:] == [
        b"2;;;;;;no text",
        b"3;;;;;;1 columns where the header has 2",
        b"4;caf\xe9;;;;;the text is not UTF-8",
        b"5;Goal!;;;;;\"3 columns where the header has 2; beyond the header: ['more']\"",
        b"",
    ]
    assert sheet.topics() == {alone.topic: 1, sheets.NOT_READ: 4}
    list(
        sheet.answer(predictor, 0)
    )  # another column: what was wrong with the texts of the first is forgotten
    assert sheet.errors[1] is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no rows"),
        (b"text\n", "no rows"),
        (b"PK\0\0", "not a CSV"),
        (b"text,error\na,b\n", "overwrite the columns error"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_with_the_way_out(data, says):
    with pytest.raises(sheets.SheetError, match=says):
        sheets.read(data)


def test_html_of_others_is_shown_and_not_run():
    evil = "<script>alert(1)</script>"
    pieces = [
        look.verdict(answer(evil), 0.5),
        look.bars([(evil, 0.5, evil)]),
        look.words([(evil, 0.4), (evil, 0.1)], f"{evil} {evil} {evil}", evil),
        look.table([evil], [[evil]], f'"{evil}'),
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
        '<mark class="much">ten men</mark> <mark class="some">held</mark> <mark class="less">on</mark>'
        in shown
    )
    assert "2 more words, not read" in shown
    assert "Strongest for sport: “ten men”, “held”." in shown
    assert "No single word spoke for sport" in look.words([("a", -0.1), ("b", 0.0)], "a b", "sport")


def test_portions_are_small_and_in_order():
    texts = [str(i) for i in range(40)] + ["x" * 10 * models.LONGEST] * 5
    parts = list(models.portions(texts))
    assert [text[: models.LONGEST] for text in texts] == [text for part in parts for text in part]
    assert all(
        len(part) <= models.PORTION and 4 * sum(map(len, part)) <= models.BODY for part in parts
    )
    assert list(models.portions([])) == []


@pytest.fixture
def aws(monkeypatch):
    """An endpoint whose client answers from a stub."""
    pytest.importorskip("boto3")
    from botocore.stub import Stubber

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-to-hide")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-to-hide")
    endpoint = models.EndpointModel("news")
    with Stubber(endpoint.client) as stub:
        yield endpoint, stub


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("AccessDeniedException", 403, "is not allowed"),
        ("ExpiredTokenException", 403, "is not allowed"),
        ("ValidationError", 400, "There is no endpoint news"),
        ("ThrottlingException", 400, "is busy"),
        ("429", 429, "is busy"),
        ("ModelError", 424, "The model behind the endpoint news failed"),
        ("InternalFailure", 500, r"answered with an error \(InternalFailure\)"),
        ("arn:aws:x:123456789012", 500, "answered with an error.$"),
    ],
)
def test_an_error_of_the_endpoint_is_one_plain_sentence(aws, code, status, says):
    endpoint, stub = aws
    stub.add_client_error("invoke_endpoint", code, "account 123456789012, key-to-hide", status)
    with pytest.raises(models.ModelError, match=says) as raised:
        endpoint(["a text"])
    assert "123456789012" not in str(raised.value)
    assert "to-hide" not in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'[{"topic": "sport"}]', b"[1]", b"not JSON", b'{"predictions": [[0.1]]}'],
)
def test_an_answer_of_another_form_is_refused(aws, body):
    endpoint, stub = aws
    stub.add_response("invoke_endpoint", {"Body": io.BytesIO(body)})
    with pytest.raises(models.ModelError, match="not in the form"):
        endpoint(["a text"])


def test_an_endpoint_that_is_not_set_up(monkeypatch):
    pytest.importorskip("boto3")
    with pytest.raises(models.ModelError, match="does not hold the name"):
        models.EndpointModel("https://example.org")
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(models.ModelError, match="set AWS_DEFAULT_REGION"):
        models.EndpointModel("news")


def test_the_page_with_any_model_folder(exported, monkeypatch, copy):
    """Streamlit's own test runner: no README.md, topics of another corpus; then with one."""
    testing = pytest.importorskip("streamlit.testing.v1")
    monkeypatch.delenv("GPT2NEWS_ENDPOINT", raising=False)
    page = str(sys.modules["newsserve.app"].__path__[0]) + "/page.py"

    def run(folder):
        monkeypatch.setattr(sys, "argv", ["page.py", str(folder)])
        app = testing.AppTest.from_file(page, default_timeout=60).run()
        assert not app.exception
        return app, " ".join(each.value for each in app.markdown)

    _, said = run(exported)
    assert "knows 3 topics: business, politics, sport." in said
    assert "There is no `README.md`" in said
    folder = copy()
    (folder / "README.md").write_text(
        "---\nlicense: mit\n---\n# The card\n\n![a](https://example.org/a.png) [b](../b) [c](https://example.org)\n"
    )
    app, said = run(folder)
    assert "license" not in said
    assert "## The card\n\na b [c](https://example.org)" in said
    app.text_area[0].set_value(
        "The minister promised a vote on the new law before the election."
    ).run()
    app.button[0].click().run()
    assert not app.exception
    assert [each.value for each in app.header][:1] == ["The words that decided"]
    broken, _ = run(folder.with_name("nowhere"))
    assert "no serving.json" in broken.error[0].value
