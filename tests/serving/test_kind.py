"""The limits of a model's kind of text, and the third answer that comes of them."""

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from gpt2news.run import ROOT
from newsserve import kind as of_kind
from newsserve.predictor import Kind, Predictor, measure

SHIPPED = ROOT / "models" / "gpt2-mini-bbc"
LIMITS = {
    "letters": 0.9,
    "pieces": 2.0,
    "words": 2,
    "suspect": 1.0,
    "common": [],
    "shared": 0.0,
    "marks": {},
    "marked": 0.0,
    "source": "no texts",
}


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    """One token a word of three; another word is `<unk>`."""
    vocabulary = {"<unk>": 0, "bank": 1, "goal": 2, "the": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    return Predictor(SHIPPED, threads=1)


def test_letters_of_unknown_tokens_are_not_read(words):
    assert measure(words, "the bank").letters == 1
    assert measure(words, "the bänke").letters == 3 / 8
    assert measure(words, "дом").letters == 0


def test_a_normaliser_that_drops_letters_is_noticed_and_accents_are_no_loss(shipped):
    tokenizer = shipped.tokenizer
    assert measure(tokenizer, "Café Beyoncé").letters == 1
    assert measure(tokenizer, "ab дом").letters == 2 / 5
    assert measure(tokenizer, "12 34 !").letters == 1  # no letter, none lost


def test_pieces_are_tokens_a_word(words):
    assert measure(words, "the bank, the goal.").pieces == 6 / 4
    assert measure(words, "").pieces == 0


def test_no_more_of_a_long_text_is_looked_at_than_needed(words):
    text = "the " * 100_000
    assert measure(words, text).words == of_kind.LOOKED_AT / 4


def test_marks_count_once_the_strongest_four_and_those_of_the_answer_again(words):
    kind = Kind(**LIMITS | {"marks": {"sport": {1: 2.0}, "tech": {1: 1.0, 2: 1.0}}})
    assert kind.marking([], "sport") == 0
    assert kind.marking([1, 1, 1, 3], "sport") == 2 * 2.0 / 4
    assert kind.marking([1, 2, 3], "sport") == (3.0 + 2.0) / 4
    assert kind.marking([1, 2, 3], "tech") == (3.0 + 2.0) / 4
    assert kind.marking([2], "sport") == 1.0 / 4
    assert kind.marking([1, 2], "another topic") == 3.0 / 4
    many = Kind(**LIMITS | {"marks": {"sport": {i: 1.0 for i in range(9)}}})
    assert many.marking(list(range(9)), "tech") == 1
    assert many.marking(list(range(9)), "sport") == 2


@pytest.mark.parametrize(
    ("limits", "text", "told"),
    [
        ({}, "the bank", None),
        ({}, "дом дом", "100% of its letters are unknown to the model"),
        ({"pieces": 1.2}, "the, bank.", "its words fall into 2.0 pieces each: another language"),
        ({"common": [3], "shared": 0.3}, "the, bank", None),
        ({"common": [3], "shared": 0.4}, "the, bank", "its words fall into 1.5 pieces each"),
        ({"common": [3], "shared": 0.4, "suspect": 1.5}, "the, bank", None),
        ({"words": 3}, "the bank", "it is too short: fewer than 3 words"),
        ({"marks": {"a": {1: 1.0}}, "marked": 0.5}, "the bank", None),
        ({"marks": {"a": {1: 1.0}}, "marked": 0.5}, "the goal", "too few of its words mark its"),
        ({"marks": {"b": {1: 1.0}}, "marked": 0.5}, "the bank", "too few of its words mark its"),
    ],
)
def test_each_limit_has_its_reason(words, limits, text, told):
    said = Kind(**LIMITS | limits).reason(words, text, "a")
    assert said is None if told is None else said.startswith(told)


def test_limits_change_no_probability(exported, copy):
    text, other = "Shares fell sharply after the bank cut its forecast.", "Банк снизил прогноз a"
    plain = Predictor(exported, "model.onnx")([text, other])
    limits = LIMITS | {"pieces": 9.0}
    ordinary, strange = Predictor(copy(kind=limits), "model.onnx")([text, other])
    assert ordinary == plain[0]
    assert (strange.answered, strange.topic) == (False, plain[1].topic)
    assert strange.probabilities == plain[1].probabilities
    assert strange.reason.endswith("of its letters are unknown to the model")


def test_a_folder_without_limits_answers_as_before(exported):
    assert Predictor(exported, "model.onnx").manifest.kind is None
    (answer,) = Predictor(exported, "model.onnx")([""])
    assert answer.reason == "nothing can be read"


def test_limits_that_are_none_are_refused(copy):
    from newsserve.predictor import ModelFolderError

    with pytest.raises(ModelFolderError, match=r"(?s)serving\.json: .*make the folder again"):
        Predictor(copy(kind={"letters": 2}))


# --- the shipped model ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "El ministro dijo ayer que el parlamento votará la ley en mayo.",
        "Hükümet yeni vergi yasasını mecliste görüşecek.",
        "Президент подписал закон о новых налогах для малого бизнеса.",
        "政府宣布明年起降低小企业的税率。",
        "qzrt plmk wvxy bnds fghj",
        "Please water the plants on the balcony while we are away.",
        "ok",
        "",
    ],
)
def test_the_shipped_model_gives_such_a_text_no_topic(shipped, text):
    (answer,) = shipped([text])
    assert not answer.answered
    assert answer.reason


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("The striker scored twice as the team won the cup final on penalties.", "sport"),
        ("Shares in the airline fell after it cut its profit forecast for the year.", "business"),
        ("The band's new album went straight to number one in the music charts.", "entertainment"),
        ("The prime minister told parliament that the election would be in May.", "politics"),
        ("The software update closes a security hole that let a virus spread.", "tech"),
    ],
)
def test_the_shipped_model_answers_ordinary_sentences(shipped, text, topic):
    (answer,) = shipped([text])
    assert (answer.reason, answer.answered, answer.topic) == (None, True, topic)
