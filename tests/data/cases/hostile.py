"""Files as other people have them, made anew for each test: what stands in them, and what is right.

Their texts are invented. Each is written by a few lines, so that what is odd about it is seen.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import pickle
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

SAYS = {
    "sport": ["The keeper saved a penalty", "The club won the cup", "The runner broke a record"],
    "business": ["The bank raised its rate", "Shares in the retailer fell", "Exports grew again"],
}
ROWS = [
    (f"{SAYS[topic][i % 3]} in town {i}, said the paper.", topic)
    for i in range(24)
    for topic in SAYS
]
N = len(ROWS)  # 48, half of each topic


@dataclass(frozen=True)
class Case:
    """A file, and what is right for it.

    Attributes:
        name, data: of the file.
        rows: how many it has, damaged ones too.
        bad: line (or row) -> a part of why it cannot be read.
        learned: texts of the corpus, or a part of why there is none.
        topics: of the corpus.
        said: parts of what `doctor` says.
        text: the column that is found to hold the texts; "" where the file is refused.
        refused: a part of why no door takes it.
        given: options of new-profile and doctor.
        first: how the first text that can be read begins.
    """

    name: str
    data: bytes
    rows: int = N
    bad: dict[int, str] = field(default_factory=dict)
    learned: int | str = N
    topics: tuple[str, ...] = ("business", "sport")
    said: tuple[str, ...] = ()
    text: str = "text"
    refused: str = ""
    given: tuple[str, ...] = ()
    first: str = "The keeper saved a penalty in town 0"


def table(rows=ROWS, header=("text", "topic"), **form) -> str:
    """CSV as Python writes it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", **form).writerows([*([header] if header else []), *rows])
    return out.getvalue()


def lines(rows=ROWS, names=("text", "topic")) -> str:
    """JSON lines."""
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def parquet(columns: dict, metadata: dict | None = None) -> bytes:
    """A Parquet file of lists."""
    out = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), out)
    return out.getvalue()


def changed(place: int, row: tuple) -> list[tuple]:
    """`ROWS` with another row at a place; its line in a CSV file is `place + 2`."""
    return [*ROWS[:place], row, *ROWS[place + 1 :]]


def replaced(place: int, line: str) -> bytes:
    """The CSV file with another line in the place of a row."""
    written = table().splitlines(keepends=True)
    written[place + 1] = line + "\n"
    return "".join(written).encode()


TEXTS, TOPICS = ([row[place] for row in ROWS] for place in (0, 1))
ARRAY = [dict(zip(("text", "topic"), row, strict=True)) for row in ROWS]
ACCENTS = [(f"Café na\u00efve – {text}", topic) for text, topic in ROWS]
RUSSIAN = [(f"Банк снизил ставку, пишет газета номер {i}", t) for i, (_, t) in enumerate(ROWS)]
JAPANESE = [(f"銀行は金利を引き下げた、{i}", topic) for i, (_, topic) in enumerate(ROWS)]
CHINESE = [(f"银行下调贷款利率公司利润增长{i}", topic) for i, (_, topic) in enumerate(ROWS)]
NUMBERED = [(str(1 + (topic == "sport")), text[:20], text) for text, topic in ROWS]
FEATURES = {"topic": {"names": ["business", "sport"], "_type": "ClassLabel"}}
HUGGING = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
TRANSFORMED = [(f"{a}\u2028Next\x85line\x0c", b) for a, b in ROWS]
TWO_FORMS = [
    (a, "E\u0301lan" if i % 4 > 1 else "\u00c9lan") if b == "sport" else (a, b)
    for i, (a, b) in enumerate(ROWS)
]
COLUMNS = {"text": [row[0] for row in ROWS], "topic": [row[1] for row in ROWS]}
CLASSES = [int(topic == "sport") for topic in TOPICS]
STRAY = "The bank raised its rate in town 20, said the paper."

