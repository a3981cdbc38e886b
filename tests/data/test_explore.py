import functools
import hashlib
import http.server
import re
import socket
import threading
import time
import zipfile

import numpy as np
import pandas as pd
import pytest

from gpt2news.explore import (
    CorpusError,
    load_corpus,
    locate,
    normalise,
    unread,
)
from gpt2news.run import companion, sha256_of

words_of = companion("words", "01_explore")

corpora = companion("corpora", "01_explore")
marking_words = companion("words", "01_explore").marking_words

CONTENT = b"what the server sends"


def table(n: int = 24) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "text": [f"story number {i}" for i in range(1, n + 1)],
            "topic": ["left", "right"] * (n // 2),
        }
    )


def changed(row: int, column: str, value: str) -> pd.DataFrame:
    """`table()` with one value changed; rows are counted from 1, as the messages count them."""
    frame = table()
    frame.loc[row - 1, column] = value
    return frame


def write_archive(path, members: dict) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def bbc_members(topics=corpora.BBC_TOPICS, n: int = 10) -> dict:
    return {
        f"bbc/{topic}/{i:03d}.txt": f"{topic} story {i}\n\nIt goes on."
        for topic in topics
        for i in range(1, n + 1)
    }


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """An empty `data/raw`, and no GPT2NEWS_DATA."""
    folder = tmp_path / "raw"
    folder.mkdir()
    monkeypatch.setattr(corpora, "RAW", folder)
    monkeypatch.delenv("GPT2NEWS_DATA", raising=False)
    return folder


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a web server on the loopback that has one file, `news.bin`."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "news.bin").write_bytes(CONTENT)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


# --- what a good file gives ---------------------------------------------------------------------


def test_csv_rows_are_numbered_from_1(tmp_path):
    table().to_csv(tmp_path / "news.csv", index=False)
    frame = load_corpus(tmp_path / "news.csv")
    assert list(frame.columns) == ["text", "topic", "source_id"]
    assert frame["source_id"].tolist() == [str(i) for i in range(1, 25)]
    assert frame["text"].iloc[6] == "story number 7"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_columns_can_be_named_and_ids_are_kept(tmp_path, suffix):
    table_ = table().rename(columns={"text": "body", "topic": "section"})
    table_["source_id"] = [f"item-{i}" for i in range(24)]
    path = tmp_path / f"news.{suffix}"
    if suffix == "csv":
        table_.to_csv(path, index=False)
    elif suffix == "jsonl":
        table_.to_json(path, orient="records", lines=True)
    else:
        table_.to_parquet(path)
    frame = load_corpus(path, text_column="body", label_column="section")
    assert frame["text"].tolist() == table()["text"].tolist()
    assert frame["topic"].tolist() == table()["topic"].tolist()
    assert frame["source_id"].tolist() == table_["source_id"].tolist()


@pytest.mark.parametrize("kind", ["category", "int64"])
def test_parquet_topics_of_another_type_become_strings(tmp_path, kind):
    frame = table()
    frame["topic"] = (
        pd.Series([1, 2] * 12).astype(kind) if kind == "int64" else frame["topic"].astype(kind)
    )
    frame.to_parquet(tmp_path / "news.parquet")
    assert set(load_corpus(tmp_path / "news.parquet")["topic"]) == (
        {"1", "2"} if kind == "int64" else {"left", "right"}
    )


def test_csv_values_that_look_missing_stay_text(tmp_path):
    changed(3, "text", "NA").to_csv(tmp_path / "news.csv", index=False)
    assert load_corpus(tmp_path / "news.csv")["text"].iloc[2] == "NA"


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, suffix):
    content = (
        table().to_csv(index=False)
        if suffix == "csv"
        else table().to_json(orient="records", lines=True)
    )
    (tmp_path / f"news.{suffix}").write_text(content, encoding="utf-8-sig")
    assert len(load_corpus(tmp_path / f"news.{suffix}")) == 24


