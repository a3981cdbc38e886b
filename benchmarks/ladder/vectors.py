"""A vector a text, from models whose weights stay as they are; computed once and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from gpt2news.finetune import pool
from gpt2news.finetune.model import locate_backbone, quiet
from gpt2news.run import ROOT, Run, atomic
from ladder.draws import corpus

TOKENS = 256  # read of a text, by every model
FOLDERS = {
    "gpt2-mini": "models/gpt2-mini",
    "minilm": "models/minilm",
    "smollm2": "models/smollm2",
}
STATIC = "wordllama"
STATIC_VERSION = "0.4.0.post1"


class MissingError(ValueError):
    """A model that is not here; the message is one sentence with the command that brings it."""


def half() -> bool:
    """Has this processor bf16? Then frozen models are read in it, and training multiplies in it."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def folder_of(model: str) -> Path:
    """The folder of a model.

    Raises:
        MissingError: it is not there.
    """
    folder = ROOT / FOLDERS[model]
    if not (folder / "config.json").exists():
        raise MissingError(f"{FOLDERS[model]} is not there: run gpt2news backbone {model}")
    return folder


def states(model: str, texts: list[str], pooling: str = "mean", tokens: int = TOKENS) -> np.ndarray:
    """(n, width) mean (or last, or first) of each text's last states, frozen model."""
    where, _ = locate_backbone(str(folder_of(model)))
    dtype = torch.bfloat16 if half() else torch.float32
    with quiet():
        network = AutoModel.from_pretrained(where, dtype=dtype).eval()
        tokenizer = AutoTokenizer.from_pretrained(where)
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(tokens)
    ids = [row.ids or [0] for row in backend.encode_batch(texts)]
    found = np.zeros((len(texts), network.config.hidden_size), np.float32)
    order = np.argsort([len(row) for row in ids], kind="stable")
    torch.set_num_threads(1)  # so that its seconds are those of one core
    with torch.inference_mode():
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            last = torch.tensor([len(ids[i]) - 1 for i in rows])
            batch = torch.zeros(len(rows), int(last.max()) + 1, dtype=torch.long)
            for place, i in enumerate(rows):
                batch[place, : len(ids[i])] = torch.tensor(ids[i])
            mask = (torch.arange(batch.shape[1])[None] <= last[:, None]).long()
            said = network(input_ids=batch, attention_mask=mask).last_hidden_state
            found[rows] = pool(said.float(), last, pooling).numpy()
    return found


def static(texts: list[str], tokens: int = TOKENS) -> np.ndarray:
    """(n, 256) mean of a token table's rows: WordLlama, which knows no order of the tokens.

    The two files are read where pip has put them; nothing of the package runs.
    """
    found = find_spec(STATIC)
    if found is None:
        raise MissingError(f"the static table is not here: pip install {STATIC}=={STATIC_VERSION}")
    folder = Path(found.origin).parent
    table = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    name = "l2_supercat_tokenizer_config.json"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / name))
    tokenizer.no_padding()
    tokenizer.enable_truncation(tokens)
    rows = [row.ids or [0] for row in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return np.stack([table[row].astype(np.float32).mean(axis=0) for row in rows])


def makers() -> dict[str, Callable[[list[str]], np.ndarray]]:
    """What makes vectors of texts, by name."""
    made = {name: lambda texts, name=name: states(name, texts) for name in FOLDERS}
    return {STATIC: static, **made}


@cache
def vectors(model: str, name: str) -> tuple[np.ndarray, float]:
    """(n, width) vectors of all texts of a corpus, and the processor seconds of one text.

    Kept in `reports/ladder/vectors/`. Processor seconds are those of all threads together, so
    what else runs on the machine changes them little.

    Raises:
        MissingError: the model is not here.
    """
    texts = corpus(name)["text"].tolist()
    key = hashlib.sha256("\n".join([model, str(TOKENS), *texts]).encode()).hexdigest()[:16]
    file = Run("ladder").path("vectors", f"{name}-{model}-{key}.npz")
    if not file.exists():
        began = time.process_time()
        made = makers()[model](texts)
        seconds = (time.process_time() - began) / len(texts)
        with atomic(file) as part, part.open("wb") as out:
            np.savez(out, vectors=made, seconds=seconds)
        print(f"{name}: {model} has read {len(texts):,} texts, {1000 * seconds:.1f} ms each")
    kept = np.load(file)
    return kept["vectors"], float(kept["seconds"])
