"""Pages about more than one run: the gallery of all runs, and what changed between two."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import jinja2
import pandas as pd

from newsreport.pages import TEMPLATES, inline
from gpt2news.run import atomic, reports_root

SECTIONS = dict.fromkeys(
    ("dataset", "split", "model", "test", "baseline", "deploy")
)  # of metrics.json; None: that chapter did not run
SHOWN = 40  # rows of the table of texts on which two runs differ


class CompareError(ValueError):
    """Two folders that cannot be compared; the message says why."""


def _page(template: str, target: Path, **values) -> Path:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    with atomic(target) as part:
        part.write_text(
            environment.get_template(template).render(**inline(), **values), encoding="utf-8"
        )
    return target


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def all_runs(root: Path) -> list[dict]:
    """The runs under `root`, newest first: name, record (run.json), metrics, state (`done`, `failed at 03_finetune`, `running`)."""
    found = []
    for file in root.glob("*/run.json"):
        record = _json(file)
        chapters = record.get("chapters", {})
        failed = [name for name, entry in chapters.items() if entry["status"] == "failed"]
        done = bool(chapters) and all(entry["status"] == "done" for entry in chapters.values())
        state = (
            f"failed at {failed[0]}" if failed else "done" if done else "running, or interrupted"
        )
        page = (file.parent / "index.html").exists()
        found.append(
            {
                "name": file.parent.name,
                "record": record,
                "m": SECTIONS | _json(file.with_name("metrics.json")),
                "state": state,
                "page": page,
            }
        )
    return sorted(found, key=lambda run: run["record"].get("started", ""), reverse=True)


def write_gallery(root: Path | None = None) -> Path:
    """Write `index.html` of all runs under `root` (default: reports/); returns its path."""
    root = root or reports_root()
    comparisons = sorted(path.name for path in root.glob("compare-*.html"))
    return _page(
        "gallery.html.j2", root / "index.html", runs=all_runs(root), comparisons=comparisons
    )


def _load(folder: Path) -> dict:
    if not (folder / "run.json").exists() and (reports_root() / folder).is_dir():
        folder = reports_root() / folder
    if not (folder / "run.json").exists():
        raise CompareError(
            f"{folder}: no run.json there; the folder of a run is needed, such as reports/quick"
        )
    metrics = SECTIONS | _json(folder / "metrics.json")
    if not metrics["test"] or not (folder / "predictions.csv").exists():
        raise CompareError(f"{folder}: no results of chapter 04_evaluate; run it to its end first")
    told = pd.read_csv(
        folder / "predictions.csv",
        dtype={"source_id": str, "topic": str, "predicted": str, "baseline": str},
    )
    return {
        "name": folder.resolve().name,
        "folder": folder,
        "record": _json(folder / "run.json"),
        "m": metrics,
        "told": told,
    }


def changes(a: dict, b: dict) -> list[tuple[str, object, object]]:
    """What was set otherwise: (name, value in a, value in b) of nested dicts, in the order of `b`."""
    rows = []
    for key in dict.fromkeys([*b, *a]):
        one, other = a.get(key), b.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            rows += [(f"{key}.{name}", x, y) for name, x, y in changes(one, other)]
        elif one != other:
            rows.append(
                (str(key), "not set" if key not in a else one, "not set" if key not in b else other)
            )
    return [row for row in rows if not row[0].endswith(".run")]


def same_rows(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The texts that both runs were tested on (same id, same topic): source_id, topic, and says, confidence, right of each (`_a`, `_b`)."""
    columns = ["source_id", "topic", "predicted", "confidence"]
    both = a[columns].merge(b[columns], on=["source_id", "topic"], suffixes=("_a", "_b"))
    return both.assign(
        right_a=both["predicted_a"] == both["topic"], right_b=both["predicted_b"] == both["topic"]
    )


def _figure(rows: dict[str, dict], n: int) -> tuple[str, str]:
    from gpt2news import show

    show.style()
    buffer = io.BytesIO()
    figure = show.intervals(
        rows,
        f"test accuracy, 95 % interval, n = {n}"
        if n
        else "test accuracy, 95 % interval, each on its own test",
    )
    figure.savefig(buffer, format="png", dpi=show.DPI, facecolor="white")
    show.plt.close(figure)
    told = "; ".join(
        f"{name} {s['value']:.3f} ({s['low']:.3f} to {s['high']:.3f})" for name, s in rows.items()
    )
    return base64.b64encode(
        buffer.getvalue()
    ).decode(), f"Test accuracy with 95 % intervals: {told}."


def compare(a: Path, b: Path, target: Path | None = None) -> Path:
    """Write one page of what changed from run `a` to run `b`: parameters, scores, and the texts on which they differ.

    Args:
        a, b: folders of two runs, or their names under reports/.
        target: the page; `reports/compare-<a>-<b>.html` when None.

    Raises:
        CompareError: a folder without results, or the same folder twice.
    """
    from gpt2news.evaluate import mcnemar_p

    one, other = _load(Path(a)), _load(Path(b))
    if one["folder"].resolve() == other["folder"].resolve():
        raise CompareError(f"{a} and {b} are the same run")
    rows = same_rows(one["told"], other["told"])
    same_corpus = one["m"]["dataset"]["sha256"] == other["m"]["dataset"]["sha256"]
    if not same_corpus:
        rows = rows.head(0)  # equal ids of two corpora are not the same texts
    only_a, only_b = (
        int((rows["right_a"] & ~rows["right_b"]).sum()),
        int((~rows["right_a"] & rows["right_b"]).sum()),
    )
    p = mcnemar_p(rows["right_a"].to_numpy(), rows["right_b"].to_numpy()) if len(rows) else None
    settings = changes(one["record"].get("parameters", {}), other["record"].get("parameters", {}))
    around = [
        (k, one["record"].get(k), other["record"].get(k))
        for k in ("revision", "machine", "started")
    ]
    around += [
        (f"{k} (version)", x, y)
        for k, x, y in changes(
            one["record"].get("versions", {}), other["record"].get("versions", {})
        )
    ]
    scores = {run["name"]: run["m"]["test"]["accuracy"] for run in (other, one)}
    scores |= {
        f"{run['m']['baseline']['name']}, {run['name']}": run["m"]["baseline"]["accuracy"]
        for run in (other, one)
    }
    whole = len(rows) == len(one["told"]) == len(other["told"])
    image, alt = _figure(scores, len(rows) if whole else 0)
    differ = rows[rows["predicted_a"] != rows["predicted_b"]].sort_values(["topic", "source_id"])
    return _page(
        "compare.html.j2",
        target or reports_root() / f"compare-{one['name']}-{other['name']}.html",
        a=one,
        b=other,
        settings=settings,
        around=[row for row in around if row[1] != row[2]],
        same_corpus=same_corpus,
        whole=whole,
        n=len(rows),
        only_a=only_a,
        only_b=only_b,
        both=int((rows["right_a"] & rows["right_b"]).sum()),
        p=p,
        differ=differ.head(SHOWN).to_dict("records"),
        n_differ=len(differ),
        image=image,
        alt=alt,
    )


def main(args) -> int:
    """The command `gpt2news compare`; returns its exit code."""
    try:
        page = compare(args.a, args.b, args.out)
    except CompareError as error:
        print(f"gpt2news compare: {error}", file=sys.stderr)
        return 2
    write_gallery()
    print(page)
    return 0
