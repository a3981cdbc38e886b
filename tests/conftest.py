import os
from pathlib import Path

import pytest
from running import run_report


@pytest.fixture(scope="session")
def bbc_data() -> Path:
    """The folder of the real BBC files; skips where it is not there."""
    folder = Path(os.environ.get("GPT2NEWS_DATA") or "nowhere")
    if not (folder / "bbc-fulltext.zip").exists():
        pytest.skip(
            "GPT2NEWS_DATA does not name a folder with bbc-fulltext.zip, bbc-text.csv and article_split.csv"
        )
    return folder


@pytest.fixture(scope="session")
def quick(tmp_path_factory) -> Path:
    """The quick profile, run as a newcomer runs it; the run's folder."""
    return run_report(tmp_path_factory.mktemp("reports"), "--profile", "quick")
