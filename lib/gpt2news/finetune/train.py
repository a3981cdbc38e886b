"""One run: from the written split to a model folder, by `transformers.Trainer`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import EarlyStoppingCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from gpt2news.finetune import part
from gpt2news.finetune.backbone import prepare
from gpt2news.finetune.device import device_type
from gpt2news.finetune.model import encode, locate_backbone, quiet, save_model
from gpt2news.finetune.recipe import Recipe, choose_dtype, device_line, use_all_cores
from gpt2news.finetune.trainer import (
    ClassifierTrainer,
    DivergedError,
    LengthGroupedSampler,
    Lines,
    Resumable,
    TextDataset,
    last_checkpoint,
)
from gpt2news.split import read_part
from newsserve.files import atomic, seal, sha256_of

HOW = ("checkpoints", "checkpoint_steps", "micro_batch")  # these change nothing in the weights
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def finetune(recipe: Recipe, splits: Path, out: Path, val: Path | None = None, say=print) -> dict:
    """Fine-tune on `splits/train.csv`, watch `splits/val.csv`, leave a model folder.

    A run that was cut goes on from its last checkpoint when it is started again with the same
    recipe; on a CPU it ends in the same bits. Under torchrun all processes call this alike.

    Args:
        splits: folder of chapter 02, or the file with the training texts.
        out: folder to write: Hugging Face's layout, and training.json, which is returned.
        val: file or folder of the validation texts, when they are not in `splits`.
        say: called with a line an epoch, and one a minute.

    Raises:
        BackboneError, DivergedError, CheckpointError: see there.
        ValueError: a setting that makes no sense, texts that cannot be used, too little memory.
    """
    out, began = Path(out), time.monotonic()
    recipe.check(out)
    files = [_file(Path(splits), "train"), _file(Path(val or splits), "val")]
    train, val = (read_part(file) for file in files)
    topics = _topics(train, val)
    threads, dtype = use_all_cores(), choose_dtype(recipe.dtype)
    set_seed(recipe.seed)
    tokenizer, model = prepare(recipe, topics)
    settings = {name: value for name, value in asdict(recipe).items() if name not in HOW}
    record = {**settings, "parameters": _size(model), "topics": topics}
    model = part.choose(model, recipe)
    record["trained"] = _size(model, learning=True)

    learning, watched = _dataset(train, topics, tokenizer), _dataset(val, topics, tokenizer)
    watched.sort()  # little padding, and the order of validation changes nothing
    steps_an_epoch = -(-len(learning) // recipe.batch_size)
    arguments = _arguments(recipe, steps_an_epoch * recipe.epochs, dtype)
    # With one process, what frozen blocks say of a text can be kept for all epochs.
    keeps = recipe.freeze > 0 and recipe.epochs > 1 and arguments.world_size == 1
    keeps = keeps and part.fits(model, learning.ids + watched.ids)
    if keeps:  # else Trainer brings the model to its device, under FSDP a share of it
        model.to(arguments.device)
        with torch.autocast(model.device.type, HALF.get(dtype), enabled=dtype in HALF):
            for texts in (learning, watched):
                texts.states = part.keep_states(model, recipe.freeze, texts.ids)

    folder = recipe.checkpoint_folder(out)
    mine = folder / _fingerprint(recipe.backbone, [settings, keeps], files)
    arguments.output_dir = str(mine)
    resumed = last_checkpoint(mine)
    if resumed and arguments.should_save:
        say(f"going on from {Path(resumed).name}")
    turn, processes = arguments.per_device_train_batch_size, arguments.world_size
    dealt = turn * processes if processes > 1 else 1
    lengths = [len(row) for row in learning.ids]
    order = LengthGroupedSampler(lengths, recipe.batch_size, recipe.seed, dealt)
    set_seed(recipe.seed)
    with part.upper_blocks(model, recipe.freeze) if keeps else nullcontext(model) as learner:
        trainer = ClassifierTrainer(
            model=learner,
            args=arguments,
            train_dataset=learning,
            eval_dataset=watched,
            data_collator=learning.collate,
            compute_metrics=_accuracy,
            callbacks=[Resumable(order, recipe.checkpoint_steps, steps_an_epoch), Lines(say)],
            order=order,
        )
        trainer.remove_callback(PrinterCallback)
        _check_sharding(trainer, recipe)
        if recipe.early_stopping:
            trainer.add_callback(EarlyStoppingCallback(recipe.early_stopping))
        _run(trainer, resumed)

    record |= {
        "dtype": dtype,
        "threads": threads,
        "processes": processes,
        "texts_at_once": turn,
        "accumulation": arguments.gradient_accumulation_steps,
        "steps": trainer.state.global_step,
        "device": device_line(dtype),
        "seconds": round(time.monotonic() - began, 1),
        "history": _history(trainer.state.log_history),
    }
    with quiet():
        _save(trainer, model if keeps else None, tokenizer, out, record)
    trainer.accelerator.wait_for_everyone()
    if arguments.should_save:
        shutil.rmtree(mine if recipe.checkpoints else folder, ignore_errors=True)
    return record


def _file(path: Path, name: str) -> Path:
    return path if path.is_file() else path / f"{name}.csv"


def _topics(train: pd.DataFrame, val: pd.DataFrame) -> list[str]:
    topics = sorted(train["topic"].unique())
    if len(topics) < 2:
        raise ValueError(f"all texts have the topic {topics[0]!r}; two are needed")
    if strangers := sorted(set(val["topic"]) - set(topics)):
        raise ValueError(f"validation has the topic {strangers[0]!r}, which no training text has")
    return topics


def _history(log: list[dict]) -> list[dict]:
    """The lines with a loss; None for what JSON lacks, such as fp16's first, infinite gradients."""
    kept = [entry for entry in log if {"loss", "eval_loss"} & entry.keys()]
    return [{k: v if np.isfinite(v) else None for k, v in entry.items()} for entry in kept]


