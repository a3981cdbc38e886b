"""The studies, unit by unit: what is on record is not run again."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from gpt2news.run import ROOT
from ladder import prompt, tuning
from ladder.draws import FIRST, PER_TOPIC, asked, corpus, draw, few
from ladder.rungs import CHEAP, FROZEN, Answer, cheap, head, scored, texts_and_topics
from ladder.store import Store
from ladder.tuning import Setup
from ladder.vectors import MissingError, vectors

CORPORA = ("bbc", "agnews")
DRAWS = 5
# Dear rungs: how many labels a topic (None: all), and how many draws, for each corpus.
TOKENS = {"bbc": 256, "agnews": 64}
TUNED = {
    "gpt2-mini fine-tuned": Setup("gpt2-mini", steps=100),
    "minilm fine-tuned": Setup("minilm"),
    "smollm2 fine-tuned, lora": Setup("smollm2", how="lora", steps=30),
    "smollm2 fine-tuned, last 2 blocks": Setup("smollm2", how="last 2 blocks", steps=30),
    "smollm2 fine-tuned, all": Setup("smollm2", steps=30),
    "minilm contrastive": Setup("minilm", steps=40),
}
SIZES = {
    ("bbc", "gpt2-mini fine-tuned"): {2: 5, 8: 5},
    ("agnews", "gpt2-mini fine-tuned"): {2: 5, 8: 5, None: 5},
    ("bbc", "minilm fine-tuned"): {2: 5, 8: 5},
    ("agnews", "minilm fine-tuned"): {2: 5, 8: 5, None: 5},
    ("agnews", "smollm2 fine-tuned, lora"): {2: 3, 8: 3, None: 3},
    ("agnews", "smollm2 fine-tuned, all"): {None: 3},
    ("agnews", "minilm contrastive"): {2: 5, 8: 5},
    ("bbc", "minilm contrastive"): {2: 5, 8: 5},
}
MASKS = {
    "gpt2-mini, its mask, last token": Setup("gpt2-mini", pooling="last"),
    "gpt2-mini, its mask, mean of all": Setup("gpt2-mini", pooling="mean"),
    "gpt2-mini, mask taken away, first token": Setup("gpt2-mini", pooling="first", mask=False),
    "gpt2-mini, mask taken away, mean of all": Setup("gpt2-mini", pooling="mean", mask=False),
    "same shape from scratch, mask, last token": Setup("gpt2-mini", pooling="last", scratch=True),
    "same shape from scratch, no mask, first token": Setup(
        "gpt2-mini", pooling="first", mask=False, scratch=True
    ),
    "MiniLM, [CLS]": Setup("minilm", pooling="first"),
    "MiniLM, mean of all": Setup("minilm", pooling="mean"),
}
MASKS_LABELS = LORA_LABELS = 64  # a topic
LORA_SEEDS = 5
LORA_MODELS = ("gpt2-mini", "minilm")
NEXT_MODELS = ("minilm", "smollm2")
NEXT_DRAWS, NEXT_START, NEXT_STEP, NEXT_MOST = 10, 10, 10, 160


@cache
def linear_says(name: str, seed: int, per_topic: int | None) -> np.ndarray:
    """What chapter 04's linear model says of the whole test."""
    return cheap("tfidf", name, few(name, seed, per_topic), asked(name, seed)).says


def cheap_ladder(name: str, say: Callable[[str], None]) -> None:
    """All cheap rungs with all numbers of labels: most of the argument, minutes of one core."""
    store = Store(f"labels-{name}", {"corpus": name, "draws": DRAWS, "tokens": 256})
    for rung in CHEAP:
        try:
            for model in FROZEN.get(rung, ()):
                vectors(model, name)
        except MissingError as error:
            say(f"{name}, {rung}: left out, {error}")
            continue
        for seed in range(DRAWS):
            for per_topic in (*PER_TOPIC, None):
                _cheap_unit(store, rung, name, seed, per_topic)
        done = [u["accuracy"] for u in store.units if u["rung"] == rung and u["per_topic"] is None]
        say(f"{name}, {rung}: {np.mean(done):.3f} with all labels")


def _cheap_unit(store: Store, rung: str, name: str, seed: int, per_topic: int | None) -> None:
    facts = {"rung": rung, "draw": seed, "per_topic": per_topic}
    if store.has(**facts):
        return
    learn, test = few(name, seed, per_topic), asked(name, seed)
    answer = cheap(rung, name, learn, test)
    figures = scored(answer, name, test, linear_says(name, seed, per_topic))
    store.add(**facts, labels=len(learn), **figures)


