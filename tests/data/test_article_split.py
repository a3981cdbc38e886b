"""The article's split, in benchmarks/: read right, and known to leak."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from gpt2news import explore, split

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from article_split import article_split


def test_article_split_is_put_in_the_order_of_the_rows(tmp_path):
    (tmp_path / "a.csv").write_text("row,split\n2,test\n0,train\n1,validation\n")
    frame = pd.DataFrame({"text": ["a", "b", "c"], "topic": "x"})
    assert article_split(frame, tmp_path / "a.csv")["split"].tolist() == ["train", "val", "test"]
    with pytest.raises(ValueError, match=r"a\.csv has 3 rows, the corpus 2"):
        article_split(frame.iloc[:2], tmp_path / "a.csv")


@pytest.fixture(scope="module")
def parted(bbc_data, tmp_path_factory) -> pd.DataFrame:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explore.corpora(), "RAW", tmp_path_factory.mktemp("empty"))
        patch.setenv("GPT2NEWS_DATA", str(bbc_data))
        return article_split(explore.load_corpus("bbc-csv"), bbc_data / "article_split.csv")


def test_the_articles_split_of_bbc_news_leaks(parted):
    leaks = split.find_leaks({part: parted[parted["split"] == part] for part in split.PARTS})
    exact = leaks[leaks["jaccard"] == 1]
    assert exact.groupby("part").size().to_dict() == {"test": 19, "val": 16}


def test_the_articles_split_is_refused_by_the_gate(parted, tmp_path):
    split.write_split(parted, tmp_path / "splits", {})
    with pytest.raises(split.LeakError, match="have a twin in train"):
        split.check_leaks(tmp_path / "splits")
