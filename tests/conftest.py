"""What several parts of the tests share: the real BBC files, and one finished run of `quick`."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from running import run_report

# Two processes that each train with as many threads as there are cores make both crawl. So each
# worker, and all that it starts, keeps to one core of its own.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
MINE = set(CORES)
if CORES and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
    MINE = {CORES[int(worker.removeprefix("gw")) % len(CORES)]}
    os.sched_setaffinity(0, MINE)


# These files take minutes, so they begin first: at the end one of them alone would hold up all.
LONG = ("test_chapters_alone.py", "test_bbc.py", "test_profile.py", "test_chapters.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, in this order."""
    place = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session")
def bbc_data() -> Path:
    """The folder of the real BBC files; skips where it is not there."""
    folder = Path(os.environ.get("GPT2NEWS_DATA") or "nowhere")
    if not (folder / "bbc-fulltext.zip").exists():
        wanted = "bbc-fulltext.zip, bbc-text.csv and article_split.csv"
        pytest.skip(f"GPT2NEWS_DATA does not name a folder with {wanted}")
    return folder


@pytest.fixture(scope="session")
def quick(tmp_path_factory) -> Path:
    """The quick profile, run once as a newcomer runs it; the run's folder. Read only: copy it.

    Where the tests run in several processes, the first that needs it makes it for all.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # it has a folder of its own in the one of all
        shared = shared.parent
    folder = shared / "reports" / "quick"
    with FileLock(shared / "quick.lock"):
        if not (folder / "index.html").exists():
            if CORES:  # the other workers wait for it, so it takes their cores
                os.sched_setaffinity(0, CORES)
            run_report(folder.parent, "--profile", "quick")
            if CORES:
                os.sched_setaffinity(0, MINE)
    return folder
