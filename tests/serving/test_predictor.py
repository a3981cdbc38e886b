import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from newsserve.predictor import Answer, ModelFolderError, Predictor

MIXED = [
    "Shares fell sharply after the bank cut its forecast for the year.",
    "Goal!",
    "The minister promised a vote on the new law before the election. " * 5,
    "The final match",
    "bank",
    "Election: the striker promised the bank a law, twice, in the final minutes of the year",
    "The bank of the year",
]


@pytest.fixture(scope="module")
def fp32(exported) -> Predictor:
    return Predictor(exported, "model.onnx")


def softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits.astype(np.float64))
    return exp / exp.sum(axis=1, keepdims=True)


def in_a_new_process(code: str, *arguments: str):
    """What `code` prints as JSON."""
    command = [sys.executable, "-c", code, *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


# --- what it loads


@pytest.mark.parametrize(
    "module", ["newsserve.predictor", "newsserve.server", "newsserve.__main__"]
)
def test_importing_loads_nothing_heavy(module):
    code = (
        "import json, sys; __import__(sys.argv[1]); "
        "print(json.dumps([m for m in sys.modules if '.' not in m]))"
    )
    loaded = in_a_new_process(code, module)
    assert {"newsserve", "json"} <= set(loaded)
    assert not {
        "torch",
        "transformers",
        "pandas",
        "sklearn",
        "matplotlib",
        "papermill",
        "pyarrow",
    } & set(loaded)


def test_answering_opens_three_files_and_never_a_pickle(copy, tmp_path):
    """The trap would make a file on being unpickled; opened by Python at all, it would be in the
    list."""
    folder, trap = copy(), tmp_path / "sprung"
    bait = pickle.dumps(MakesAFile(trap))
    for name in ("model.pkl", "pytorch_model.bin", "training_args.bin"):
        (folder / name).write_bytes(bait)
    code = """
import json, os, sys
opened = []
def note(event, args):
    if event in ("open", "pickle.find_class"):
        opened.append(str(args[0]))
sys.addaudithook(note)
from newsserve.predictor import Predictor
answers = Predictor(sys.argv[1])(["The bank"])
names = {os.path.basename(name) for name in opened if name.startswith(sys.argv[1])}
print(json.dumps(sorted(names)))
"""
    assert in_a_new_process(code, str(folder)) == [
        "model.int8.onnx",
        "serving.json",
        "tokenizer.json",
    ]
    assert not trap.exists()
    pickle.loads(bait).close()
    assert trap.exists()  # the trap works


class MakesAFile:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


# --- what it answers


def test_fp32_gives_what_torch_gives(fp32, tiny_model):
    from gpt2news.finetune import Classifier

    wanted = Classifier(tiny_model).logits(MIXED)
    assert (
        np.ptp(wanted, axis=0).min() > 0.1
    )  # the texts differ, so an answer to another text would show
    given = fp32.logits(MIXED)
    assert given.shape == (len(MIXED), 3)
    assert np.abs(given - wanted).max() < 1e-4


def test_int8_is_the_default_and_near(fp32, exported):
    int8 = Predictor(exported)
    assert int8.model_file == "model.int8.onnx"
    difference = np.abs(int8.logits(MIXED) - fp32.logits(MIXED)).max()
    assert 0 < difference < 1


def test_probabilities_are_calibrated_and_ranked(fp32):
    logits = fp32.logits(MIXED)
    for answer, wanted in zip(fp32(MIXED), softmax(logits / 1.5), strict=True):
        assert answer.probabilities == pytest.approx(dict(zip(fp32.topics, wanted, strict=True)))
        assert list(answer.probabilities.values()) == sorted(
            answer.probabilities.values(), reverse=True
        )
        assert answer.topic == fp32.topics[wanted.argmax()] == next(iter(answer.probabilities))
        assert answer.probability == answer.probabilities[answer.topic]
        assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_order_is_kept(fp32):
    forwards, backwards = fp32.logits(MIXED), fp32.logits(MIXED[::-1])
    assert np.abs(forwards - backwards[::-1]).max() < 1e-5


@pytest.mark.parametrize("model", ["model.onnx", "model.int8.onnx"])
def test_an_answer_does_not_depend_on_the_other_texts(exported, model):
    """int8 scales of activations are taken from all that runs together, so texts must not run
    together."""
    predictor = Predictor(exported, model)
    texts = [*MIXED, *["bank"] * 300, "law " * 24]  # more than are held at a time
    together, alone = predictor(texts), {text: predictor([text])[0] for text in texts}
    assert [a.topic for a in together] == [alone[text].topic for text in texts]
    for text, answer in zip(texts, together, strict=True):
        assert answer.probabilities == pytest.approx(alone[text].probabilities, abs=1e-6)


def test_of_a_long_text_no_more_is_tokenised_than_needed(exported, monkeypatch):
    predictor = Predictor(exported, "model.onnx")
    whole, read = predictor.tokenizer, []

    class Watched:
        post_process = whole.post_process

        def encode_batch(self, texts, **options):
            read.extend(map(len, texts))
            return whole.encode_batch(texts, **options)

    text = "the bank of the year " * 20_000
    wanted = predictor.encode(text[:2000])
    monkeypatch.setattr(predictor, "tokenizer", Watched())
    assert predictor.encode(text) == wanted == (wanted[0], True)
    assert max(read) < 1000
    junk = "日本 " * 5000 + "the bank"  # nothing the tokenizer knows, then something
    assert predictor.encode(junk) == (whole.encode("the bank").ids, False)
    read.clear()
    assert predictor.encode(" " * 3_000_000 + "the bank") == ([predictor.pad], True)
    assert max(read) < 1_000_000


def test_the_bytes_that_were_hashed_are_not_kept(exported):
    """ONNX Runtime would hold the model's file in memory beside its weights."""
    predictor = Predictor(exported, threads=2)
    predictor([MIXED[0], MIXED[0]])
    assert len(predictor._sessions) == 2
    for session in predictor._sessions.values():
        assert not [name for name, value in vars(session).items() if isinstance(value, bytes)]


def test_truncation_is_reported_and_the_rest_not_read(fp32):
    long = MIXED[2]
    whole, cut = fp32(["The bank"])[0], fp32([long, long + " and more of it"])
    assert (whole.truncated, whole.tokens < 24) == (False, True)
    assert [(answer.truncated, answer.tokens) for answer in cut] == [(True, 24)] * 2
    assert cut[0].probabilities == pytest.approx(cut[1].probabilities, abs=1e-6)


def test_a_text_of_just_the_longest_length_is_not_called_truncated(fp32):
    counts = {len(fp32.tokenizer.encode("a " * words).ids): "a " * words for words in range(1, 40)}
    assert [fp32([counts[n]])[0].truncated for n in (23, 24, 25)] == [False, False, True]


@pytest.mark.parametrize("text", ["", "  \n\t", "!!! ???", "日本語"])
def test_a_text_with_nothing_to_read_is_not_answered(fp32, text):
    nothing, something = fp32([text, MIXED[0]])
    assert (nothing.answered, nothing.tokens, nothing.truncated) == (False, 0, False)
    assert something.answered


def test_half_a_surrogate_pair_is_no_error(fp32):
    assert fp32(["the bank \ud83d"])[0].probabilities == pytest.approx(
        fp32(["the bank ?"])[0].probabilities
    )


def test_no_texts_no_answers(fp32):
    assert fp32([]) == []


def test_one_text_in_place_of_a_list_is_refused(fp32):
    with pytest.raises(TypeError, match="a list of texts"):
        fp32("the bank")


def test_threshold_is_respected(fp32, copy):
    probabilities = [answer.probability for answer in fp32(MIXED)]
    threshold = sorted(probabilities)[len(MIXED) // 2]  # one is just at it, some are under it
    answers = Predictor(copy(threshold=threshold), "model.onnx")(MIXED)
    assert [answer.answered for answer in answers] == [p >= threshold for p in probabilities]
    assert {answer.answered for answer in answers} == {True, False}


def test_eight_threads_get_the_same_answers(fp32):
    wanted = fp32(MIXED)

    def ask(turn: int) -> list[Answer]:
        shift = turn % len(MIXED)
        answers = fp32(MIXED[shift:] + MIXED[:shift])
        return answers[len(MIXED) - shift :] + answers[: len(MIXED) - shift]

    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(ask, range(64)):
            assert [a.topic for a in answers] == [w.topic for w in wanted]
            assert [a.probability for a in answers] == pytest.approx(
                [w.probability for w in wanted], abs=1e-5
            )


# --- why


def test_a_word_is_explained_by_leaving_it_out(fp32):
    text = "Shares fell sharply after  the bank cut"
    explained = fp32.explain(text)
    whole, without = fp32([text, "Shares fell after the bank cut"])
    assert [word for word, _ in explained] == text.split()
    assert explained[2][1] == pytest.approx(
        whole.probability - without.probabilities[whole.topic], abs=1e-5
    )


def test_of_a_long_text_what_is_read_is_explained_in_at_most_so_many_passes(fp32):
    text = "the bank cut its law " * 40
    words = [word for word, _ in fp32.explain(text)]
    assert 0 < len(words) <= 24
    assert words == text.split()[: len(words)]
    shared = fp32.explain("Shares fell sharply after the bank", passes=2)
    whole, without = fp32(["Shares fell sharply after the bank", "after the bank"])
    assert [drop for _, drop in shared[:3]] == pytest.approx(
        [(whole.probability - without.probabilities[whole.topic]) / 3] * 3, abs=1e-5
    )


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_to_read_nothing_to_explain(fp32, text):
    assert fp32.explain(text) == []


# --- what it refuses


@pytest.mark.parametrize("name", ["tokenizer.json", "model.int8.onnx"])
def test_a_changed_file_is_refused_by_name(copy, name):
    folder = copy()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        ModelFolderError,
        match=rf"{name}: not the file that serving\.json lists .* copy the folder again",
    ):
        Predictor(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.int8.onnx"])
def test_a_missing_file_is_named(copy, name):
    folder = copy()
    (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=rf"{name} is not there, or is no plain file"):
        Predictor(folder)


def test_a_file_that_is_not_listed_is_refused(copy):
    folder = copy()
    (folder / "other.onnx").write_bytes((folder / "model.onnx").read_bytes())
    with pytest.raises(ModelFolderError, match=r"other\.onnx is not listed"):
        Predictor(folder, "other.onnx")


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with pytest.raises(
        ModelFolderError, match=r"no serving\.json; give a folder that chapter 05 made"
    ):
        Predictor(tmp_path)


def test_topics_that_do_not_fit_the_model(copy):
    with pytest.raises(
        ModelFolderError, match=r"model\.int8\.onnx has 3 outputs, serving\.json 2 topics"
    ):
        Predictor(copy(topics=["business", "sport"]))
