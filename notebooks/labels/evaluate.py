"""The published ladder: records of `benchmarks/ladder`, their intervals, pictures and sentences.

Nothing is trained here. Each sentence is said only if the interval of its difference allows it.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import f1_score

from gpt2news.evaluate import BASELINE, wilson
from gpt2news.run import ROOT
from gpt2news.show import COLOURS, MODEL, QUIET, RIVAL, plain
from sentences import SEE, count, listed

RESULTS = ROOT / "benchmarks" / "results"
CORPORA = {"bbc": "BBC News", "agnews": "AG News"}
LINEAR, WORDS = "tfidf", "tfidf-all"
PRETRAINED = ("smollm2", "minilm")  # whom the conclusion speaks of: the first on every record
NAMES = {
    "largest": "the largest topic",
    "prompt": "SmolLM2 asked in words, no label",
    "prompt, calibrated": "the same, less what it says of no text",
    LINEAR: "TF-IDF + linear SVM (chapter 04's)",
    WORDS: "TF-IDF of all words + linear SVM",
    "wordllama": "static token table + logistic regression",
    "gpt2-mini": "gpt2-mini frozen + logistic regression",
    "minilm": "MiniLM frozen + logistic regression",
    "smollm2": "SmolLM2 frozen + logistic regression",
    "together": "table, MiniLM and SmolLM2 together + logistic regression",
    "gpt2-mini fine-tuned": "gpt2-mini fine-tuned",
    "minilm contrastive": "MiniLM, contrastive tuning + logistic regression",
    "minilm fine-tuned": "MiniLM fine-tuned",
    "smollm2 fine-tuned, lora": "SmolLM2 fine-tuned, LoRA",
    "smollm2 fine-tuned, last 2 blocks": "SmolLM2 fine-tuned, last 2 blocks",
    "smollm2 fine-tuned, all": "SmolLM2 fine-tuned, all weights",
}
# A fine-tuned rung and the frozen one of the same model.
FROZEN_OF = {
    "gpt2-mini fine-tuned": "gpt2-mini",
    "minilm fine-tuned": "minilm",
    "minilm contrastive": "minilm",
    "smollm2 fine-tuned, lora": "smollm2",
    "smollm2 fine-tuned, all": "smollm2",
}
ENOUGH = 3  # draws; of fewer no interval is worth its name


def units(corpus: str, folder: Path = RESULTS) -> pd.DataFrame:
    """All units of a corpus on record: a row a rung, a draw and a number of labels; maybe none."""
    rows = []
    for study in ("labels", "tuned", "prompt"):
        file = folder / f"{study}-{corpus}.json"
        if file.exists():
            rows += json.loads(file.read_text(encoding="utf-8"))["units"]
    columns = ["rung", "draw", "labels", "accuracy", "first"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def interval(values) -> dict[str, float]:
    """Mean with its 95 % interval, Student's t over the draws: `value`, `low`, `high`, `draws`.

    With fewer than `ENOUGH` draws the interval is not known: NaN.
    """
    values = np.asarray(values, dtype=float)
    value, n = float(values.mean()), len(values)
    half = np.nan
    if n >= ENOUGH:
        half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return {"value": value, "low": value - half, "high": value + half, "draws": n}


def scores(table: pd.DataFrame, rung: str, labels: int, column: str = "accuracy") -> pd.Series:
    """A rung's accuracy by draw with so many labels."""
    some = table[(table["rung"] == rung) & (table["labels"] == labels)]
    return some.set_index("draw")[column].astype(float)


def difference(table: pd.DataFrame, ours: str, theirs: str, labels: int) -> dict | None:
    """Paired difference of two rungs, the same draws and the same texts; None without draws.

    Where one of them has answered the first test texts only, both are compared on those.
    """
    column = "accuracy"
    if any(scores(table, rung, labels).isna().any() for rung in (ours, theirs)):
        column = "first"
    both = pd.concat([scores(table, rung, labels, column) for rung in (ours, theirs)], axis=1)
    both = both.dropna()
    if both.empty:
        return None
    return interval(both.iloc[:, 0] - both.iloc[:, 1])


def rival_at(table: pd.DataFrame, labels: int) -> str:
    """The better of the two linear models on words with so many labels, by its mean."""
    means = {rung: scores(table, rung, labels).mean() for rung in (LINEAR, WORDS)}
    known = {rung: mean for rung, mean in means.items() if mean == mean}
    return max(known, key=known.get) if known else LINEAR


def above(found: dict | None) -> str:
    """`ahead`, `behind`, `level` (no difference shown) or `unknown` of a paired difference."""
    if found is None or not np.isfinite(found["low"]):
        return "unknown"
    if found["low"] > 0:
        return "ahead"
    return "behind" if found["high"] < 0 else "level"


