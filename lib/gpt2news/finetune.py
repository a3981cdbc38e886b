"""Chapter 03: fine-tune a causal language model of the GPT-2 kind to sort texts, with `transformers.Trainer` underneath."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from gpt2news.corpus import NORMALISER, ROOT
from gpt2news.runs import atomic
from gpt2news.splits import read_split

END, PAD = "<|endoftext|>", "<|pad|>"
# The hub's revision that was current when this was written; a moved branch must not change a result.
PINNED = {"openai-community/gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e"}

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


class MeanPooled(GPT2ForSequenceClassification):
    """GPT-2 that classifies on the mean of the states of all real tokens, instead of the state of the last one."""

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> SequenceClassifierOutput:
        """(batch, tokens) ids, padded on the right -> (batch, topics) logits, and the loss where labels are given."""
        states = self.transformer(input_ids=input_ids, use_cache=False).last_hidden_state
        real = (input_ids != self.config.pad_token_id).unsqueeze(-1)
        logits = self.score((states * real).sum(dim=1) / real.sum(dim=1).clamp(min=1))
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


POOLINGS = {"last": AutoModelForSequenceClassification, "mean": MeanPooled}


class BackboneError(ValueError):
    """A backbone that cannot be had or used; the message says the way out."""


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (GPT-2's kind) of at most `vocab_size` tokens, with `corpus.NORMALISER` inside."""
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
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=PAD)


def use_all_cores() -> int:
    """Let torch use every core that this process may run on; returns how many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cores)
    return cores


def device_line() -> str:
    """The device that will be used, in one line; says how to get a GPU on Colab when there is none."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} ({torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB)"
    hint = "; on Colab: Runtime > Change runtime type > T4 GPU" if "COLAB_RELEASE_TAG" in os.environ else ""
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads){hint}"


def locate_backbone(name: str) -> tuple[str, str | None]:
    """`(folder or hub name, revision)` of a backbone: a folder (also relative to the repository root), or `owner/name[@revision]`.

    Raises:
        BackboneError: neither a folder with a config.json nor the form of a hub name.
    """
    for folder in (Path(name), ROOT / name):
        if (folder / "config.json").exists():
            return str(folder), None
    hub, _, revision = name.partition("@")
    if name.startswith(("models/", ".", "/")) or hub.count("/") != 1:
        raise BackboneError(f"backbone {name!r}: no folder with a config.json there, and not a hub name (owner/name)")
    return hub, revision or PINNED.get(hub)


def load_tokenizer(backbone: str, max_length: int, normalise: bool = False) -> PreTrainedTokenizerFast:
    """The backbone's tokenizer with a padding token, and with truncation (and the normaliser, when asked) inside its file.

    Raises:
        BackboneError: it cannot be had.
    """
    where, revision = locate_backbone(backbone)
    tokenizer = _load(AutoTokenizer.from_pretrained, backbone, where, revision=revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    if normalise:
        tokenizer.backend_tokenizer.normalizer = NORMALISER
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.enable_truncation(max_length)
    tokenizer.model_max_length = max_length
    return tokenizer


def load_model(
    backbone: str, topics: list[str], pad_token_id: int, max_length: int, from_scratch: bool = False, pooling: str = "last"
) -> torch.nn.Module:
    """A backbone with a new linear layer, one output a topic (fp32).

    Args:
        pooling: what the layer reads: the state of the `last` real token, or the `mean` of all (GPT-2 only).
        from_scratch: the backbone's shape with random weights.

    Raises:
        BackboneError: it cannot be had, or reads fewer than `max_length` tokens.
    """
    where, revision = locate_backbone(backbone)
    config = _load(AutoConfig.from_pretrained, backbone, where, revision=revision)
    if max_length > config.max_position_embeddings:
        raise BackboneError(f"max_length {max_length}: {backbone} reads {config.max_position_embeddings} tokens at most")
    if pooling not in POOLINGS or (pooling == "mean" and config.model_type != "gpt2"):
        raise BackboneError(f"pooling {pooling!r} of a {config.model_type}: there are {', '.join(POOLINGS)}; mean is for GPT-2 only")
    kind = POOLINGS[pooling]
    config.pooling = pooling
    config.num_labels = len(topics)
    config.id2label = dict(enumerate(topics))
    config.label2id = {topic: i for i, topic in enumerate(topics)}
    config.pad_token_id = pad_token_id
    config.problem_type = "single_label_classification"
    if from_scratch:
        return (kind.from_config(config) if pooling == "last" else kind(config)).float()
    return _load(
        kind.from_pretrained, backbone, where,
        revision=revision, config=config, dtype=torch.float32, use_safetensors=True,
    )  # fmt: skip


def _load(loader, backbone: str, where: str, **options):
    try:
        return loader(where, **options)
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"backbone {backbone!r} could not be loaded ({type(error).__name__}: {str(error).splitlines()[0]}). Without a hub, "
            "download the model elsewhere (config.json, model.safetensors, tokenizer.json) and give the folder's path."
        ) from error


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, truncated as the tokenizer's file says, not padded."""
    tokenizer.backend_tokenizer.encode_special_tokens = True  # "<|pad|>" in a text is text
    return [encoding.ids or [tokenizer.pad_token_id] for encoding in tokenizer.backend_tokenizer.encode_batch(texts)]


def pad(rows: list[list[int]], pad_token_id: int) -> torch.Tensor:
    """(n, longest) ids, padded on the right.

    With causal attention no real token sees what is on its right, so padding there needs no mask.
    """
    longest = max(map(len, rows))
    return torch.tensor([row + [pad_token_id] * (longest - len(row)) for row in rows])


