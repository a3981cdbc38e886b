"""A model folder that somebody changed is refused, whatever it was, with one class of error."""

import hashlib
import json
import shutil
import time

import numpy as np
import onnx
import pytest

from newsserve.folder import Manifest, ModelFolderError, read_manifest
from newsserve.predictor import Predictor


def refused(folder, says: str, **arguments) -> None:
    """In one line, and at once."""
    began = time.monotonic()
    with pytest.raises(ModelFolderError, match=says) as caught:
        Predictor(folder, **arguments)
    assert time.monotonic() - began < 1
    assert "\n" not in str(caught.value)


def list_again(folder, *names: str) -> None:
    """Put the hashes of changed files into the manifest."""
    manifest = json.loads((folder / "serving.json").read_text())
    for name in names:
        manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "serving.json").write_text(json.dumps(manifest))


VALUES = ["topics", "max_length", "pad_token_id", "temperature", "threshold", "model", "sha256"]


@pytest.mark.parametrize("key", VALUES)
def test_a_value_that_is_missing_is_named(copy, key):
    refused(copy(**{key: None}), rf"serving\.json: {key}: Field required; make the folder again")


@pytest.mark.parametrize("key", VALUES)
def test_null_is_no_value(copy, key):
    folder = copy()
    manifest = json.loads((folder / "serving.json").read_text()) | {key: None}
    (folder / "serving.json").write_text(json.dumps(manifest))
    refused(folder, rf"serving\.json: {key}: .*; make the folder again")


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("max_length", value) for value in (0, -1, 10**6, 2.5, "24", True)),
        *(("temperature", value) for value in (0, -1, 1e-9, 1e9, NAN, INFINITY, "1", [])),
        *(("threshold", value) for value in (-0.1, 2, NAN, "0.5")),
        *(("pad_token_id", value) for value in (-1, 0.5, "1")),
        *(("topics", value) for value in ([], ["a"], ["a", "b", "a"], ["a", 1, "b"], "abc")),
        *(("topics", value) for value in (["a", "b", None], ["a", "b", ""], ["a", "b", " "])),
        *(("model", value) for value in ("../m.onnx", "/m.onnx", "a/m.onnx", "", ".", "..", 1)),
        *(("model", value) for value in ("a\0b", "model.onnx\n", "..\\m.onnx", ".hidden")),
        *(("sha256", value) for value in ([], {}, {"../x": "0" * 64}, {"model.onnx": "0"})),
        *(("format", value) for value in (2, 0, "1", [1])),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(copy, key, value):
    refused(copy(**{key: value}), key if value != {} else "not listed")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"3", b'{"topics": 3}', b"\xff\xfe", b"[" * 100_000, b"\0" * 99],
    ids=range(9),
)
def test_a_manifest_that_is_none(copy, content):
    folder = copy()
    (folder / "serving.json").write_bytes(content)
    refused(folder, r"serving\.json: .*; make the folder again")


def test_the_largest_token_and_the_longest_text_are_tried(copy):
    """300 positions were never learned, and the embedding has no row 5,000."""
    refused(copy(max_length=300), "the files do not fit: ")


def test_a_token_that_the_model_does_not_know(copy):
    refused(copy(pad_token_id=5000), "the files do not fit: ")


@pytest.mark.parametrize("name", ["serving.json", "tokenizer.json", "model.int8.onnx"])
@pytest.mark.parametrize("place", ["outside", "inside"])
def test_a_link_is_refused(copy, tmp_path, name, place):
    folder = copy()
    target = (tmp_path if place == "outside" else folder) / f"a-{name}"
    shutil.move(folder / name, target)
    (folder / name).symlink_to(target)
    refused(folder, f"{name} is not there, or is no plain file")


@pytest.mark.parametrize("name", ["serving.json", "tokenizer.json", "model.int8.onnx"])
def test_a_folder_in_a_file_s_place(copy, name):
    folder = copy()
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, f"{name} is not there, or is no plain file")


@pytest.mark.parametrize("name", ["tokenizer.json", "model.int8.onnx"])
@pytest.mark.parametrize("content", [b"", b"junk" * 99, b"{}", b"[]"])
def test_junk_with_the_right_hash(copy, name, content):
    folder = copy()
    (folder / name).write_bytes(content)
    list_again(folder, name)
    refused(folder, "make the folder again")


def test_a_model_of_another_kind(copy):
    folder, numbers = copy(), onnx.TensorProto.FLOAT
    shape = onnx.helper.make_tensor_value_info("x", numbers, [])
    for name, node in {"scalar": "Relu", "other": "Abs"}.items():
        nodes = [onnx.helper.make_node(node, ["x"], ["y"])]
        out = onnx.helper.make_tensor_value_info("y", numbers, [] if name == "scalar" else [3])
        graph = onnx.helper.make_graph(nodes, name, [shape], [out])
        opset = onnx.helper.make_opsetid("", 17)
        model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)
        onnx.save(model, folder / "model.int8.onnx")
        list_again(folder, "model.int8.onnx")
        refused(folder, "the files do not fit")


def test_a_model_that_gives_no_numbers(copy):
    folder = copy(model="model.onnx")
    model = onnx.load(folder / "model.onnx")
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32:
            nan = onnx.numpy_helper.from_array(np.full_like(values, np.nan), weights.name)
            weights.CopyFrom(nan)
    onnx.save(model, folder / "model.onnx")
    list_again(folder, "model.onnx")
    refused(folder, r"model\.onnx gives no numbers")


@pytest.mark.parametrize("where", ["the model's folder", "elsewhere"])
def test_weights_outside_of_the_model_s_file_are_not_loaded(copy, monkeypatch, tmp_path, where):
    """They have no hash: whoever changes them changes the answers unseen."""
    folder = copy(model="model.onnx")
    monkeypatch.chdir(folder if where == "the model's folder" else tmp_path)
    model = onnx.load(folder / "model.onnx")
    onnx.save(
        model,
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=10,
    )
    assert (folder / "weights.bin").stat().st_size > 1000
    list_again(folder, "model.onnx")
    refused(folder, r"model\.onnx cannot be loaded")


@pytest.mark.parametrize("model", ["../copy/model.onnx", "/etc/passwd", "serving.json", ""])
def test_a_model_that_is_asked_for_by_name_is_held_to_the_same(copy, model):
    folder = copy()
    says = "not listed" if model else "model"
    if model:
        refused(folder, says, model=model)
    else:
        assert Predictor(folder, model).model_file == "model.int8.onnx"


def test_a_field_of_a_later_version_is_not_read(copy):
    folder = copy(novelty={"quantile": 0.5}, format=1)
    assert read_manifest(folder) == Manifest(**read_manifest(folder).model_dump())
    assert Predictor(folder)(["The bank"])[0].answered


def test_what_is_allowed_at_the_edges(copy):
    predictor = Predictor(copy(max_length=1, temperature=0.01, threshold=1.0000000000000002))
    (answer,) = predictor(["The bank"])
    assert not answer.answered
    assert sum(answer.probabilities.values()) == pytest.approx(1)
