"""Keep the figures of chosen runs, and write the tables of both READMEs from them.

`python tools/publish.py quick bbc` (or `make results RUNS="quick bbc"`) publishes these runs of
reports/ and writes the tables; without a name the tables are written again from what is published.
What is published is the one record of results: both READMEs and the shipped model's card follow it.
Of a run on the sample, which is free, the executed notebooks are published as well.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

import nbformat

from gpt2news.run import CHAPTERS, ROOT, atomic, reports_root
from newsreport.pages import read_json
from newsserve.predictor import MANIFEST

PUBLISHED = ROOT / "reports" / "published"
SHIPPED = "gpt2-mini-bbc"  # its record lies beside it, in models/
KEPT = (
    "dataset",
    "split",
    "model",
    "test",
    "baseline",
    "mcnemar_p",
    "verdict",
    "off_topic",
    "behaviour",
    "errors",
    "deploy",
    "studies",
    "seconds",
)
FACTS = ("command", "revision", "started", "machine")
FIGURES = ("accuracy", "confusion")
STUDIES = ("folds", "ablation", "learning_curve")
LARGEST = 1_500_000  # bytes of an executed notebook: a code host shows no larger ones
BEGIN, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
HEADS = (
    "run",
    "corpus",
    "model",
    "accuracy on test (95 % interval)",
    "linear model, same texts",
    "test texts",
    "int8 model",
    "HTTP, a text",
)


class ResultsError(ValueError):
    """A run that cannot be published, or a page without the place for the table; it says which."""


def publish(name: str, folder: Path = PUBLISHED) -> None:
    """Copy what is shown of the run `reports/<name>`: `<name>.json` and `<name>-<figure>.png`.

    Raises:
        ResultsError: the run did not get to its end.
    """
    run = reports_root() / name
    record, metrics = read_json(run / "run.json"), read_json(run / "metrics.json")
    if not record:
        raise ResultsError(f"reports/{name}: no such run; gpt2news report makes it")
    for chapter, state in record["chapters"].items():
        if state["status"] != "done":
            raise ResultsError(f"reports/{name}: {chapter} is not done; run it to its end first")
    facts = {key: record[key] for key in FACTS}
    facts["model"] = read_json(run / "onnx" / MANIFEST).get("sha256")
    kept = {key: metrics[key] for key in KEPT if key in metrics}
    earlier = read_json(folder / f"{name}.json")
    if not any((kept.get("studies") or {}).values()) and earlier:
        # Studies take hours. Those of an earlier run stay, under its name.
        kept["studies"] = earlier["metrics"].get("studies")
        studied = earlier["run"].get("studied") or {key: earlier["run"][key] for key in FACTS}
        facts["studied"] = studied if any((kept["studies"] or {}).values()) else None
    with atomic(folder / f"{name}.json") as part:
        text = json.dumps({"run": facts, "metrics": kept}, indent=1, ensure_ascii=False)
        part.write_text(text + "\n", encoding="utf-8")
    for figure in FIGURES + STUDIES:
        # Chapters draw into figures/, benchmarks/studies.py beside its records.
        for source in (run / "figures" / f"{figure}.png", run / "studies" / f"{figure}.png"):
            if source.exists():
                with atomic(folder / f"{name}-{figure}.png") as part:
                    shutil.copyfile(source, part)
    if metrics["dataset"]["name"] == "sample":
        _publish_notebooks(run / "notebooks", folder / name)


def told(name: str, folder: Path = PUBLISHED) -> str:
    """What has been published of a run, in one line."""
    entry = read_json(folder / f"{name}.json")
    run, score = entry["run"], _interval(entry["metrics"]["test"]["accuracy"])
    line = f"reports/{name} published: accuracy {score}, revision {run['revision'][:12]}"
    if (folder / name).is_dir():
        line += ", with its executed notebooks"
    if studied := run.get("studied"):
        line += f"; its studies stay those of revision {studied['revision'][:12]}"
    return line


def _publish_notebooks(source: Path, target: Path) -> None:
    """The executed notebooks of a run, without what only the machine that ran them knows."""
    with atomic(target) as part:
        part.mkdir()
        for chapter in CHAPTERS:
            notebook = nbformat.read(source / f"{chapter}.ipynb", as_version=4)
            for cell in notebook.cells:
                cell.metadata.pop("papermill", None)
                cell.metadata.pop("execution", None)
            notebook.metadata.pop("papermill", None)
            text = nbformat.writes(notebook).replace(str(ROOT), ".")
            if len(text.encode()) > LARGEST:
                raise ResultsError(f"{chapter}.ipynb has {len(text) / 1e6:.1f} MB, over 1.5 MB")
            (part / f"{chapter}.ipynb").write_text(text + "\n", encoding="utf-8")


def published(folder: Path = PUBLISHED) -> dict[str, dict]:
    """What is published, and the shipped model: name -> `{"run": …, "metrics": …}`."""
    found = {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}
    if folder == PUBLISHED:
        shipped = ROOT / "models" / SHIPPED
        facts = {"model": read_json(shipped / MANIFEST)["sha256"]}
        found[SHIPPED] = {"run": facts, "metrics": read_json(shipped / "metrics.json")}
    return found


def _interval(score: dict) -> str:
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def table(found: dict[str, dict]) -> str:
    """The table of results as Markdown, a row a run."""
    if not found:
        return "No run is published yet."
    rows = [HEADS, ["---"] * len(HEADS)]
    for name, entry in found.items():
        if name == SHIPPED and _same_model(found):
            continue
        m = entry["metrics"]
        rows.append(
            (
                f"`{name}`, shipped" if name == SHIPPED else f"`{name}`",
                f"{m['dataset']['name']}, {m['dataset']['unique']:,} different texts",
                f"{m['model']['name']}, {m['model']['parameters'] / 1e6:.1f} M parameters",
                f"**{_interval(m['test']['accuracy'])}**",
                _interval(m["baseline"]["accuracy"]),
                str(m["split"]["test"]),
                f"{m['deploy']['size_mb']:.1f} MB",
                f"{m['deploy']['p50_ms']:.0f} ms",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _same_model(found: dict[str, dict]) -> bool:
    """Is the shipped model that of the published run `bbc`?"""
    models = [found.get(name, {}).get("run", {}).get("model") or {} for name in (SHIPPED, "bbc")]
    shipped, made = models
    return bool(shipped) and shipped.items() <= made.items()


def details(found: dict[str, dict], folder: Path = PUBLISHED) -> str:
    """A section a run as Markdown: verdict, figures, how to make it again."""
    parts = []
    for name, entry in found.items():
        m, run = entry["metrics"], entry["run"]
        if name == SHIPPED:
            if not _same_model(found):
                told = (
                    f"The model of `models/{name}/` is of an earlier run than the one of `bbc` "
                    "that is published; `make ship` takes the published one."
                )
                parts.append(f"### {name}, shipped\n\n{m['verdict']}\n\n{told}")
            continue
        folds = ((m.get("studies") or {}).get("folds") or {}).get("verdict", "")
        section = [f"### {name}", f"{m['verdict']} {folds}".rstrip()]
        for figure in FIGURES + STUDIES:
            if (folder / f"{name}-{figure}.png").exists():
                section.append(f"![{_alt(figure, m)}](published/{name}-{figure}.png)")
        minutes = sum(seconds for seconds in m["seconds"].values() if seconds) / 60
        revision = re.sub(r"^([0-9a-f]{12})[0-9a-f]+", r"\1", run["revision"])
        when = f"{run['started'][:10]}, {minutes:.0f} minutes on {run['machine']}"
        section.append(f"`{run['command']}`, revision {revision}, {when}.")
        if studied := run.get("studied"):
            revision = studied["revision"][:12]
            section[-1] += f" Its studies are of revision {revision}, {studied['started'][:10]}."
        parts.append("\n\n".join(section))
    return "\n\n".join(parts)


def _alt(figure: str, m: dict) -> str:
    """What a figure shows, in numbers."""
    ours, rival = _interval(m["test"]["accuracy"]), _interval(m["baseline"]["accuracy"])
    studies = m.get("studies") or {}
    if figure == "folds":
        f = studies["folds"]
        means = f"model {f['accuracy']['mean']:.3f}, linear model {f['baseline']['mean']:.3f}"
        return f"Accuracy, mean of {f['runs']} folds: {means}."
    if figure == "ablation":
        rows = [f"{row['row']} {row['accuracy']:.3f}" for row in studies["ablation"]]
        return f"Validation accuracy: {'; '.join(rows)}."
    if figure == "learning_curve":
        form = "{texts} texts {model:.3f}, linear model {baseline:.3f}"
        rows = [form.format(**row) for row in studies["curve"]]
        return f"Accuracy by training texts: {'; '.join(rows)}."
    if figure == "accuracy":
        return f"Test accuracy with 95 % intervals: fine-tuned model {ours}, linear model {rival}."
    return f"Confusion matrix of {m['split']['test']} test texts; accuracy {ours}."


def pages(found: dict[str, dict], root: Path = ROOT) -> dict[Path, str]:
    """Each page that carries results, as it should be.

    Raises:
        ResultsError: a page has no place for them, between the two comments.
    """
    long = f"{table(found)}\n\n{details(found, root / 'reports' / 'published')}".rstrip()
    wanted = {root / "README.md": table(found), root / "reports" / "README.md": long}
    result = {}
    for path, content in wanted.items():
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end) or BEGIN in rest:
            name = path.relative_to(root)
            raise ResultsError(f"{name}: one place for the results is needed: {BEGIN} … {END}")
        result[path] = f"{before}{BEGIN}\n{content}\n{END}{after}"
    return result


def main(argv: list[str] | None = None) -> int:
    """Publish the named runs and write the tables; returns the exit code."""
    about = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python tools/publish.py", description=about)
    parser.add_argument("runs", nargs="*", help="folders under reports/, such as quick")
    try:
        for name in parser.parse_args(argv).runs:
            publish(name)
            print(f"results: {told(name)}")
        found = published()
        for path, text in pages(found).items():
            with atomic(path) as part:
                part.write_text(text, encoding="utf-8")
            print(f"results: {path.relative_to(ROOT)} written")
        if SHIPPED in found and not _same_model(found):
            print(f"results: models/{SHIPPED} is not the published `bbc`: make ship takes that one")
    except ResultsError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