class _Progress(TrainerCallback):
    """One line an epoch."""

    def __init__(self, say):
        self.say, self.began = say, time.monotonic()

    def on_evaluate(self, args, state, control, metrics, **_):
        spent = time.monotonic() - self.began
        left = spent / state.global_step * (state.max_steps - state.global_step)
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        self.say(
            f"epoch {state.epoch:.0f}/{args.num_train_epochs:.0f}  training loss {losses[-1]:.3f}  "
            f"validation loss {metrics['eval_loss']:.3f}  accuracy {metrics['eval_accuracy']:.3f}  {spent:.0f} s, {left:.0f} s left"
        )


def finetune(
    splits: Path,
    out: Path,
    *,
    backbone: str,
    from_scratch: bool = False,
    normalise: bool = False,
    epochs: int = 4,
    batch_size: int = 16,
    learning_rate: float = 5e-4,
    max_length: int = 512,
    pooling: str = "last",
    seed: int = 0,
    say=print,
) -> dict:
    """Fine-tune on `splits/train.csv`, watch `splits/val.csv`, and leave a model folder.

    Args:
        splits: folder of chapter 02's train.csv and val.csv.
        out: folder to write: Hugging Face layout (config.json, model.safetensors, tokenizer.json) and training.json.
        backbone: folder or hub name.
        from_scratch: use the backbone's shape with random weights.
        normalise: put `corpus.NORMALISER` into the tokenizer (for a lower-cased corpus).
        epochs, batch_size, learning_rate: passes, texts a step, peak rate (warmed up over 10 %, then cosine to zero).
        max_length: tokens read of a text.
        pooling: `last` or `mean`, see `load_model`.
        seed: of weights, order and dropout; on a CPU the same seed gives the same model.
        say: called with a progress line an epoch.

    Returns:
        What training.json holds: `history` (dicts of step, epoch, loss, eval_loss, eval_accuracy), settings, seconds.

    Raises:
        BackboneError: the backbone cannot be had or used.
        ValueError: a setting that makes no sense; a loss that is not a number.
    """
    for name, value in {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "max_length": max_length}.items():
        if value <= 0:
            raise ValueError(f"{name} = {value}: a number over 0 is needed")
    parts = read_split(splits)
    topics = sorted(parts["train"]["topic"].unique())
    threads = use_all_cores()
    set_seed(seed)
    tokenizer = load_tokenizer(backbone, max_length, normalise)
    model = load_model(backbone, topics, tokenizer.pad_token_id, max_length, from_scratch, pooling)

    def rows(part: str) -> list[dict]:
        ids = encode(tokenizer, parts[part]["text"].tolist())
        return [{"input_ids": i, "labels": topics.index(t)} for i, t in zip(ids, parts[part]["topic"], strict=True)]

    def collate(batch: list[dict]) -> dict[str, torch.Tensor]:
        ids = pad([row["input_ids"] for row in batch], tokenizer.pad_token_id)
        return {"input_ids": ids, "labels": torch.tensor([row["labels"] for row in batch])}

    train = rows("train")
    steps = -(-len(train) // batch_size) * epochs
    began = time.monotonic()
    with atomic(out) as part:
        arguments = TrainingArguments(
            output_dir=str(part),
            num_train_epochs=epochs,
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=4 * batch_size,
            learning_rate=learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, steps // 10),
            weight_decay=0.01,
            max_grad_norm=1.0,
            train_sampling_strategy="group_by_length",
            eval_strategy="epoch",
            save_strategy="no",
            logging_steps=max(1, steps // 40),
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
            seed=seed,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=train,
            eval_dataset=rows("val"),
            data_collator=collate,
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())},
            callbacks=[_Progress(say)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        history = [entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry]
        if not all(np.isfinite(entry.get("loss", entry.get("eval_loss"))) for entry in history):
            raise ValueError("the loss is not a number any more; lower learning_rate and run again")
        model.cpu().save_pretrained(part)
        tokenizer.save_pretrained(part)
        record = {
            "backbone": backbone,
            "from_scratch": from_scratch,
            "pooling": pooling,
            "parameters": sum(p.numel() for p in model.parameters()),
            "topics": topics,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "max_length": max_length,
            "seed": seed,
            "threads": threads,
            "device": device_line(),
            "seconds": round(time.monotonic() - began, 1),
            "history": history,
        }
        (part / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


class Classifier:
    """A fine-tuned model folder, in torch: `Classifier(folder)(texts)` gives probabilities.

    Attributes:
        topics: the labels, in the order of the outputs.
        max_length: tokens read of a text.
        pooling: `last` or `mean`.
    """

    def __init__(self, folder: Path):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.pooling = getattr(AutoConfig.from_pretrained(folder), "pooling", "last")
        self.model = POOLINGS[self.pooling].from_pretrained(folder, dtype=torch.float32).eval()
        self.topics = [self.model.config.id2label[i] for i in range(self.model.config.num_labels)]
        self.max_length = self.tokenizer.model_max_length
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(self.device)
        use_all_cores()

    def logits(self, texts: list[str], batch_size: int = 32) -> np.ndarray:
        """(n, topics) scores; texts of like length share a batch."""
        ids = encode(self.tokenizer, texts)
        result = np.zeros((len(texts), len(self.topics)), dtype=np.float32)
        order = np.argsort([len(row) for row in ids], kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = pad([ids[i] for i in rows], self.tokenizer.pad_token_id).to(self.device)
                result[rows] = self.model(input_ids=batch).logits.float().cpu().numpy()
        return result

    def __call__(self, texts: list[str], batch_size: int = 32) -> np.ndarray:
        """(n, topics) probabilities."""
        return torch.softmax(torch.from_numpy(self.logits(texts, batch_size)), dim=-1).numpy()