def tuned_ladder(name: str, say: Callable[[str], None], rungs: tuple[str, ...] = ()) -> None:
    """The rungs whose weights learn, with the numbers of labels and draws of `SIZES`."""
    store = Store(f"tuned-{name}", {"corpus": name, "tokens": TOKENS[name], "first": FIRST})
    for (corpus_name, rung), sizes in SIZES.items():
        if corpus_name != name or (rungs and rung not in rungs):
            continue
        for per_topic, draws in sizes.items():
            for seed in range(draws):
                try:
                    _tuned_unit(store, rung, name, seed, per_topic, say)
                except MissingError as error:
                    say(f"{name}, {rung}: left out, {error}")


def _tuned_unit(store: Store, rung: str, name: str, seed: int, per_topic, say) -> None:
    facts = {"rung": rung, "draw": seed, "per_topic": per_topic}
    if store.has(**facts):
        return
    known = {**tuning.facts(TUNED[rung]), "tokens": TOKENS[name], "seed": seed}
    setup = Setup(**known)
    learn, test = few(name, seed, per_topic), asked(name, seed, FIRST)
    answer = tuned(setup, name, learn, test, contrastive=rung.endswith("contrastive"))
    figures = scored(answer, name, test, linear_says(name, seed, per_topic))
    store.add(**facts, labels=len(learn), **figures)
    say(f"{name}, {rung}, {len(learn)} labels, draw {seed}: {figures['first']:.3f}")


def numbers(name: str, rows: np.ndarray) -> tuple[list[str], np.ndarray, list[str]]:
    """Texts, (n,) numbers of their topics, and the names of all topics."""
    texts, topics = texts_and_topics(name, rows)
    names = sorted(corpus(name)["topic"].unique())
    return texts, np.array([names.index(topic) for topic in topics]), names


def tuned(setup: Setup, name: str, learn, test, contrastive: bool = False) -> Answer:
    """Train as the setup says on rows `learn`, ask the rows `test`."""
    texts, labels, names = numbers(name, learn)
    began = time.process_time()
    make = tuning.contrast if contrastive else tuning.train
    sorter = make(setup, texts, labels, len(names))
    if contrastive:
        classifier = head().fit(tuning.asks(sorter, setup, texts, "vectors"), labels)
    fit = time.process_time() - began
    began = time.process_time()
    what = "vectors" if contrastive else "logits"
    given = tuning.asks(sorter, setup, texts_and_topics(name, test)[0], what)
    says = classifier.predict(given) if contrastive else given.argmax(axis=1)
    answer = (time.process_time() - began) / len(test)
    trained, size = tuning.learning(sorter)
    return Answer(np.array(names)[says], fit, answer, trained, 4 * size / 1e6)


def masks(say: Callable[[str], None]) -> None:
    """GPT against BERT: which token is read, and who sees whom; the same texts and budget."""
    name, tokens = "agnews", TOKENS["agnews"]
    store = Store("masks", {"corpus": name, "per_topic": MASKS_LABELS, "tokens": tokens})
    for row, plain in MASKS.items():
        for seed in range(DRAWS):
            if store.has(row=row, draw=seed):
                continue
            setup = Setup(**{**tuning.facts(plain), "tokens": tokens, "seed": seed})
            learn, test = few(name, seed, MASKS_LABELS), asked(name, seed, FIRST)
            try:
                answer = tuned(setup, name, learn, test)
            except MissingError as error:
                say(f"{row}: left out, {error}")
                break
            figures = scored(answer, name, test, linear_says(name, seed, MASKS_LABELS))
            store.add(row=row, draw=seed, labels=len(learn), **figures)
            say(f"{row}, draw {seed}: {figures['first']:.3f}")


