"""One run: from the written split to a model folder, by `transformers.Trainer`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from transformers import EarlyStoppingCallback, TrainingArguments, set_seed
from transformers.activations import NewGELUActivation
from transformers.trainer_callback import PrinterCallback

from gpt2news.run import sha256_of
from gpt2news.finetune import device, frozen
from gpt2news.finetune.backbone import load_tokenizer, locate_backbone
from gpt2news.finetune.data import Order, read_both, texts_of
from gpt2news.finetune.heads import load_model
from gpt2news.finetune.options import check
from gpt2news.finetune.progress import Progress
from gpt2news.finetune.trainer import DivergedError, Rhythm, WatchfulTrainer, last_checkpoint
from gpt2news.run import atomic

UNIMPORTANT = ("checkpoints", "checkpoint_steps", "price_per_hour", "micro_batch")  # to the weights


def _quicken(model: torch.nn.Module) -> None:
    """The same activation in one kernel instead of seven, and no dropout inside attention, which would rule out its fast kernel."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))
            elif name == "attn_dropout":
                child.p = 0.0


def _fingerprint(settings: dict, files: list[Path]) -> str:
    """What the weights depend on: a checkpoint of anything else must not be gone on from."""
    counted = {name: value for name, value in settings.items() if name not in UNIMPORTANT}
    where, revision = locate_backbone(settings["backbone"])
    ours = (
        sorted(path for path in Path(where).iterdir() if path.is_file())
        if Path(where).is_dir()
        else []
    )
    facts = [
        counted,
        revision,
        torch.__version__,
        [[path.name, sha256_of(path)] for path in [*files, *ours]],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


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
    lora: int = 0,
    early_stopping: int = 0,
    gradient_checkpointing: bool = False,
    compile: bool = False,
    dtype: str = "auto",
    micro_batch: int = 0,
    checkpoints: Path | None = None,
    checkpoint_steps: int = 0,
    price_per_hour: float = 0.0,
    seed: int = 0,
    val: Path | None = None,
    say=print,
) -> dict:
    """Fine-tune on `splits/train.csv`, watch `splits/val.csv`, and leave a model folder.

    A run that was cut (a kill, a full disk, a lost machine) goes on from its last checkpoint when it is started again with the
    same settings; on a CPU it ends in the same bits. Under torchrun all processes call this with the same arguments.

    Args:
        splits: folder of chapter 02's train.csv and val.csv, or the file with the training texts.
        out: folder to write: Hugging Face layout (config.json, model.safetensors, tokenizer.json) and training.json.
        backbone: folder or hub name of a causal language model.
        from_scratch: use the backbone's shape with random weights.
        normalise: put `explore.NORMALISER` into the tokenizer (for a lower-cased corpus).
        epochs, batch_size, learning_rate: passes, texts a step over all processes, peak rate (warmed up over 10 %, then cosine to zero).
        max_length: tokens read of a text.
        pooling: what the new layer reads, see `heads.POOLINGS`.
        freeze: keep the embeddings and so many of the first blocks as they are; their outputs are computed once if memory allows.
        lora: rank of low-rank adapters, trained instead of the weights and folded into them at the end; 0 for none.
        early_stopping: stop after so many epochs without a lower validation loss, and keep the best epoch; 0 for never.
        gradient_checkpointing: compute activations twice instead of keeping them: less memory, about a third more time.
        compile: let `torch.compile` fuse the model's operations; pays after some minutes.
        dtype: see `device.choose_dtype`.
        micro_batch: texts at once a process, the step's gradient being summed over turns; 0: all that fit.
        checkpoints: folder of the checkpoints (default: `<out>-checkpoints`, gone at the end).
        checkpoint_steps: save every so many steps; 0: about every five minutes.
        price_per_hour: of the machines, to show and record the cost.
        seed: of weights, order and dropout; on a CPU the same seed gives the same model.
        val: file or folder of the validation texts, when they are not in `splits`.
        say: called with a progress line an epoch, and a line a minute where neither bar nor figure can be shown.

    Returns:
        What training.json holds: `history` (dicts of step, epoch, loss, eval_loss, eval_accuracy), settings, seconds.

    Raises:
        BackboneError: the backbone cannot be had or used.
        DivergedError: the loss is no number; step and batch are named.
        CheckpointError: a checkpoint could not be written.
        ValueError: a setting that makes no sense, here or together with another; data that cannot be used.
    """
    settings = {
        name: value
        for name, value in locals().items()
        if name not in ("splits", "out", "val", "say")
    }
    out, began = Path(out), time.monotonic()
    turn = check(settings, out)
    folder = Path(checkpoints or out.with_name(f"{out.name}-checkpoints"))
    parts, files = read_both(Path(splits), Path(val or splits))
    topics = sorted(parts["train"]["topic"].unique())
    threads, dtype = device.use_all_cores(), device.choose_dtype(dtype)
    set_seed(seed)
    tokenizer = load_tokenizer(backbone, max_length, normalise)
    model = load_model(backbone, topics, tokenizer.pad_token_id, max_length, from_scratch, pooling)
    _quicken(model)
    if freeze:
        frozen.freeze(model, freeze)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    parameters = sum(p.numel() for p in model.parameters())
    steps_an_epoch = -(-len(parts["train"]) // batch_size)
    mine = folder / _fingerprint(settings, files)
    arguments = _arguments(mine, steps_an_epoch * epochs, dtype, settings)
    model.to(arguments.device)
    if lora:
        model = frozen.add_lora(model, lora)
    if torch.cuda.is_available() and not micro_batch:
        turn = device.fit_batch(turn, device.try_step(model, max_length, dtype))
    arguments.per_device_train_batch_size, arguments.per_device_eval_batch_size = turn, 4 * turn
    arguments.gradient_accumulation_steps = batch_size // (turn * arguments.world_size)
    with arguments.main_process_first():
        resumed = last_checkpoint(mine)
        data = {
            part: texts_of(frame, topics, tokenizer, folder, part) for part, frame in parts.items()
        }
    keeper = None
    if freeze and epochs > 1 and arguments.world_size == 1 and not compile:
        keeper = frozen.keep_outputs(model, freeze, list(data.values()), dtype)
    order = Order(
        [len(row) for row in data["train"].ids],
        batch_size,
        seed,
        turn * arguments.world_size if arguments.world_size > 1 else 1,
    )
    progress = Progress(say, price_per_hour)
    set_seed(seed)
    trainer = WatchfulTrainer(
        model=model,
        args=arguments,
        train_dataset=data["train"],
        eval_dataset=data["val"],
        data_collator=data["train"].collate,
        compute_metrics=lambda p: {
            "accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())
        },
        callbacks=[progress, Rhythm(order, checkpoint_steps, steps_an_epoch)],
        order=order,
        keeper=keeper,
    )
    trainer.remove_callback(PrinterCallback)
    if early_stopping:
        trainer.add_callback(EarlyStoppingCallback(early_stopping))
    if resumed and arguments.should_save:
        say(f"going on from {Path(resumed).name}")
    try:
        trainer.train(resume_from_checkpoint=resumed)
    finally:
        progress.close()
    history = [
        entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry
    ]
    if not all(np.isfinite(entry.get("loss", entry.get("eval_loss"))) for entry in history):
        raise DivergedError(
            "the validation loss is not a number; lower learning_rate and run again"
        )
    record = {
        **{
            name: value
            for name, value in settings.items()
            if name not in ("checkpoints", "checkpoint_steps", "micro_batch")
        },
        "parameters": parameters,
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "topics": topics,
        "dtype": dtype,
        "threads": threads,
        "processes": arguments.world_size,
        "texts_at_once": turn,
        "accumulation": arguments.gradient_accumulation_steps,
        "steps": trainer.state.global_step,
        "device": device.device_line(dtype),
        "seconds": round(time.monotonic() - began, 1),
        "cost": round(progress.cost(), 4),
        "history": history,
    }
    if keeper:
        keeper.restore()
    _save(trainer, tokenizer, out, record)
    trainer.accelerator.wait_for_everyone()
    if arguments.should_save:
        shutil.rmtree(mine if checkpoints else folder, ignore_errors=True)
    return record


def _arguments(folder: Path, steps: int, dtype: str, settings: dict) -> TrainingArguments:
    early = settings["early_stopping"] > 0
    for name in [name for name in os.environ if name.startswith("ACCELERATE_DYNAMO")]:
        del os.environ[name]  # left by an earlier compiled run in this process
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 10),
        weight_decay=0.01,
        max_grad_norm=1.0,
        use_cpu=not torch.cuda.is_available(),
        bf16=dtype == "bf16",
        fp16=dtype == "fp16",
        torch_compile=settings["compile"],
        eval_strategy="epoch",
        save_strategy="epoch" if early else "no",
        load_best_model_at_end=early,
        metric_for_best_model="loss",
        greater_is_better=False,
        label_names=["labels"],
        logging_steps=max(1, steps // 40),
        logging_nan_inf_filter=False,
        report_to="none",
        log_level="error",
        log_level_replica="error",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        seed=settings["seed"],
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several GPUs are for torchrun, a process each
    return arguments


def _save(trainer: WatchfulTrainer, tokenizer, out: Path, record: dict) -> None:
    sharded = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    if not trainer.args.should_save:
        return
    model = trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
    model = model.merge_and_unload() if record["lora"] else model
    with atomic(out) as part:
        (model if sharded else model.cpu()).save_pretrained(part, state_dict=sharded)
        tokenizer.save_pretrained(part)
        (part / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