# --- the picture ----------------------------------------------------------------------------------

LOOKS = {
    LINEAR: (QUIET, "--"),
    WORDS: (COLOURS[4], "-"),
    "wordllama": (COLOURS[1], "-"),
    "gpt2-mini": (COLOURS[5], "-"),
    "minilm": (COLOURS[3], "-"),
    "smollm2": (COLOURS[0], "-"),
    "together": (COLOURS[2], "-"),
}


def figure(tables: dict[str, pd.DataFrame]) -> tuple[plt.Figure, str]:
    """Accuracy against labels, a band a rung, a panel a corpus; and the text alternative."""
    # One under the other: beside each other they are wider than a page's column.
    made, axes = plt.subplots(len(tables), 1, figsize=(7.2, 4.2 * len(tables)), squeeze=False)
    told = []
    for axis, (corpus, table) in zip(axes[:, 0], tables.items(), strict=True):
        for rung, (colour, line) in LOOKS.items():
            sizes = sorted(table.loc[table["rung"] == rung, "labels"].unique())
            if not sizes:
                continue
            rows = pd.DataFrame([interval(scores(table, rung, n)) for n in sizes], index=sizes)
            axis.plot(rows.index, rows["value"], line, color=colour, label=NAMES[rung], lw=1.8)
            axis.fill_between(rows.index, rows["low"], rows["high"], color=colour, alpha=0.13)
            told.append(f"{CORPORA[corpus]}, {NAMES[rung]}: " + _ends(rows))
        axis.set(xscale="log", xlabel="labelled texts in all", title=CORPORA[corpus])
        axis.margins(y=0.05)
        ticks = sorted(table.loc[table["rung"] == LINEAR, "labels"].unique())
        axis.set_xticks(ticks, [f"{n:,}" for n in ticks], rotation=45)
        axis.minorticks_off()
        axis.set_ylabel("test accuracy")
    axes[0][0].legend(fontsize=7.5, loc="lower right")
    return made, "Test accuracy against labels. " + "; ".join(told) + "."


def _ends(rows: pd.DataFrame) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    return (
        f"{first['value']:.3f} with {rows.index[0]:,} labels, "
        f"{last['value']:.3f} with {rows.index[-1]:,}"
    )


# --- the sentences --------------------------------------------------------------------------------


def points(found: dict) -> str:
    """`31.0 points (25.1 to 36.9)`, of the size of a difference."""
    sides = sorted(abs(100 * found[key]) for key in ("low", "high"))
    return f"{abs(100 * found['value']):.1f} points ({sides[0]:.1f} to {sides[1]:.1f})"


def conclusion(tables: dict[str, pd.DataFrame]) -> list[str]:
    """What a reader takes home, a sentence each: few labels, many, and whether to fine-tune.

    A corpus without records is not spoken of; what five draws cannot show is called that.
    """
    known = {corpus: table for corpus, table in tables.items() if len(table)}
    said = [_few(known), _many(known), _tuning(known)]
    return [sentence for sentence in said if sentence]


def spoken_of(tables: dict[str, pd.DataFrame]) -> str:
    """The pretrained rung that is on record for every corpus, else the last there could be."""
    everywhere = [r for r in PRETRAINED if all((t["rung"] == r).any() for t in tables.values())]
    return [*everywhere, PRETRAINED[-1]][0]


def _compared(tables: dict[str, pd.DataFrame], place: int) -> list[tuple[str, int, str, dict]]:
    """(corpus, labels, side, difference to the better linear model) at the first or last size."""
    rows, ours = [], spoken_of(tables)
    for corpus, table in tables.items():
        sizes = sorted(table.loc[table["rung"] == ours, "labels"].unique())
        if not sizes:
            continue
        labels = int(sizes[place])
        found = difference(table, ours, rival_at(table, labels), labels)
        if above(found) != "unknown":
            rows.append((corpus, labels, above(found), found))
    return rows


def _said(rows: list[tuple[str, int, str, dict]]) -> str:
    words = {"ahead": "is ahead by {}", "behind": "is behind by {}"}
    told = []
    for corpus, labels, side, found in rows:
        how = words.get(side, "shows no difference that the draws can prove").format(points(found))
        told.append(f"on {CORPORA[corpus]} with {labels:,} labels in all it {how}")
    return " and ".join(told)


def _few(tables: dict[str, pd.DataFrame]) -> str:
    rows = _compared(tables, 0)
    if not rows:
        return ""
    if all(side == "ahead" for _, _, side, _ in rows):
        lead = "**With few labels, take a pretrained model.**"
    else:
        lead = "**With few labels a pretrained model is not always ahead.**"
    ours = NAMES[spoken_of(tables)]
    return f"{lead} {ours}, against the better linear model on words: {_said(rows)}."


