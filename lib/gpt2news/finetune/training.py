"""One run: `transformers.Trainer` on the written split, and a model folder at its end."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from gpt2news.finetune.backbone import BackboneError, encode, load, load_tokenizer, pad
from gpt2news.finetune.data import read_part
from gpt2news.finetune.device import device_line, use_all_cores
from gpt2news.finetune.frozen import freeze as freeze_blocks
from gpt2news.finetune.heads import load_model
from gpt2news.runs import atomic


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
    freeze: int = 0,
    seed: int = 0,
    val: Path | None = None,
    say=print,
) -> dict:
    """Fine-tune on `splits/train.csv`, watch `splits/val.csv`, and leave a model folder.

    Args:
        splits: folder of chapter 02's train.csv and val.csv, or the file with the training texts.
        out: folder to write: Hugging Face layout (config.json, model.safetensors, tokenizer.json) and training.json.
        backbone: folder or hub name.
        from_scratch: use the backbone's shape with random weights.
        normalise: put `corpus.NORMALISER` into the tokenizer (for a lower-cased corpus).
        epochs, batch_size, learning_rate: passes, texts a step, peak rate (warmed up over 10 %, then cosine to zero).
        max_length: tokens read of a text.
        pooling: what the new layer reads, see `heads.POOLINGS`.
        freeze: keep the embeddings and so many of the first blocks as they are.
        seed: of weights, order and dropout; on a CPU the same seed gives the same model.
        val: file or folder of the validation texts, when they are not in `splits`.
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
    parts = {"train": read_part(Path(splits), "train"), "val": read_part(Path(val or splits), "val")}
    topics = sorted(parts["train"]["topic"].unique())
    strangers = sorted(set(parts["val"]["topic"]) - set(topics))
    if strangers:
        raise ValueError(f"validation has the topic {strangers[0]!r}, which no training text has")
    layers = load(AutoConfig.from_pretrained, backbone).num_hidden_layers
    if not 0 <= freeze <= layers:
        raise BackboneError(f"freeze = {freeze}: {backbone} has {layers} blocks")
    threads = use_all_cores()
    set_seed(seed)
    tokenizer = load_tokenizer(backbone, max_length, normalise)
    model = load_model(backbone, topics, tokenizer.pad_token_id, max_length, from_scratch, pooling)
    if freeze:
        freeze_blocks(model, freeze)

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
            "freeze": freeze,
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