def lora(say: Callable[[str], None], model: str) -> None:
    """Which weights learn: all, the last blocks, adapters, the new layer.

    The first draw has a process of its own, whose peak memory is that of the training.
    """
    name, tokens = "agnews", TOKENS["agnews"]
    about = {"corpus": name, "model": model, "tokens": tokens, "per_topic": LORA_LABELS}
    about["rank"] = tuning.RANK
    store = Store(f"lora-{model}", about)
    for how in tuning.HOWS:
        for seed in range(LORA_SEEDS):
            if store.has(how=how, draw=seed):
                continue
            setup = Setup(model, how=how, tokens=tokens, seed=seed)
            learn, test = few(name, seed, LORA_LABELS), asked(name, seed, FIRST)
            try:
                done = tuned_alone(setup, name, learn, test, own_process=seed == 0)
            except MissingError as error:
                say(f"{model}, {how}: left out, {error}")
                return
            says = np.array(sorted(corpus(name)["topic"].unique()))[done.pop("says")]
            answer = Answer(says, done.pop("fit"), done.pop("answer"), done.pop("trained"), 0.0)
            figures = scored(answer, name, test, linear_says(name, seed, LORA_LABELS))
            store.add(how=how, draw=seed, labels=len(learn), **done, **figures)
            say(f"{model}, {how}, draw {seed}: {figures['first']:.3f}")


def tuned_alone(setup: Setup, name: str, learn, test, own_process: bool) -> dict:
    """`tuning.one` of rows of a corpus, with its peak memory where it has a process of its own."""
    texts, labels, names = numbers(name, learn)
    asks, _ = texts_and_topics(name, test)
    if not own_process:
        done = tuning.one(setup, texts, labels.tolist(), asks, len(names))
        return {**done, "peak_mb": None}
    given = {"setup": tuning.facts(setup), "texts": texts, "labels": labels.tolist()}
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "setup.json")
        file.write_text(json.dumps({**given, "asked": asks, "topics": len(names)}), "utf-8")
        command = [sys.executable, "-m", "ladder.tuning", str(file)]
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT / "benchmarks"
        )
    if run.returncode:
        raise ValueError(f"{setup.model}, {setup.how}: {run.stderr.strip().splitlines()[-1]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def prompts(say: Callable[[str], None]) -> None:
    """No label at all: the language model is asked in words which topic fits."""
    for name in CORPORA:
        store = Store(f"prompt-{name}", {"corpus": name, "prompt": prompt.PROMPT, "tokens": 256})
        if store.has(rung="prompt"):
            continue
        test = asked(name, 0, FIRST)
        texts, _ = texts_and_topics(name, test)
        try:
            answers = prompt.answers(texts, sorted(corpus(name)["topic"].unique()))
        except MissingError as error:
            say(f"{name}, prompt: left out, {error}")
            continue
        linear = linear_says(name, 0, None)
        for rung, answer in answers.items():
            figures = scored(answer, name, test, linear)
            store.add(rung=rung, draw=0, per_topic=0, labels=0, **figures)
            say(f"{name}, {rung}: {figures['first']:.3f}")


def which_next(say: Callable[[str], None]) -> None:
    """Which texts to label next: those that the classifier is least sure of, or any?"""
    for name in CORPORA:
        about = {"corpus": name, "start": NEXT_START, "step": NEXT_STEP, "draws": NEXT_DRAWS}
        store = Store(f"next-{name}", about)
        for model in NEXT_MODELS:
            try:
                rows, _ = vectors(model, name)
            except MissingError as error:
                say(f"{name}, {model}: left out, {error}")
                continue
            for seed in range(NEXT_DRAWS):
                for way in ("random", "unsure"):
                    if not store.has(model=model, way=way, draw=seed):
                        scores = label_on(rows, name, seed, way)
                        store.add(model=model, way=way, draw=seed, accuracy=scores)
            say(f"{name}, {model}: {NEXT_DRAWS} draws, random and unsure")


def label_on(rows: np.ndarray, name: str, seed: int, way: str) -> dict[int, float]:
    """Test accuracy after 10, 20, … labels: the first at random, the next as `way` says.

    `unsure` takes the texts whose two likeliest topics are closest (the margin).
    """
    topics = corpus(name)["topic"].to_numpy()
    split = draw(name, seed)
    random = np.random.default_rng(seed)
    pool = random.permutation(split.learn)
    known, scores = list(pool[:NEXT_START]), {}
    while True:
        seen = topics[known]
        if len(set(seen)) > 1:
            model = head().fit(rows[known], seen)
            scores[len(known)] = round(float(model.score(rows[split.test], topics[split.test])), 5)
        if len(known) >= NEXT_MOST:
            return scores
        rest = pool[~np.isin(pool, known)]
        if way == "unsure" and len(set(seen)) > 1:
            sure = np.sort(model.predict_proba(rows[rest]), axis=1)
            rest = rest[np.argsort(sure[:, -1] - sure[:, -2], kind="stable")]
        known += list(rest[:NEXT_STEP])
