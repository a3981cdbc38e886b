"""One run: from the written split to a model folder, by `transformers.Trainer`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate.utils import find_executable_batch_size
from IPython import get_ipython
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from gpt2news.finetune import part
from gpt2news.finetune.model import (
    encode,
    load_model,
    load_tokenizer,
    locate_backbone,
    quicken,
    quiet,
)
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
from newsserve.files import atomic, sha256_of

HOW = ("checkpoints", "checkpoint_steps", "micro_batch")  # these change nothing in the weights
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def finetune(recipe: Recipe, splits: Path, out: Path, val: Path | None = None, say=print) -> dict:
    """Fine-tune on `splits/train.csv`, watch `splits/val.csv`, leave a model folder.

    A run that was cut goes on from its last checkpoint when it is started again with the same
    recipe; on a CPU it ends in the same bits. Under torchrun all processes call this alike.

    Args:
        splits: folder of chapter 02, or the file with the training texts.
        out: folder to write: Hugging Face's layout, and training.json.
        val: file or folder of the validation texts, when they are not in `splits`.
        say: called with a line an epoch, and one a minute.

    Returns:
        What training.json holds: the recipe, `history` (step, epoch, loss, eval_loss …), seconds.

    Raises:
        BackboneError, DivergedError, CheckpointError: see there.
        ValueError: a setting that makes no sense, or texts that cannot be used.
    """
    out, began = Path(out), time.monotonic()
    recipe.check(out)
    frames, files = _read(Path(splits), Path(val or splits))
    topics = sorted(frames["train"]["topic"].unique())
    threads, dtype = use_all_cores(), choose_dtype(recipe.dtype)
    tokenizer, model, parameters = _build(recipe, topics)
    data = {name: _dataset(frame, topics, tokenizer, name) for name, frame in frames.items()}
    steps_an_epoch = -(-len(data["train"]) // recipe.batch_size)
    folder = recipe.checkpoint_folder(out)
    arguments = _arguments(recipe, folder, steps_an_epoch * recipe.epochs, dtype)
    model.to(arguments.device)
    # With one process, what frozen blocks say of a text can be kept for all epochs.
    keeps = recipe.freeze > 0 and recipe.epochs > 1 and arguments.world_size == 1
    keeps = keeps and not recipe.compile and part.fits(model, data["train"].ids + data["val"].ids)
    if keeps:
        with torch.autocast(model.device.type, HALF.get(dtype), enabled=dtype in HALF):
            for texts in data.values():
                texts.states = part.keep_states(model, recipe.freeze, texts.ids)
    turn = _set_batches(arguments, recipe, model, dtype)
    dealt = turn * arguments.world_size if arguments.world_size > 1 else 1
    lengths = [len(row) for row in data["train"].ids]
    order = LengthGroupedSampler(lengths, recipe.batch_size, recipe.seed, dealt)
    mine = folder / _fingerprint(recipe, files, keeps)
    arguments.output_dir = str(mine)
    with arguments.main_process_first():
        resumed = last_checkpoint(mine)
    if resumed and arguments.should_save:
        say(f"going on from {Path(resumed).name}")
    set_seed(recipe.seed)
    with part.upper_blocks(model, recipe.freeze) if keeps else nullcontext(model) as learner:
        trainer = ClassifierTrainer(
            model=learner,
            args=arguments,
            train_dataset=data["train"],
            eval_dataset=data["val"],
            data_collator=data["train"].collate,
            compute_metrics=_accuracy,
            callbacks=[Resumable(order, recipe.checkpoint_steps, steps_an_epoch)],
            order=order,
        )
        if arguments.disable_tqdm:
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(Lines(say))
        if recipe.early_stopping:
            trainer.add_callback(EarlyStoppingCallback(recipe.early_stopping))
        with quiet():
            trainer.train(resume_from_checkpoint=resumed)
    history = [e for e in trainer.state.log_history if "loss" in e or "eval_loss" in e]
    if not all(np.isfinite(entry.get("loss", entry.get("eval_loss"))) for entry in history):
        raise DivergedError("the validation loss is not a number; lower learning_rate")
    record = {name: value for name, value in asdict(recipe).items() if name not in HOW} | {
        "parameters": parameters,
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "topics": topics,
        "dtype": dtype,
        "threads": threads,
        "processes": arguments.world_size,
        "texts_at_once": turn,
        "accumulation": arguments.gradient_accumulation_steps,
        "steps": trainer.state.global_step,
        "device": device_line(dtype),
        "seconds": round(time.monotonic() - began, 1),
        "history": history,
    }
    with quiet():
        _save(trainer, model if keeps else None, tokenizer, out, record)
    trainer.accelerator.wait_for_everyone()
    if arguments.should_save:
        shutil.rmtree(mine if recipe.checkpoints else folder, ignore_errors=True)
    return record


def _read(train: Path, val: Path) -> tuple[dict[str, pd.DataFrame], list[Path]]:
    """The frames of train and val, checked, and their files."""
    frames, files = {}, []
    for name, path in (("train", train), ("val", val)):
        file = path if path.is_file() else path / f"{name}.csv"
        if not file.is_file():
            raise FileNotFoundError(f"{path}: no {name}.csv; chapter 02_split makes them")
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        for column in ("text", "topic"):
            if column not in frame:
                raise ValueError(f"{file}: no column {column!r}; it has {', '.join(frame)}")
            empty = frame.index[frame[column].str.strip() == ""]
            if len(empty):
                raise ValueError(f"{file}: row {empty[0] + 1} has no {column}")
        if frame.empty:
            raise ValueError(f"{file}: no rows")
        frames[name] = frame
        files.append(file)
    topics = set(frames["train"]["topic"])
    if len(topics) < 2:
        raise ValueError(f"{train}: all texts have the topic {topics.pop()!r}; two are needed")
    if strangers := sorted(set(frames["val"]["topic"]) - topics):
        what = f"validation has the topic {strangers[0]!r}, which no training text has"
        raise ValueError(f"{val}: {what}")
    return frames, files


def _build(recipe: Recipe, topics: list[str]) -> tuple:
    """Tokenizer, model as it will learn, and the number of its weights without adapters."""
    set_seed(recipe.seed)
    tokenizer = load_tokenizer(recipe.backbone, recipe.max_length, recipe.normalise)
    shape = (tokenizer.pad_token_id, recipe.max_length, recipe.from_scratch, recipe.pooling)
    model = load_model(recipe.backbone, topics, *shape)
    parameters = sum(p.numel() for p in model.parameters())
    quicken(model)
    if recipe.freeze:
        part.freeze(model, recipe.freeze)
    with quiet():
        if recipe.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        if recipe.lora:
            model = part.add_lora(model, recipe.lora)
    return tokenizer, model, parameters


def _set_batches(arguments: TrainingArguments, recipe: Recipe, model, dtype: str) -> int:
    """Divide a step among processes and turns; returns the texts a turn."""
    turn = recipe.share()
    if torch.cuda.is_available() and not recipe.micro_batch:
        turn = fit_batch(turn, model, recipe.max_length, dtype)
    arguments.per_device_train_batch_size, arguments.per_device_eval_batch_size = turn, 4 * turn
    arguments.gradient_accumulation_steps = recipe.batch_size // (turn * arguments.world_size)
    return turn


def _dataset(frame: pd.DataFrame, topics: list[str], tokenizer, name: str) -> TextDataset:
    ids = encode(tokenizer, frame["text"].tolist())
    labels = [topics.index(topic) for topic in frame["topic"]]
    rows = range(len(ids))
    if name == "val":  # from short to long: little padding, and its order changes nothing
        rows = np.argsort([len(row) for row in ids], kind="stable")
    return TextDataset([ids[i] for i in rows], [labels[i] for i in rows], tokenizer.pad_token_id)


def _accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def _fingerprint(recipe: Recipe, files: list[Path], keeps: bool) -> str:
    """What the weights depend on: a checkpoint of anything else must not be gone on from."""
    settings = {name: value for name, value in asdict(recipe).items() if name not in HOW}
    where, revision = locate_backbone(recipe.backbone)
    if Path(where).is_dir():
        files = files + sorted(path for path in Path(where).iterdir() if path.is_file())
    hashes = [[file.name, sha256_of(file)] for file in files]
    facts = json.dumps([settings, revision, torch.__version__, keeps, hashes])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def fit_batch(share: int, model: torch.nn.Module, max_length: int, dtype: str) -> int:
    """The largest number of full-length texts that divides `share` and fits the GPU's memory."""
    divisors = iter([n for n in range(share, 0, -1) if share % n == 0])

    def step(texts: int) -> int:
        try_step(model, texts, max_length, dtype)
        return texts

    try:
        return find_executable_batch_size(step, next(divisors), lambda: next(divisors, 0))()
    except RuntimeError as error:
        if "No executable batch size" not in str(error):
            raise
        raise ValueError(
            "out of memory with one text a turn: a shorter max_length, gradient_checkpointing, "
            "lora or freeze take less; or a smaller backbone"
        ) from error