def test_archive_members_are_read_with_their_topic(raw):
    write_archive(
        raw / "bbc-fulltext.zip",
        {**bbc_members(), "bbc/README.TXT": "about", "bbc/README.txt": "about"},
    )
    frame = load_corpus("bbc")
    assert len(frame) == 50
    assert tuple(sorted(frame["topic"].unique())) == corpora.BBC_TOPICS
    assert "sport/007" in set(frame["source_id"])


def test_archive_member_in_latin_1_is_decoded(raw):
    write_archive(
        raw / "bbc-fulltext.zip",
        {**bbc_members(), "bbc/sport/199.txt": "It cost £5 at the café".encode("latin-1")},
    )
    frame = load_corpus("bbc").set_index("source_id")
    assert frame.loc["sport/199", "text"] == "It cost £5 at the café"


def test_the_sample_that_ships_is_whole():
    frame = load_corpus("sample")
    assert frame["topic"].nunique() >= 2
    assert frame["source_id"].is_unique


# --- faults: the file, the row and the way out --------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (
            table().rename(columns={"text": "body"}),
            ["no column 'text'", "it has 'body', 'topic'", "text_column"],
        ),
        (table().assign(topic="left"), ["one topic only ('left')", "two or more"]),
        (
            table(18),
            [
                "fewer than 10 texts a topic",
                "'left' has 9",
                "'right' has 9",
                "add texts or drop the topic",
            ],
        ),
        (table(0), ["no texts in it", "is the file whole?"]),
    ],
    ids=["column", "one topic", "few", "no rows"],
)
def test_fault_in_a_table(tmp_path, frame, says):
    frame.to_csv(tmp_path / "news.csv", index=False)
    with pytest.raises(CorpusError) as error:
        load_corpus(tmp_path / "news.csv")
    for part in ["news.csv: ", *says]:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("text", "  ", "no text"),
        ("topic", " ", "no topic"),
        ("text", "caf\ufffd", "U+FFFD: these bytes were read with a wrong encoding once"),
        ("topic", "caf\ufffd", "U+FFFD: these bytes were read with a wrong encoding once"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_and_named(tmp_path, column, value, why):
    path = tmp_path / "news.csv"
    changed(7, column, value).to_csv(path, index=False)
    frame = load_corpus(path)
    assert len(frame) == 23
    assert "7" not in set(frame["source_id"])
    assert frame.attrs["left_out"] == [f"line 8: {why}"]
    described = companion("records", "01_explore").describe(str(path), frame, 23)
    assert (described["left_out"], described["left_out_rows"]) == (1, [f"line 8: {why}"])
    says = f"1 of 24 rows cannot be used, and 0% may be left out: line 8: {why}. Correct"
    with pytest.raises(CorpusError, match=re.escape(says)):
        load_corpus(path, max_left_out=0)


def test_too_many_rows_that_cannot_be_used_name_the_first_five(tmp_path):
    frame = table()
    frame.loc[[1, 3, 5, 7], "text"] = ""
    frame.loc[[9, 11], "topic"] = ""
    frame.to_csv(tmp_path / "news.csv", index=False)
    says = (
        "news.csv: 6 of 24 rows cannot be used, and 5% may be left out: line 3: no text; line 5: "
        "no text; line 7: no text; line 9: no text; line 11: no topic; and 1 more. Correct them, or"
    )
    with pytest.raises(CorpusError, match=re.escape(says)):
        load_corpus(tmp_path / "news.csv")
    with pytest.raises(CorpusError, match=r"one topic only \('left'\)"):
        load_corpus(tmp_path / "news.csv", max_left_out=0.3)


def test_the_texts_of_a_rare_topic_are_left_out(tmp_path):
    changed(7, "topic", "rare").to_csv(tmp_path / "news.csv", index=False)
    frame = load_corpus(tmp_path / "news.csv")
    assert set(frame["topic"]) == {"left", "right"}
    assert frame.attrs["left_out"] == ["line 8: its topic is rare: rare"]
    with pytest.raises(CorpusError, match="fewer than 10 texts a topic: 'rare' has 1; add"):
        load_corpus(tmp_path / "news.csv", max_left_out=0)


def test_chapters_that_read_other_rows_stop_the_run(tmp_path):
    path = tmp_path / "news.csv"
    table().assign(title=[f"title {i}" for i in range(24)]).to_csv(path, index=False)
    frame = load_corpus(path)
    metrics = {"dataset": companion("records", "01_explore").describe(str(path), frame, 24)}
    corpora.check_same(metrics, frame)
    corpora.check_same(metrics, load_corpus(path))
    corpora.check_same({}, frame)
    with pytest.raises(CorpusError, match=r"chapter 01 .* 24 other texts \(news.csv\): give both"):
        corpora.check_same(metrics, load_corpus(path, "title"))


def test_an_id_that_stands_twice_is_no_id(tmp_path):
    table().assign(source_id=[*range(1, 24), 5]).to_csv(tmp_path / "news.csv", index=False)
    frame = load_corpus(tmp_path / "news.csv")
    assert frame["source_id"].tolist() == [str(i) for i in range(1, 25)]


def test_numbered_labels_get_their_names(tmp_path):
    path = tmp_path / "news.csv"
    for first in (0, 1):
        numbers = [first + (topic == "right") for topic in table()["topic"]]
        table().assign(topic=numbers).to_csv(path, index=False)
        frame = load_corpus(path, label_names="left, right")
        assert frame["topic"].tolist() == table()["topic"].tolist()
    with pytest.raises(CorpusError, match=r"12 of 24 .*unknown topic \(not one of 1\)"):
        load_corpus(path, label_names="left")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("news.csv", b"", ["no texts in it", "is the file whole?"]),
        ("news.jsonl", b"", ["no texts in it", "is the file whole?"]),
        ("news.parquet", b"", ["not a whole Parquet file"]),
        ("news.parquet", b"PAR1 and not much more", ["not a whole Parquet file"]),
        ("news.jsonl", b'{"text": "a", "topic": "b"}\n{"text": ', ["line 2: not JSON"]),
        ("news.csv", b"text,topic\none,left\ntwo,right,extra\n", ["line 3: 3 columns where"]),
        ("news.doc", b"text", ["has to end in .csv, .tsv"]),
        ("news", b"text", ["has to end in .csv, .tsv"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_fault_in_a_file(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError) as error:
        load_corpus(tmp_path / name)
    for part in [f"{name}: ", *says]:
        assert part in str(error.value)


def test_a_long_text_costs_no_more_than_its_reading(tmp_path):
    frame = table()
    frame.loc[0, "text"] = "caf\u00e9 \u0442\u0435\u043a\u0441\u0442 " * 600_000  # 8 MB
    frame.to_csv(tmp_path / "news.csv", index=False)
    began = time.process_time()
    corpus = load_corpus(tmp_path / "news.csv")
    assert not unread(corpus["text"][1])
    assert unread(corpus["text"][0])
    assert time.process_time() - began < 10  # of processor; quadratic would be minutes


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(CorpusError, match=r"no-such-corpus: no such file.* sample, bbc, bbc-csv"):
        load_corpus("no-such-corpus")


def test_unknown_topic_in_the_bbc_csv(raw):
    rows = [(topic, f"{topic} story {i}") for topic in corpora.BBC_TOPICS for i in range(11)]
    rows[12] = ("weather", "rain")
    pd.DataFrame(rows, columns=["category", "text"]).to_csv(raw / "bbc-text.csv", index=False)
    says = "line 14: unknown topic (not one of business, entertainment, politics, sport, tech)"
    frame = load_corpus("bbc-csv")
    assert frame.attrs["left_out"] == [says]
    assert set(frame["topic"]) == set(corpora.BBC_TOPICS)


def test_unknown_topic_in_the_bbc_archive(raw):
    write_archive(raw / "bbc-fulltext.zip", {**bbc_members(), "bbc/weather/001.txt": "rain"})
    (left_out,) = load_corpus("bbc").attrs["left_out"]
    assert left_out.startswith("row 51: unknown topic (not one of business, ")


def test_empty_member_in_the_bbc_archive(raw):
    write_archive(raw / "bbc-fulltext.zip", {**bbc_members(n=11), "bbc/business/007.txt": " \n"})
    frame = load_corpus("bbc")
    assert frame.attrs["left_out"] == ["row 7: no text"]
    assert "business/007" not in set(frame["source_id"])


@pytest.mark.parametrize(
    "member", ["bbc/../../evil.txt", "../evil.txt", "/etc/evil.txt", "bbc\\..\\..\\evil.txt"]
)
def test_archive_member_that_points_outside(raw, member):
    write_archive(raw / "bbc-fulltext.zip", {**bbc_members(), member: "evil"})
    with pytest.raises(
        CorpusError, match=r"bbc-fulltext.zip: member .*evil.* points outside the archive; fetch"
    ):
        load_corpus("bbc")
    assert [path.name for path in raw.parent.rglob("*evil*")] == []


@pytest.mark.parametrize("fault", ["half", "nothing", "not deflate", "another checksum"])
def test_archive_that_is_not_whole(raw, fault):
    path, member = raw / "bbc-fulltext.zip", "bbc/business/001.txt"
    write_archive(path, {member: np.random.default_rng(0).bytes(4000).hex()})
    content = path.read_bytes()
    start, middle = 30 + len(member), len(content) // 2
    broken = {
        "half": content[:middle],
        "nothing": b"",
        "not deflate": content[:start]
        + b"\x07"
        + content[start + 1 :],  # a kind of block that there is not
        "another checksum": content[:middle] + b"\xff" * 99 + content[middle + 99 :],
    }
    path.write_bytes(broken[fault])
    with pytest.raises(
        CorpusError, match=r"bbc-fulltext.zip: not a whole zip file .* fetch it again"
    ):
        load_corpus("bbc")


def test_archive_without_texts(raw):
    write_archive(raw / "bbc-fulltext.zip", {"bbc/README.TXT": "about"})
    with pytest.raises(CorpusError, match=r"bbc-fulltext.zip: no texts in it"):
        load_corpus("bbc")


# --- where a public corpus is looked for --------------------------------------------------------


def test_data_raw_is_looked_at_before_the_environment(raw, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("GPT2NEWS_DATA", str(elsewhere))
    (elsewhere / "bbc-text.csv").write_text("any content: a local file is taken as it is")
    assert locate("bbc-csv") == elsewhere / "bbc-text.csv"
    (raw / "bbc-text.csv").write_text("mine")
    assert locate("bbc-csv") == raw / "bbc-text.csv"


def test_download_with_the_known_hash_is_kept(raw, server, monkeypatch):
    source = corpora.Source("news.bin", f"{server}/news.bin", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(corpora.SOURCES, "loopback", source)
    assert locate("loopback") == raw / "news.bin"
    assert [(path.name, path.read_bytes()) for path in raw.iterdir()] == [("news.bin", CONTENT)]


@pytest.mark.parametrize(
    ("page", "sha256"), [("news.bin", "0" * 64), ("gone.bin", hashlib.sha256(CONTENT).hexdigest())]
)
def test_download_with_another_hash_or_none_leaves_nothing(raw, server, monkeypatch, page, sha256):
    monkeypatch.setitem(
        corpora.SOURCES, "loopback", corpora.Source("news.bin", f"{server}/{page}", sha256)
    )
    with pytest.raises(
        CorpusError, match=f"loopback: {server}/{page} could not be downloaded"
    ) as error:
        locate("loopback")
    assert sha256 in str(error.value)
    assert list(raw.iterdir()) == []


def test_address_that_does_not_answer_gives_the_manual_steps(raw, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused at once
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/news.bin"
        monkeypatch.setitem(corpora.SOURCES, "loopback", corpora.Source("news.bin", url, "f" * 64))
        with pytest.raises(CorpusError) as error:
            locate("loopback")
    for part in (url, "By hand", "f" * 64, "data/raw/news.bin", "GPT2NEWS_DATA"):
        assert part in str(error.value)
    assert list(raw.iterdir()) == []


# --- describing ---------------------------------------------------------------------------------


def test_normalise_makes_cased_accented_punctuated_text_its_plain_form():
    assert (
        normalise("  “Café” Zoë's\tre-play — £3.50, 10% UP!\n") == "cafe zoe s re-play £3.50 10% up"
    )
    plain = "cafe zoe s re-play £3.50 10% up"
    assert normalise(plain) == plain
    assert normalise("Goal, here") != normalise("Goals, here")


def test_excerpt_never_gives_more_than_20_words():
    words = [f"w{i}" for i in range(100)]
    for n in (21, 100):
        assert words_of.excerpt(" ".join(words[:n])) == " ".join(words[:20]) + " …"


@pytest.mark.parametrize("n", [0, 3, 20])
def test_excerpt_of_a_short_text_is_the_text(n):
    text = " ".join(f"w{i}" for i in range(n))
    assert words_of.excerpt(text) == text


def test_marking_words_finds_planted_words():
    random = np.random.default_rng(0)
    common = [f"common{chr(97 + i)}" for i in range(20)]
    planted = {"farm": "tractor", "sea": "lighthouse", "sky": "propeller"}
    topics = list(planted) * 30
    texts = [
        " ".join([*random.choice(common, 30), planted[topic].upper() + ","]) for topic in topics
    ]
    table_ = marking_words(texts, topics, n=4)
    assert table_.groupby("topic").size().to_dict() == dict.fromkeys(planted, 4)
    assert table_.groupby("topic").first()["word"].to_dict() == planted
    for _, rows in table_.groupby("topic"):
        assert rows["z"].is_monotonic_decreasing
        assert (
            rows["z"].iloc[0] > 3 > rows["z"].iloc[1]
        )  # the planted word stands out, the next does not


def test_a_relative_data_folder_counts_from_the_repository_too(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "files").mkdir(parents=True)
    (tmp_path / "root" / "files" / "bbc-text.csv").write_text("x")
    monkeypatch.setattr(corpora, "RAW", tmp_path / "raw")
    monkeypatch.setattr(corpora, "ROOT", tmp_path / "root")
    monkeypatch.setenv("GPT2NEWS_DATA", "files")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert locate("bbc-csv") == tmp_path / "root" / "files" / "bbc-text.csv"


def test_ag_news_has_no_header_and_numbers_for_topics(raw):
    rows = [f'"{1 + i % 4}","Title {i}","What happened on day {i}"' for i in range(48)]
    rows[7] = '"5","A fifth topic","that there is not"'
    (raw / "ag_news_test.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    frame = load_corpus("agnews")
    assert frame["text"][0] == "Title 0 What happened on day 0"
    assert frame["topic"][:4].tolist() == ["World", "Sports", "Business", "Sci/Tech"]
    (left_out,) = frame.attrs["left_out"]
    assert "unknown topic (not one of 1, 2, 3, 4)" in left_out


# --- the real thing -----------------------------------------------------------------------------


def test_the_real_ag_news_has_four_topics_of_one_size(bbc_data, raw, monkeypatch):
    if not (bbc_data / "ag_news_test.csv").exists():
        pytest.skip("no ag_news_test.csv beside the BBC corpus")
    monkeypatch.setenv("GPT2NEWS_DATA", str(bbc_data))
    frame = load_corpus("agnews")
    assert frame["topic"].value_counts().to_dict() == dict.fromkeys(
        ["World", "Sports", "Business", "Sci/Tech"], 1900
    )
    assert frame.attrs["left_out"] == []
    assert sha256_of(locate("agnews")) == corpora.SOURCES["agnews"].sha256


def test_both_bbc_sources_are_the_same_texts(bbc_data, raw, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_DATA", str(bbc_data))
    archive, table_ = load_corpus("bbc"), load_corpus("bbc-csv")
    assert len(archive) == len(table_) == 2225
    pairs = [
        sorted(zip(frame["text"].map(normalise), frame["topic"], strict=True))
        for frame in (archive, table_)
    ]
    assert pairs[0] == pairs[1]
    assert len(set(pairs[0])) <= 2126