def _many(tables: dict[str, pd.DataFrame]) -> str:
    rows = _compared(tables, -1)
    if not rows:
        return ""
    sides = {side for _, _, side, _ in rows}
    if sides == {"ahead"}:
        lead = "**It stays ahead with all labels**"
    elif "ahead" in sides:
        lead = "**With all labels it depends on the corpus**"
    else:
        lead = "**With all labels its lead is gone**"
    return f"{lead}: {_said(rows)}."


def _tuning(tables: dict[str, pd.DataFrame]) -> str:
    sides: dict[str, list[str]] = {"ahead": [], "behind": [], "level": []}
    for corpus, table in tables.items():
        for tuned, frozen in FROZEN_OF.items():
            for labels in sorted(table.loc[table["rung"] == tuned, "labels"].unique()):
                found = difference(table, tuned, frozen, labels)
                if above(found) in sides:
                    where = f"{NAMES[tuned]} with {labels:,} labels of {CORPORA[corpus]}"
                    by = "" if above(found) == "level" else f" by {points(found)}"
                    sides[above(found)].append(where + by)
    if not any(sides.values()):
        return ""
    if sides["ahead"] and not sides["behind"] + sides["level"]:
        lead = "**Fine-tuning paid wherever it was measured**"
    elif sides["ahead"]:
        lead = "**Fine-tuning pays in some places only**"
    else:
        lead = "**Fine-tuning was shown to pay nowhere**"
    told = [
        f"{word} {'; '.join(sides[side])}"
        for side, word in (
            ("ahead", "ahead of the same model frozen:"),
            ("behind", "behind it:"),
            ("level", "no difference that the draws can prove:"),
        )
        if sides[side]
    ]
    return f"{lead}; {'. '.join(told)}."


def next_texts(corpora: dict[str, str] = CORPORA, folder: Path = RESULTS) -> str:
    """Is it worth labelling the texts first that the classifier is least sure of?

    A sentence a corpus, from the paired differences to labelling at random; "" without records.
    """
    told = []
    for corpus, name in corpora.items():
        file = folder / f"next-{corpus}.json"
        table = pd.DataFrame(json.loads(file.read_text("utf-8"))["units"] if file.exists() else [])
        if table.empty:
            continue
        model = next((m for m in PRETRAINED if (table["model"] == m).any()), None)
        table = table[table["model"] == model]
        by_way = {way: some.set_index("draw")["accuracy"] for way, some in table.groupby("way")}
        if set(by_way) != {"random", "unsure"}:
            continue
        sides: dict[str, list[str]] = {"ahead": [], "behind": []}
        sizes = sorted({int(n) for row in table["accuracy"] for n in row})[1:]
        for n in sizes:
            pairs = [
                by_way["unsure"][draw][str(n)] - by_way["random"][draw][str(n)]
                for draw in by_way["unsure"].index
            ]
            side = above(interval(pairs))
            if side in sides:
                sides[side].append(f"{n} ({100 * np.mean(pairs):+.1f})")
        at = f"at {count(len(sizes), 'number')} of labels from {sizes[0]} to {sizes[-1]}"
        if not sides["ahead"] and not sides["behind"]:
            told.append(f"on {name} no difference that {len(pairs)} draws can prove, {at}")
            continue
        words = {"ahead": "better with {} labels", "behind": "worse with {} labels"}
        found = [words[side].format(listed(some)) for side, some in sides.items() if some]
        told.append(f"on {name} {' and '.join(found)} (points; the other sizes show nothing)")
    if not told:
        return ""
    return (
        "**Which texts should I label next?** Asking for those that the classifier (on vectors of "
        f"a frozen model) is least sure of, against asking at random: {'; '.join(told)}."
    )


# --- the ladder of a run --------------------------------------------------------------------------


COSTS = ("trained", "seconds", "megabytes", "milliseconds")


def rung(name: str, says, truth, rival_says, costs: dict) -> dict:
    """One rung of a run, for metrics.json.

    Args:
        says, truth, rival_says: (n,) topics: of this rung, the right ones, of the linear model.
        costs: `trained` (numbers that learn), `seconds` (to learn), `megabytes`, `milliseconds`
            (a text); None where it is not known.

    Returns:
        name, `accuracy` (value, low, high), `macro_f1`, the costs, `only_here` and `only_linear`
        (texts that one alone has right), `mcnemar_p` (None for the linear model itself).
    """
    says, truth, rival_says = (np.asarray(x) for x in (says, truth, rival_says))
    right, theirs = says == truth, rival_says == truth
    here, there = int((right & ~theirs).sum()), int((~right & theirs).sum())
    p = float(stats.binomtest(here, here + there).pvalue) if here + there else 1.0
    return {
        "name": name,
        "accuracy": wilson(right.sum(), len(truth)),
        "macro_f1": float(f1_score(truth, says, average="macro", zero_division=0)),
        **{key: costs[key] for key in COSTS},
        "only_here": here,
        "only_linear": there,
        "mcnemar_p": None if name == BASELINE else p,
    }


