"""Chapter 02's part: the split."""

from __future__ import annotations

from earlier import profile_of, settings
from gpt2news.explore import READING, load_corpus
from gpt2news.run import Run
from gpt2news.split import check_leaks, split_corpus, write_split
from records.explore import describe
from records.split import summary


def catch_up(report: Run) -> None:
    """Make `splits/` and the metrics `dataset` and `split`, if they are missing; says so."""
    folder = report.path("splits")
    if (folder / "split.json").exists() and {"dataset", "split"} <= set(report.metrics):
        return
    how = "with the settings in its notebook"
    if profile_of(report).exists():
        how = f"as profile {report.name} would"
    wanted = settings(report, "02_split")
    facts = {name: wanted[name] for name in ("dataset", "seed", "val_share", "test_share")}
    print(f"02_split has not run here: splitting {facts['dataset']}, {how}.")
    texts = load_corpus(facts["dataset"], **{name: wanted[name] for name in READING})
    parted = split_corpus(texts, facts["seed"], facts["val_share"], facts["test_share"])
    written = write_split(parted, folder, facts)
    dataset = describe(facts["dataset"], texts, parted["group"].nunique())
    report.save_metrics(dataset=dataset, split=summary(written, check_leaks(folder)))
