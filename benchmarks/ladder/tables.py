"""The tables of benchmarks/README.md and the headline of README.md, from the records alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from gpt2news import show
from gpt2news.run import ROOT, atomic, companion
from ladder.store import RESULTS, read
from ladder.studies import LORA_MODELS

labels = companion("labels", "04_evaluate")
PRICE = 0.05  # dollars a core hour: what a rented core costs, roughly; an assumption
GPT2 = "GPT-2, 124 M, fine-tuned on a GPU"
FILL = "no GPU was at hand: `make report PROFILE=gpt2` on one fills this row"
HEADINGS = {
    "draws": "draws",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "trained": "trained numbers",
    "fit": "core seconds to learn",
    "megabytes": "MB",
    "ms": "core ms a text",
    "price": "$ a million texts",
    "difference": "against TF-IDF + SVM",
    "mcnemar": "McNemar p, draw 0",
}


def markdown(rows: list[dict[str, str]]) -> str:
    """Rows of the same keys as a Markdown table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def spread(found: dict, digits: int = 3) -> str:
    """`0.900 (0.880 to 0.920)`; without an interval the mean alone."""
    if not np.isfinite(found["low"]):
        return f"{found['value']:.{digits}f}"
    low, high = (f"{found[key]:.{digits}f}" for key in ("low", "high"))
    return f"{found['value']:.{digits}f} ({low} to {high})"


def gained(found: dict | None) -> str:
    """A paired difference in points, bold where its interval excludes 0."""
    if found is None:
        return "–"
    value = f"{100 * found['value']:+.1f}"
    if not np.isfinite(found["low"]):
        return f"{value}, {found['draws']} draws: no interval"
    text = f"{value} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    return f"**{text}**" if labels.above(found) in ("ahead", "behind") else text


def accuracy_of(table: pd.DataFrame, rung: str, n: int) -> tuple[dict, bool]:
    """The interval of a rung's accuracy, and whether it answered the first test texts only."""
    whole = labels.scores(table, rung, n)
    partly = bool(whole.isna().any())
    return labels.interval(labels.scores(table, rung, n, "first") if partly else whole), partly


# --- the tables -----------------------------------------------------------------------------------


def ladder(table: pd.DataFrame) -> str:
    """All rungs with all labels, from the simplest to the dearest."""
    most = int(table["labels"].max())
    rows = []
    for rung, name in labels.NAMES.items():
        n = 0 if rung.startswith("prompt") else most
        some = table[(table["rung"] == rung) & (table["labels"] == n)]
        if some.empty:
            continue
        found, partly = accuracy_of(table, rung, n)
        first = some.sort_values("draw").iloc[0]
        against = labels.difference(table, rung, labels.LINEAR, most) if n else None
        differ = int(first["only_here"] + first["only_linear"])
        p = binomtest(int(first["only_here"]), differ).pvalue if differ else 1.0
        values = {
            "draws": str(len(some)),
            "accuracy": spread(found) + (" ¹" if partly else ""),
            "macro_f1": f"{some['macro_f1'].mean():.3f}",
            "trained": f"{int(first['trained']):,}",
            "fit": f"{some['fit'].median():.3g}",
            "megabytes": f"{first['megabytes']:.3g}",
            "ms": f"{some['ms'].median():.3g}",
            "price": f"{some['ms'].median() / 3.6 * PRICE:.2g}",
            "difference": "" if rung == labels.LINEAR else gained(against),
            "mcnemar": "" if rung == labels.LINEAR else f"{p:.2g}",
        }
        rows.append({"rung": name, **{HEADINGS[key]: value for key, value in values.items()}})
    rows.append({**dict.fromkeys(rows[0], "?"), "rung": f"{GPT2} ({FILL})"})
    return markdown(rows)


def few_labels(table: pd.DataFrame) -> str:
    """Accuracy against the number of labels, a row a rung."""
    sizes = sorted(n for n in table["labels"].unique() if n)
    rows = []
    for rung, name in labels.NAMES.items():
        cells = {}
        for n in sizes:
            some = table[(table["rung"] == rung) & (table["labels"] == n)]
            cell = "–"
            if len(some):
                found, partly = accuracy_of(table, rung, n)
                cell = spread(found) + (" ¹" if partly else "")
                cell += f" [{len(some)}]" if len(some) != 5 else ""
            cells[f"{n:,}"] = cell
        if set(cells.values()) != {"–"}:
            rows.append({"labels in all": name, **cells})
    return markdown(rows)


def differences(table: pd.DataFrame) -> str:
    """Each rung against the better of the two linear models on words, same draws and texts."""
    sizes = sorted(n for n in table["labels"].unique() if n)
    rows = []
    for rung, name in labels.NAMES.items():
        if rung in (labels.LINEAR, labels.WORDS, "largest"):
            continue
        cells = {}
        for n in sizes:
            some = table[(table["rung"] == rung) & (table["labels"] == n)]
            found = labels.difference(table, rung, labels.rival_at(table, n), n)
            cells[f"{n:,}"] = gained(found) if len(some) else "–"
        if set(cells.values()) != {"–"}:
            rows.append({"labels in all": name, **cells})
    return markdown(rows)


def by_row(study: str, key: str, extra: dict[str, Callable]) -> str:
    """A study with a row a `key`: accuracy over its draws and what `extra` makes of its units."""
    table = pd.DataFrame(read(study)["units"])
    if table.empty:
        return "Not yet run."
    rows = []
    for name, some in table.groupby(key, sort=False):
        cells = {"": str(name), "accuracy": spread(labels.interval(some["first"]))}
        cells |= {heading: make(some, table) for heading, make in extra.items()}
        rows.append({**cells, "seeds": str(len(some))})
    return markdown(rows)