def try_step(model: torch.nn.Module, texts: int, max_length: int, dtype: str) -> None:
    """One step on texts of full length, with room for the two moments that AdamW will keep."""
    ids = torch.ones(texts, max_length, dtype=torch.long, device=model.device)
    learning = [p for p in model.parameters() if p.requires_grad]
    moments = [torch.empty_like(p) for p in learning for _ in range(2)]
    try:
        with torch.autocast(model.device.type, HALF.get(dtype), enabled=dtype in HALF):
            model.train()(input_ids=ids, labels=ids[:, 0]).loss.backward()
    finally:
        model.zero_grad(set_to_none=True)
        del moments


def _interactive() -> bool:
    """Whether somebody watches: a live notebook, not papermill's; a terminal, not a log."""
    kernel = getattr(get_ipython(), "kernel", None)
    return kernel._allow_stdin if kernel else sys.stderr.isatty()


def _arguments(recipe: Recipe, folder: Path, steps: int, dtype: str) -> TrainingArguments:
    for name in [name for name in os.environ if name.startswith("ACCELERATE_DYNAMO")]:
        del os.environ[name]  # left by an earlier compiled run in this process
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 10),
        weight_decay=0.01,
        use_cpu=not gpu,
        bf16=dtype == "bf16",
        fp16=dtype == "fp16",
        torch_compile=recipe.compile,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=recipe.early_stopping > 0,
        label_names=["labels"],
        logging_steps=max(1, steps // 40),
        logging_nan_inf_filter=False,
        report_to="none",
        log_level="error",
        log_level_replica="error",
        disable_tqdm=not _interactive(),
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        ddp_find_unused_parameters=False,
        seed=recipe.seed,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several GPUs are for torchrun, a process each
    return arguments


def _save(trainer: Trainer, whole, tokenizer, out: Path, record: dict) -> None:
    sharded = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    if not trainer.args.should_save:
        return
    model = whole or trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
    model = model.merge_and_unload() if record["lora"] else model
    with atomic(out) as folder:
        (model if sharded else model.cpu()).save_pretrained(folder, state_dict=sharded)
        tokenizer.save_pretrained(folder)
        (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