def rungs_table(ladder: list[dict]) -> pd.DataFrame:
    """The rungs as they are shown, a row each."""
    rows = []
    for one in ladder:
        low, high = one["accuracy"]["low"], one["accuracy"]["high"]
        rows.append({
            "rung": one["name"],
            "accuracy": round(one["accuracy"]["value"], 3),
            "95 % interval": f"{low:.2f} to {high:.2f}",
            "macro F1": round(one["macro_f1"], 3),
            "trained": "?" if one["trained"] is None else f"{one['trained']:,}",
            "seconds": _short(one["seconds"]),
            "MB": _short(one["megabytes"]),
            "ms": _short(one["milliseconds"]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:.2g}" if value < 100 else f"{value:.0f}"


def rungs_figure(ladder: list[dict]) -> tuple[plt.Figure, str]:
    """Accuracy against the milliseconds of a text (logarithmic); and the text alternative."""
    made, axis = plt.subplots(figsize=(7.2, 3.8))
    told = []
    for one in ladder:
        score, cost = one["accuracy"], max(one["milliseconds"], 0.01)
        colour = RIVAL if one["mcnemar_p"] is None else MODEL
        sides = [[score["value"] - score["low"]], [score["high"] - score["value"]]]
        axis.errorbar([cost], [score["value"]], yerr=sides, fmt="o", color=colour, capsize=3)
        name, place = plain(one["name"], 40), {"textcoords": "offset points", "fontsize": 8}
        axis.annotate(name, (cost, score["value"]), xytext=(7, 5), **place)
        told.append(f"{name} {score['value']:.3f} at {cost:.2g} ms")
    axis.set(xscale="log", xlabel="milliseconds a text (0.01: or less)", ylabel="test accuracy")
    axis.xaxis.set_major_formatter("{x:g}")  # matplotlib's own is a formula, and none is set here
    axis.margins(x=0.3)
    return made, "Test accuracy against milliseconds a text: " + "; ".join(told) + "."


def rungs_told(ladder: list[dict], n: int) -> str:
    """Which rungs differ from the linear model by more than luck, and the dearest that does not."""
    others = [one for one in ladder if one["mcnemar_p"] is not None]
    rival = next(one for one in ladder if one["mcnemar_p"] is None)
    sure = [one for one in others if one["mcnemar_p"] < 0.05]
    over = [plain(o["name"], 60, markup=True) for o in sure if o["only_here"] > o["only_linear"]]
    under = [plain(o["name"], 60, markup=True) for o in sure if o["only_here"] < o["only_linear"]]
    level = [plain(o["name"], 60, markup=True) for o in others if o not in sure]
    told = []
    if over:
        told.append(f"above {BASELINE}: {listed(over)}")
    if under:
        told.append(f"below it: {listed(under)}" if over else f"below {BASELINE}: {listed(under)}")
    if level:
        told.append(f"no difference that n = {n} can show: {listed(level)}")
    text = f"{SEE}{'; '.join(told)} (McNemar, p under 0.05; {count(len(others), 'comparison')})."
    if not over and rival["accuracy"]["value"] >= max(o["accuracy"]["value"] for o in others):
        text += " **No step above the linear model pays here.**"
    return text


def rungs_folded(ladder: list[dict]) -> str:
    """McNemar's counts of each rung, folded away: Markdown with HTML."""
    rows = [
        f"| {plain(one['name'], 60, markup=True)} | {one['only_here']} | {one['only_linear']} "
        f"| {one['mcnemar_p']:.3f} |"
        for one in ladder
        if one["mcnemar_p"] is not None
    ]
    head = "| rung | only this one right | only the linear model right | p |\n|---|---|---|---|"
    table = "\n".join([head, *rows])
    return f"<details><summary>McNemar against {BASELINE}</summary>\n\n{table}\n\n</details>"


def missing(folders: dict[str, str], root: Path = ROOT) -> str:
    """One sentence for the models that are not here, with the commands that bring them; or ""."""
    names = [name for name, folder in folders.items() if not (root / folder).exists()]
    if not names:
        return ""
    commands = [f"`gpt2news backbone {Path(folders[name]).name}`" for name in names]
    return (
        f"Not on this ladder, for want of the model: {listed(names)} ({listed(commands)} brings "
        "it). All rungs, over several draws, are measured by `make ladder`."
    )