def against(key: str, base: str) -> Callable:
    """A maker of cells: the paired difference to the row `base`."""

    def cell(some: pd.DataFrame, table: pd.DataFrame) -> str:
        theirs = table[table[key] == base].set_index("draw")["first"]
        ours = some.set_index("draw")["first"]
        both = pd.concat([ours, theirs], axis=1).dropna()
        if some[key].iloc[0] == base or both.empty:
            return ""
        return gained(labels.interval(both.iloc[:, 0] - both.iloc[:, 1]))

    return cell


def masks() -> str:
    """GPT against BERT."""
    extra = {
        "against its mask, last token": against("row", "gpt2-mini, its mask, last token"),
        "trained numbers": lambda some, _: f"{int(some['trained'].iloc[0]):,}",
        "core seconds to learn": lambda some, _: f"{some['fit'].median():.0f}",
    }
    return by_row("masks", "row", extra)


def _reload(some: pd.DataFrame, _) -> str:
    known = some["reload_differs"].dropna()
    return f"{known.max():.1g}" if len(known) else "–"


def _peak(some: pd.DataFrame, _) -> str:
    known = some["peak_mb"].dropna()
    return f"{known.iloc[0]:.0f}" if len(known) else "–"


def lora(model: str) -> str:
    """Which weights learn."""
    extra = {
        "against all weights": against("how", "all"),
        "trained": lambda some, _: f"{some['trained'].iloc[0] / some['parameters'].iloc[0]:.2%}",
        "core seconds to learn": lambda some, _: f"{some['fit'].median():.0f}",
        "peak memory, MB": _peak,
        "reload differs by": _reload,
    }
    return by_row(f"lora-{model}", "how", extra)


def next_texts(name: str) -> str:
    """Unsure against random: accuracy after so many labels, and the paired difference."""
    table = pd.DataFrame(read(f"next-{name}")["units"])
    if table.empty:
        return "Not yet run."
    rows = []
    for model, some in table.groupby("model", sort=False):
        ways = {way: part.set_index("draw")["accuracy"] for way, part in some.groupby("way")}
        for n in ("20", "40", "80", "160"):
            found = {way: labels.interval([row[n] for row in ways[way]]) for way in ways}
            both = [ways["unsure"][i][n] - ways["random"][i][n] for i in ways["unsure"].index]
            rows.append({
                "vectors": labels.NAMES[model].partition(" +")[0],
                "labels": n,
                "at random": spread(found["random"]),
                "the least sure": spread(found["unsure"]),
                "difference": gained(labels.interval(both)),
                "draws": str(len(both)),
            })  # fmt: skip
    return markdown(rows)


AIMS = (
    ("bbc", 10, 0.90),
    ("bbc", 40, 0.96),
    ("agnews", 1000, 0.89),
)


def aims(tables: dict[str, pd.DataFrame]) -> str:
    """The aims that were set beforehand, and the best rung's mean at each."""
    rows = []
    for corpus, n, aim in AIMS:
        table = tables[corpus]
        some = table[table["labels"] == n]
        if some.empty:
            continue
        means = {rung: accuracy_of(table, rung, n)[0] for rung in some["rung"].unique()}
        best = max(means, key=lambda rung: means[rung]["value"])
        met = "met" if means[best]["value"] >= aim else "missed"
        rows.append({
            "corpus": labels.CORPORA[corpus], "labels": f"{n:,}", "aim": f"{aim:.2f}",
            "best rung": labels.NAMES[best], "accuracy": spread(means[best]), "": met,
        })  # fmt: skip
    return markdown(rows) if rows else "Not yet run."


# --- where they go --------------------------------------------------------------------------------


def parts(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Marker -> what stands between it and its end in a README."""
    made = {}
    for corpus, table in tables.items():
        if len(table):
            made[f"ladder {corpus}"] = ladder(table)
            made[f"labels {corpus}"] = few_labels(table)
            made[f"differences {corpus}"] = differences(table)
        made[f"next {corpus}"] = next_texts(corpus)
    made["masks"] = masks()
    for model in LORA_MODELS:
        made[f"lora {model}"] = lora(model)
    made["aims"] = aims(tables)
    made["conclusion"] = "\n".join(f"{i}. {line}" for i, line in enumerate(said(tables), 1))
    made["machine"] = read("labels-bbc")["machine"]
    return made


def said(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The conclusion, or that there is none yet."""
    return labels.conclusion(tables) or ["Nothing has been run yet."]


def put(file: Path, made: dict[str, str]) -> int:
    """Write each part between `<!-- name -->` and `<!-- end of name -->`; returns how many."""
    text, found = file.read_text(encoding="utf-8"), 0
    for name, content in made.items():
        form = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end of {re.escape(name)} -->)"
        text, n = re.subn(form, lambda m, c=content: f"{m[1]}{c}\n{m[2]}", text, flags=re.DOTALL)
        found += n
    with atomic(file) as part:
        part.write_text(text, encoding="utf-8")
    return found


def write(say: Callable[[str], None]) -> None:
    """Both READMEs and the figure, from what is on record."""
    tables = {corpus: labels.units(corpus) for corpus in labels.CORPORA}
    made = parts(tables)
    for file in (ROOT / "benchmarks" / "README.md", ROOT / "README.md"):
        say(f"{file.relative_to(ROOT)}: {put(file, made)} parts written")
    if all(len(table) for table in tables.values()):
        show.style()
        figure, _ = labels.figure(tables)
        with atomic(RESULTS / "labels.png") as file:
            figure.savefig(file, format="png", dpi=110, facecolor="white")
        plt.close(figure)