def _size(model: torch.nn.Module, learning: bool = False) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not learning)


def _dataset(frame: pd.DataFrame, topics: list[str], tokenizer) -> TextDataset:
    labels = [topics.index(topic) for topic in frame["topic"]]
    return TextDataset(encode(tokenizer, frame["text"].tolist()), labels, tokenizer.pad_token_id)


def _accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def _fingerprint(backbone: str, settings: list, files: list[Path]) -> str:
    """What the weights depend on: a checkpoint of anything else must not be gone on from."""
    where, revision = locate_backbone(backbone)
    files = files + sorted(path for path in Path(where).glob("*") if path.is_file())
    facts = [settings, revision, torch.__version__, [sha256_of(file) for file in files]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _arguments(recipe: Recipe, steps: int, dtype: str) -> TrainingArguments:
    turn, device = recipe.texts_at_once(), device_type()
    arguments = TrainingArguments(
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=turn,
        per_device_eval_batch_size=4 * turn,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 10),
        weight_decay=0.01,
        use_cpu=device == "cpu",
        bf16=dtype == "bf16",
        fp16=dtype == "fp16",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=recipe.early_stopping > 0,
        label_names=["labels"],
        logging_steps=max(1, steps // max(40, recipe.epochs)),  # once an epoch at least
        logging_nan_inf_filter=False,
        report_to="none",
        log_level="error",
        log_level_replica="error",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device == "cuda",
        ddp_find_unused_parameters=False,
        seed=recipe.seed,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several GPUs are for torchrun, a process each
    arguments.gradient_accumulation_steps = recipe.batch_size // (turn * arguments.world_size)
    return arguments


def _check_sharding(trainer: ClassifierTrainer, recipe: Recipe) -> None:
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() != "true":
        return
    if not trainer.is_fsdp_enabled:
        how = "accelerate launch --use_fsdp --num_processes 4 -m gpt2news.finetune …"
        raise ValueError(f"FSDP is asked for, and needs several GPUs, a process each: {how}")
    if recipe.lora:
        raise ValueError("lora under FSDP: adapters need no sharding; leave one of them out")


def _run(trainer: ClassifierTrainer, resumed: str | None) -> None:
    try:
        with quiet():
            trainer.train(resume_from_checkpoint=resumed)
    except torch.OutOfMemoryError as error:
        raise ValueError(
            "the GPU's memory is too small: a lower micro_batch, gradient_checkpointing, freeze, "
            "lora or a shorter max_length take less"
        ) from error
    losses = [entry.get("eval_loss", 0.0) for entry in trainer.state.log_history]
    if not np.isfinite(losses).all():
        raise DivergedError("the validation loss is not a number; lower learning_rate")


def _whole(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a model of which each process has a share; all must call this."""
    shares = model.state_dict()
    weights = {name: getattr(w, "full_tensor", w.detach)() for name, w in shares.items()}
    return {name: weight.to("cpu", copy=True) for name, weight in weights.items()}


def _save(trainer: ClassifierTrainer, whole, tokenizer, out: Path, record: dict) -> None:
    sharded = trainer.is_fsdp_enabled
    weights = _whole(trainer.model) if sharded else None
    if not trainer.args.should_save:
        return
    model = whole or trainer.accelerator.unwrap_model(trainer.model)
    model = model.merge_and_unload() if record["lora"] else model
    with atomic(out) as folder:
        save_model(model if sharded else model.cpu(), folder, weights)
        tokenizer.save_pretrained(folder)
        (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        seal(folder)