CASES = [
    # --- how it is written ------------------------------------------------------------------------
    Case("semicolon.csv", table(delimiter=";").encode(), said=("semicolons between",)),
    Case("tab.tsv", table(delimiter="\t").encode(), said=("tabs between",)),
    Case("bar.csv", table(delimiter="|").encode(), said=("bars between",)),
    Case("tab.txt", table(delimiter="\t").encode(), said=("tabs between",)),
    Case("sep.csv", ("sep=;\n" + table(delimiter=";")).encode(), said=("semicolons",)),
    Case("CAPITALS.CSV", table().encode(), said=("commas between",)),
    Case("packed.csv.gz", gzip.compress(table().encode()), said=("commas between",)),
    Case("packed.jsonl.gz", gzip.compress(lines().encode()), said=("an object a line",)),
    Case("packed_without_saying.csv", gzip.compress(table().encode()), said=("commas",)),
    Case("lines.json", lines().encode(), said=("an object a line",)),
    Case("lines.ndjson", lines().encode(), said=("an object a line",)),
    Case("array.json", json.dumps(ARRAY).encode(), said=("a JSON array",)),
    Case("array.jsonl", json.dumps(ARRAY).encode(), said=("a JSON array",)),
    Case("pretty.json", json.dumps(ARRAY, indent=2).encode(), said=("a JSON array",)),
    Case("mac.csv", table().replace("\n", "\r").encode(), said=("names in line 1",)),
    Case("windows.csv", table().replace("\n", "\r\n").encode(), said=("names in line 1",)),
    Case("trailing_commas.csv", table().replace("\n", ",\n").replace("topic,", "topic").encode()),
    Case(
        "single_quotes.csv",
        table([(b, f'{a} "So"; he said') for a, b in ROWS], None, delimiter=";", quotechar="'")
        .replace('"So', "So")
        .encode(),
        text="2",
        said=("no header", "semicolons"),
    ),
    Case(
        "backslashes.csv",
        table([(f'{a} "Yes", he said, "yes"', b) for a, b in ROWS], quoting=csv.QUOTE_ALL)
        .replace('""', '\\"')
        .encode(),
        said=("commas between",),
    ),
    Case(
        "line_breaks.csv",
        table([(a.replace(", ", "\n\n"), b) for a, b in ROWS]).encode(),
        said=("names in line 1",),
        first="The keeper saved a penalty in town 0\n\nsaid",
    ),
    # --- encodings --------------------------------------------------------------------------------
    Case("bom.csv", table().encode("utf-8-sig"), said=("UTF-8",)),
    Case("bom.jsonl", lines().encode("utf-8-sig"), said=("UTF-8",)),
    Case("excel.csv", table(delimiter="\t").encode("utf-16"), said=("UTF-16", "tabs")),
    Case("no_mark.csv", table().encode("utf-16-le"), said=("UTF-16",)),
    Case(
        "western.csv", table(ACCENTS).encode("cp1252"), said=("cp1252, a guess",), first="Café na"
    ),
    Case(
        "cyrillic.csv",
        table(RUSSIAN).encode("cp1251"),
        said=("cp1251, a guess", "Cyrillic", "cannot read"),
        first="Банк снизил",
    ),
    Case(
        "chinese.csv",
        table(CHINESE).encode("gb18030"),
        said=("gb18030, a guess", "Chinese", "cannot read"),
        first="银行下调",
    ),
    Case(
        "one_row_of_another_encoding.csv",
        table(ACCENTS).encode().replace(b"town 3,", b"town 3 caf\xe9,", 1),
        bad={8: "not UTF-8"},
        learned=N - 1,
        first="Café na",
    ),
    Case(
        "japanese.csv",
        table(
            [(f"銀行は金利を引き下げた、{i}", topic) for i, (_, topic) in enumerate(ROWS)]
        ).encode("shift_jis"),
        said=("shift_jis, a guess", "cannot read"),
        first="銀行は",
    ),
    Case(
        "read_twice.csv",
        table([(a.encode().decode("cp1252"), b) for a, b in ACCENTS]).encode(),
        said=("UTF-8 that was read as cp1252",),
        first="CafÃ© na",
    ),
    Case("other_line_ends.csv", table(TRANSFORMED).encode(), said=("names in line 1",)),
    Case("other_line_ends.jsonl", lines(TRANSFORMED).encode(), said=("an object a line",)),
    Case("two_returns.csv", table().replace("\n", "\r\r\n").encode(), said=("names in line 1",)),
    Case("nul.csv", table([(a + "\0", b) for a, b in ROWS]).encode(), said=("UTF-8",)),
    # --- damaged rows -----------------------------------------------------------------------------
    Case(
        "open_quote.csv",
        replaced(40, f'"{STRAY.replace(", said", " said")},business'),
        bad={42: "quotation mark left open"},
        learned=N - 1,
    ),
    Case("short_row.csv", replaced(9, "Exports grew"), bad={11: "1 columns"}, learned=N - 1),
    Case("extra_comma.csv", replaced(9, f"{STRAY},business"), bad={11: "3 columns"}, learned=N - 1),
    Case("header_again.csv", replaced(9, "text,topic"), bad={11: "header again"}, learned=N - 1),
    Case(
        "empty_text.csv",
        table(changed(9, ("", "sport"))).encode(),
        bad={11: "no text"},
        learned=N - 1,
    ),
    Case(
        "broken_line.jsonl",
        lines().replace('{"text"', '{"text', 1).encode(),
        bad={1: "not JSON"},
        learned=N - 1,
        first="The bank raised its rate in town 0",
    ),
    Case("footer.csv", (table() + "Total: 48\n").encode(), N + 1, bad={50: "1 columns"}, learned=N),
    Case("padded.csv", table().encode() + b"\0" * 3000, N + 1, bad={50: "1 columns"}, learned=N),
    Case("commas_between.jsonl", lines().replace("\n", ",\n").encode(), said=("an object a line",)),
    Case("replacement.csv", table(changed(9, ("caf\ufffd", "sport"))).encode(), learned=N - 1),
    Case(
        "rare_topic.csv",
        table([*ROWS, ("The roses are early", "garden")]).encode(),
        rows=N + 1,
        said=("1 row would be left out: line 50: its topic is rare: garden",),
    ),
    Case(
        "partly_unlabelled.csv",
        table([(a, b if i < 40 else "") for i, (a, b) in enumerate(ROWS)]).encode(),
        learned="8 of 48 rows cannot be used, and 5% may be left out: line 42: no topic",
    ),
    Case(
        "partly_unlabelled_and_allowed.csv",
        table([(a, b if i < 40 else "") for i, (a, b) in enumerate(ROWS)]).encode(),
        given=("--max-left-out", "0.2"),
        learned=40,
    ),
    Case(
        "strict.csv",
        replaced(9, "Exports grew"),
        bad={11: "1 columns"},
        given=("--strict",),
        learned="1 of 48 rows cannot be used, and 0% may be left out: line 11: 1 columns",
    ),
    # --- columns ----------------------------------------------------------------------------------
    Case(
        "same_name_twice.csv",
        table([(a, b, "x", "y") for a, b in ROWS], ("text", "topic", "note", "note")).encode(),
        said=("'note (column 3)', 'note (column 4)'",),
    ),
    Case(
        "two_texts.csv",
        table([(a, b, "short") for a, b in ROWS], ("text", "topic", "text")).encode(),
        text="text (column 1)",
    ),
    Case(
        "no_names.csv",
        table([(b, a, "", "") for a, b in ROWS], ("class", "message", "", "")).encode(),
        text="message",
    ),
    Case("spaces.csv", table(header=("text ", " topic")).encode()),
    Case("other_names.csv", table(header=("Headline", "Category")).encode(), text="Headline"),
    Case(
        "no_header.csv",
        table(NUMBERED, None).encode(),
        text="3",
        topics=("1", "2"),
        said=("no header", "labels are numbers"),
    ),
    Case(
        "named.csv",
        table(NUMBERED, None).encode(),
        text="title+body",
        given=(
            "--columns",
            "label,title,body",
            "--text",
            "title+body",
            "--labels",
            "business,sport",
        ),
        first="The keeper saved a p The keeper saved a penalty in town 0",
    ),
    Case(
        "ids.csv", table([("wire", a, b) for a, b in ROWS], ("source_id", "text", "topic")).encode()
    ),
    # --- labels and shapes ------------------------------------------------------------------------
    Case(
        "nested.jsonl",
        "".join(json.dumps({"data": {"text": a}, "topic": b}) + "\n" for a, b in ROWS).encode(),
        text="data.text",
        said=("'data' holds an object",),
    ),
    Case(
        "chat.jsonl",
        lines([([{"role": "user", "content": a}],) for a, _ in ROWS], ("messages",)).encode(),
        text="messages",
        bad={n: "not a string but list" for n in range(1, N + 1)},
        learned="no column looks like labels",
        said=("'messages' holds a list",),
    ),
    Case(
        "several.jsonl",
        lines([(a, [b, "news"]) for a, b in ROWS]).encode(),
        learned="line 1: not one label but ['sport', 'news']",
        said=("'topic' holds a list",),
    ),
    Case("list_of_one.parquet", parquet({"text": TEXTS, "topic": [[t] for t in TOPICS]})),
    Case(
        "floats.parquet",
        parquet({"text": TEXTS, "topic": list(map(float, CLASSES))}),
        topics=("0", "1"),
        said=("labels are numbers",),
    ),
    Case(
        "names_inside.parquet",
        parquet({"text": TEXTS, "topic": CLASSES}, HUGGING),
        said=("sport (24)",),
    ),
    Case(
        "capitals.csv",
        table([(a, b.upper() if i % 4 > 1 else b) for i, (a, b) in enumerate(ROWS)]).encode(),
        topics=("BUSINESS", "SPORT", "business", "sport"),
        said=("differ in capitals",),
    ),
    Case(
        "two_forms.csv",
        table(TWO_FORMS).encode(),
        topics=("E\u0301lan", "business", "\u00c9lan"),
        said=("differ in the way an accent is stored only",),
    ),
    Case(
        "fasttext.txt",
        "".join(f"__label__{b} {a.replace(',', '')}\n" for a, b in ROWS).encode(),
        rows=N,
        text="1",
        learned="no column looks like labels",
        said=("as fastText has it",),
        first="__label__sport The keeper",
    ),
    Case(
        "one_object.json",
        json.dumps(COLUMNS).encode(),
        rows=1,
        bad={1: "not a string but list"},
        learned="1 of 1 rows cannot be used",
        said=("The file is one object: a list of objects is read, or an object a line",),
    ),
    Case(
        "title_above.csv",
        ("Export of May\n\n" + table([(a.replace(",", ""), b) for a, b in ROWS])).encode(),
        rows=N + 1,
        text="Export of May",
        learned="line 3 looks like the header: delete what stands above it",
        bad={},
        first="text,topic",
    ),
    Case(
        "bars.csv",
        table([(a, "sport|business" if i < 12 else b) for i, (a, b) in enumerate(ROWS)]).encode(),
        topics=("business", "sport", "sport|business"),
        said=("several labels in one cell",),
    ),
    Case(
        "imbalanced.csv",
        table([*ROWS[:20], *[(a + " Again.", "sport") for a, _ in ROWS * 2]]).encode(),
        rows=116,
        learned=116,
        said=("a model that always says so",),
    ),
    # --- no table ---------------------------------------------------------------------------------
    Case("workbook.csv", b"PK\x03\x04\x14\0\x06\0", 0, refused="a workbook", text=""),
    Case("another.csv", b"\xd0\xcf\x11\xe0" + b"\0" * 99, 0, refused="a workbook", text=""),
    Case("utf32.csv", table().encode("utf-32"), 0, refused="in UTF-32", text=""),
    Case("packed.csv", bz2.compress(table().encode()), 0, refused="packed by bzip2", text=""),
    Case(
        "sign_in.csv",
        b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
        0,
        refused="a web page, no table",
        text="",
    ),
    Case(
        "pointer.csv",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d",
        0,
        refused="a pointer of Git LFS",
        text="",
    ),
    Case("lines.csv", lines().encode(), 0, refused="let its name end in .json", text=""),
    Case("array.csv", json.dumps(ARRAY).encode(), 0, refused="let its name end in .json", text=""),
    Case("pickle.csv", pickle.dumps(ROWS), 0, refused="a Python pickle", text=""),
    Case("parquet.csv", parquet({"text": TEXTS}), 0, refused="a Parquet file", text=""),
    Case(
        "pretty_object.json",
        json.dumps({"data": ARRAY}, indent=1).encode(),
        0,
        refused="one object over several lines",
        text="",
    ),
    Case("empty.csv", b"", 0, refused="no ", text=""),
    Case(
        "cut.csv.gz", gzip.compress(table().encode())[:-20], 0, refused="not a whole file", text=""
    ),
    Case("cut.json", json.dumps(ARRAY).encode()[:-9], 0, refused="not a whole JSON array", text=""),
    Case("cut.parquet", parquet({"text": TEXTS})[:200], 0, refused="not a whole Parquet", text=""),
]
