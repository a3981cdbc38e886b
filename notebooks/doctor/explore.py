"""`gpt2news doctor` and `new-profile`: what a file is, what is odd about it, and its profile."""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path

import pandas as pd
import yaml

from figures import fonts as written
from gpt2news.explore import (
    READING,
    UNSPACED,
    CorpusError,
    comparable,
    corpora,
    load_corpus,
    locate,
    unread,
)
from gpt2news.run import ROOT, atomic, reports_root
from gpt2news.split import PARTS, duplicate_groups
from newsreport import profiles
from newsreport.gates import ReportError
from newsserve.forms import KNOWN
from newsserve.tables import Table, TableError, cell_of, fault_of
from sentences import count

LOOKED_AT = 2000  # rows by which columns, scripts and languages are judged
SHOWN = 5  # of a list
COMPARED_AT_MOST = 20_000  # texts; each is held against all others
SIGN = re.compile(f"[{UNSPACED}]")  # stands for a word
TWICE = re.compile("[ÂÃ][\u0080-\u00bf]|â€[\u0080-\u2122]")  # UTF-8, decoded by another
FREE_GB = 5  # a run with GPT-2 leaves about two


# --- a file -------------------------------------------------------------------------------------


def likely_columns(names: list[str], rows: list[dict]) -> tuple[str, str]:
    """The columns of the texts and of the labels ("": none): by a usual name, else the one with the
    longest cells, and the one whose values repeat most."""
    cells = {name: [cell_of(row, name) for row in rows] for name in names}

    def usual(known: list[str]) -> list[str]:
        ends = {name: re.sub(r" \(column \d+\)$", "", name).rpartition(".")[2] for name in names}
        found = [name for name in names if ends[name].lower() in known]
        return sorted(found, key=lambda name: known.index(ends[name].lower()))

    lengths = {name: sum(len(c) for c in cells[name] if isinstance(c, str)) for name in names}
    text = (usual(KNOWN["texts"]) or [max(names, key=lengths.get)])[0]
    kinds = {name: len(set(map(str, cells[name]))) for name in names if name != text}
    repeated = sorted((n, name) for name, n in kinds.items() if 1 < n <= len(rows) / 2)
    labels = [name for name in usual(KNOWN["labels"]) if name != text]
    return text, (labels or [name for _, name in repeated] or [""])[0]


def propose(data: str, given: dict) -> tuple[dict, list[str]]:
    """How to read a file, the parameters `READING` of chapters 01 and 02; what to know of it.

    Args:
        given: those that somebody has set; the others are found out.

    Raises:
        TableError, CorpusError: the file cannot be read, or nothing in it is a row.
    """
    path = locate(data)
    columns, encoding = given.get("column_names"), given.get("encoding")
    table = Table(path, given.get("text_column", "text"), columns=columns, encoding=encoding)
    rows = [row for row, wrong in islice(table, LOOKED_AT) if not wrong]
    check_begin(table)
    if not rows:
        raise CorpusError(f"{path.name}: no texts in it; is the file whole?")
    text, label = likely_columns(table.names, rows)
    reading = {"text_column": text, "label_column": label, **given}
    if table.guessed:
        reading.setdefault("encoding", table.encoding)
    return {name: reading[name] for name in READING if name in reading}, table.notes()


def load(data: str, reading: dict) -> pd.DataFrame:
    """`load_corpus` with the parameters by which chapters 01 and 02 call it."""
    if not reading["label_column"]:
        table = Table(locate(data))
        next(iter(table), None)
        has = f"it has {', '.join(map(repr, table.names or []))}"
        raise CorpusError(f"{locate(data).name}: no column looks like labels ({has}); give --label")
    return load_corpus(data, **reading)


def header_line(lines: dict[int, str]) -> int:
    """Of numbered lines the first with a usual name of a column among others; else 0."""
    for number, line in lines.items():
        cells = [cell.strip(' "').lower() for cell in re.split(r"[,;\t|]", line)]
        if len(cells) > 1 and {*KNOWN["texts"], *KNOWN["labels"]} & {*cells}:
            return number
    return 0


def check_begin(table: Table) -> None:
    """A CorpusError for a CSV file in which the table begins below a title."""
    if table.kind != "csv" or len(table.names) > 1:
        return
    again, first = Table(table.path, columns=table.columns, encoding=table.encoding), {}
    for row, _ in islice(again, 10):
        first[again.line] = "".join(row.values())
    number = header_line(first)
    if number:
        told = f"line {number} looks like the header: delete what stands above it"
        raise CorpusError(f"{table.path.name}: {told}")


def command(data: str, given: dict) -> str:
    """The command that writes a profile for a file."""
    options = ("--text", "--label", "--columns", "--labels", "--encoding", "--max-left-out")
    words = ["gpt2news", "new-profile", "mine", "--data", data]
    for name, option in zip(READING, options, strict=True):
        if name in given:
            words += [option, str(given[name])]
    return shlex.join(words)


def file(data: str, given: dict) -> tuple[list[str], dict, pd.DataFrame | None, str]:
    """What is to be said of a file, line by line; how to read it; the corpus; why it is none."""
    path = locate(data)
    said = []
    try:
        reading, notes = propose(data, given)
    except (TableError, CorpusError) as error:
        return [str(error)], {}, None, str(error)
    text, label = reading["text_column"], reading["label_column"]
    columns, encoding = reading.get("column_names"), reading.get("encoding")
    table = Table(path, text, columns=columns, encoding=encoding)
    damaged, texts, shapes, lists, total = [], [], Counter(), Counter(), 0
    for row, wrong in table:
        total += 1
        cell = cell_of(row, text)
        fault = wrong or fault_of(cell)
        if fault:
            damaged.append(f"{table.unit} {table.line}: {fault}")
        else:
            texts.append(cell)
        shapes.update(name for name, cell in row.items() if isinstance(cell, dict))
        lists.update(name for name, cell in row.items() if isinstance(cell, list))
    said.append(f"{path.name}: {form(table)}.")
    bad = f"{len(damaged):,} of them without a text to read" if damaged else "each has a text"
    said.append(f"{count(total, 'row')}, {bad}.")
    said += [f"  {fault[:150]}" for fault in damaged[:SHOWN]]
    if len(damaged) > SHOWN:
        said.append(f"  … and {len(damaged) - SHOWN:,} more")
    named = f"texts are in {text!r}, labels in {label!r}" if label else f"texts are in {text!r}"
    said.append(f"Columns: {', '.join(map(repr, table.names))}; {named}.")
    said += nested(shapes, lists, label)
    if table.kind == "jsonl" and total == 1 and (shapes or lists):
        said.append(f"The file is one object: {KNOWN['object'].partition('; ')[2]}.")
    if texts and all(text.startswith("__label__") for text in texts[:LOOKED_AT]):
        said.append(
            "Each line begins with __label__, as fastText has it: write label and text into two "
            "columns, such as with sed 's/^__label__\\([^ ]*\\) /\\1\\t/'."
        )
    said += [f"{note}." for note in notes]
    if texts:
        said += of_texts(texts)
    try:
        corpus = load(data, reading)
    except (TableError, CorpusError) as error:
        why = str(error).removeprefix(f"{path.name}: ")
        said.append(f"It cannot be learned from as it is: {why}")
        if texts and not label:
            column = f" --text-column {text!r}" if text != "text" else ""
            ask = f"gpt2news classify --input {data}{column} --output out.csv"
            said.append(f"Its texts can be sorted: {ask}")
        return said, reading, None, str(error)
    left_out = corpus.attrs["left_out"]
    if left_out:
        named = "; ".join(left_out[:SHOWN])[:300]
        end = "" if named.endswith(("?", ".")) else "."
        said.append(f"{count(len(left_out), 'row')} would be left out: {named}{end}")
    counts = corpus["topic"].value_counts()
    listed = ", ".join(f"{one_line(topic)} ({n:,})" for topic, n in counts[:10].items())
    more = f" and {len(counts) - 10:,} more" if len(counts) > 10 else ""
    said.append(f"Labels: {listed}{more}.")
    said += oddities(corpus["topic"])
    said += once_copies_are_out(corpus)
    return said, reading, corpus, ""


def once_copies_are_out(corpus: pd.DataFrame) -> list[str]:
    """Topics of which too few texts are left for the three parts of chapter 02."""
    if len(corpus) > COMPARED_AT_MOST:
        return []
    first = ~pd.Series(duplicate_groups(corpus["text"].tolist())).duplicated().to_numpy()
    left = corpus[first]["topic"].value_counts()
    short = [f"{one_line(topic)!r} has {n}" for topic, n in left.items() if n < len(PARTS)]
    if not short:
        return []
    still = f"Once near copies are out, {first.sum():,} of {len(corpus):,} texts are left"
    return [
        f"{still}: {', '.join(short[:SHOWN])}. Chapter 02 needs {len(PARTS)} different texts of "
        "each topic: add some, or leave the topic out."
    ]


def one_line(topic: str) -> str:
    """A label as it is listed: its two ends, where it is long."""
    topic = " ".join(topic.split())
    return topic if len(topic) <= 40 else f"{topic[:20]}…{topic[-19:]}"


def form(table: Table) -> str:
    """Kind, separator, encoding, header and compression of a table that was read."""
    if table.kind == "parquet":
        return "Parquet"
    if table.kind == "jsonl":
        kind = "a JSON array" if table.unit == "row" else "JSON, an object a line"
        return f"{kind}, {encoding_name(table)}"
    between = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[table.delimiter]
    separated = f"{between} between the columns" if len(table.names) > 1 else "one column"
    header = "names in line 1" if table.header else "no header"
    return f"CSV, {separated}, {encoding_name(table)}, {header}"


def encoding_name(table: Table) -> str:
    """As people write it."""
    return table.encoding.upper().removesuffix("-SIG") if table.encoding else "UTF-8"


def nested(objects: Counter, lists: Counter, label: str) -> list[str]:
    """A word on columns that hold lists or objects."""
    said = []
    for name, n in objects.most_common(SHOWN):
        inside = f"{name!r} holds an object in {count(n, 'row')}"
        said.append(f"{inside}; a part of it is a column too, named {name}.part.")
    for name, n in lists.most_common(SHOWN):
        apart = "take it apart into columns of their own to use it"
        if name == label:
            apart = "a list of one is read as that one, of several labels none can be learned"
        said.append(f"{name!r} holds a list in {count(n, 'row')}; {apart}.")
    return said


def of_texts(texts: list[str]) -> list[str]:
    """Lengths, copies, scripts and languages."""
    words = pd.Series([max(len(text.split()), len(SIGN.findall(text))) for text in texts])
    copies = len(texts) - len({comparable(text[:5000]) for text in texts})
    least, most = words.min(), words.max()
    span = f"{least:,} to {most:,} words, half of them {words.median():,.0f} or more"
    said = [f"Texts: {span if least < most else count(int(most), 'word') + ' each'}."]
    if copies:
        verb = "is a copy" if copies == 1 else "are copies"
        said.append(f"{copies:,} {verb} of another text; chapter 02 takes copies out.")
    some = texts[:LOOKED_AT]
    found = Counter(script for text in some if (script := script_of(text)))
    said.append(
        f"Scripts: {shares(found)}. Languages, as small words tell: {shares(languages(some))}."
    )
    if sum(bool(TWICE.search(text)) for text in some) > len(some) / 10:
        said.append(
            "Many hold signs such as Ã© or â€™: UTF-8 that was read as cp1252 and saved so. The "
            "file from before that step is the better one."
        )
    lost = sum(map(unread, some)) / len(some)
    if lost > 0.1:
        said.append(
            f"{lost:.0%} of the texts are in a script that models/gpt2-mini cannot read: it knows "
            "the letters a to z. Set `backbone` to a model that can."
        )
    return said


def script_of(text: str) -> str:
    """The script of most of its letters, "" without any."""
    letters = [c for c in text[:500] if c.isalpha()]
    names = Counter(unicodedata.name(letter, "?").split()[0].capitalize() for letter in letters)
    name = names.most_common(1)[0][0] if names else ""
    return {"Cjk": "Chinese characters", "Hangul": "Korean"}.get(name, name)


def languages(texts: list[str]) -> Counter:
    """How many texts are in which language; where no two small words of one are, it is open."""
    known = yaml.safe_load(Path(__file__).with_name("languages.yaml").read_text(encoding="utf-8"))
    known = {name: set(str(words).split()) for name, words in known.items()}
    found = Counter()
    for text in texts:
        words = Counter(re.findall(r"\w+", text[:2000].lower()))
        hits = {name: sum(words[word] for word in small) for name, small in known.items()}
        most = max(hits.values())
        best = [name for name in hits if hits[name] == most]  # such as Russian and Bulgarian
        found[" or ".join(best[:3]) if most > 1 else "open"] += 1
    return found


def shares(counts: Counter) -> str:
    """`English 98%, German 2%`."""
    total = counts.total()
    named = [f"{name} {n / total:.0%}" for name, n in counts.most_common(3)]
    return ", ".join(named) or "none"


def oddities(topics: pd.Series) -> list[str]:
    """What may be wrong with labels that can all be read: said before anything is trained."""
    counts = topics.value_counts()
    names, said = list(counts.index), []
    alike = Counter(map(folded, names))
    for form, n in alike.items():
        if n > 1:
            same = [name for name in names if folded(name) == form]
            listed = ", ".join(map(repr, same[:SHOWN]))
            same_form = len(set(map(composed, same))) == 1
            how = "the way an accent is stored" if same_form else "capitals or spaces"
            said.append(f"{listed} differ in {how} only; are they one label?")
    letters = set("".join(names)) - {" "}
    lost = written.families_for(letter for letter in letters if not letter.isascii())[1]
    if lost:
        said.append(written.notice(lost))
    several = [name for name in names if len(parts_of(name, set(names))) > 1]
    if several:
        said.append(
            f"{several[0]!r} looks like several labels in one cell; a text has one topic here."
        )
    if all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names):
        said.append(
            f"The labels are numbers ({', '.join(names[:SHOWN])}); --labels gives them names."
        )
    long = [name for name in names if len(name) > 60]
    if long:
        said.append(f"{long[0][:60]!r}… is a long label; figures show its two ends.")
    if len(names) > 50:
        said.append(f"{len(names):,} topics; figures are made for 50. Is that the label column?")
    share = counts.iloc[0] / counts.sum()
    if share >= 0.75:
        said.append(
            f"{share:.0%} are {names[0]!r}: a model that always says so is right as often. "
            "Look at the scores by topic, not at the accuracy."
        )
    return said


def composed(name: str) -> str:
    """With each accent and its letter as one character."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Without what people do not see or mean: capitals, spaces, how an accent is stored."""
    return " ".join(composed(name).casefold().split())


def parts_of(name: str, known: set[str]) -> list[str]:
    """The parts between |, ;, comma or slash, where each is a label on its own; else the name."""
    for mark in "|;,/":
        parts = [part.strip() for part in name.split(mark)]
        if len(parts) > 1 and set(parts) <= known:
            return parts
    return [name]


# --- its profile ----------------------------------------------------------------------------------


def main(data: str | None, name: str | None = None, **options) -> int:
    """Run `doctor` (no name: a profile is shown) or `new-profile` (it is written).

    Returns the exit code: 1 for something that has to be put right.

    Raises:
        ReportError: the profile cannot be written; nothing is.
    """
    if not data:
        said, fine = machine()
        print(*said, sep="\n")
        return 0 if fine else 1
    target = check_new(name, profiles.NOTEBOOKS / "profiles") if name else None
    if target and data in corpora().LABELS:
        raise ReportError(f"{data} has a profile of its own already; --data takes a file")
    given = {key: options[key] for key in READING if options[key] is not None}
    said, reading, corpus, problem = file(data, given)
    if target and problem:
        raise ReportError(problem)
    print(*said, sep="\n")
    if problem:
        return 1
    profile = new_profile(name or "mine", corpus, locate(data).resolve(), reading)
    if not target:
        print(f"\nThe profile for it:\n\n{profile}\nNext: {command(data, given)}")
        return 0
    with atomic(target) as part:
        part.write_text(profile, encoding="utf-8")
    print(f"{len(corpus):,} texts, {corpus['topic'].nunique()} topics. Written: {target}")
    print(f"Next: gpt2news report --profile {name}")
    return 0


def check_new(name: str, folder: Path) -> Path:
    """The file of a new profile of this name; a ReportError when there can be none."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ReportError(f"{name!r}: letters, digits, - and _ make the name of a profile")
    target = folder / f"{name}.yaml"
    if target.exists():
        raise ReportError(f"{target.name} is there already and was not changed; delete it first")
    return target


def new_profile(name: str, corpus: pd.DataFrame, data: Path, reading: dict) -> str:
    """The text of a profile with settings that fit the number and the length of the texts."""
    return profiles.TEMPLATES.get_template("profile.yaml.j2").render(
        name=name,
        data=str(data.relative_to(ROOT) if data.is_relative_to(ROOT) else data),
        reading=reading,
        counts=corpus["topic"].value_counts().tolist(),
        characters=corpus["text"].str.len().quantile(0.9),
    )


# --- a machine ----------------------------------------------------------------------------------


def machine() -> tuple[list[str], bool]:
    """A line a check, and whether all are well."""
    checks = [python(), packages(), gpu(), disk(), fonts(), kernel()]
    return [f"{'ok ' if fine else 'FIX'}  {says}" for fine, says in checks], all(
        c[0] for c in checks
    )


def python() -> tuple[bool, str]:
    """The interpreter's version."""
    here = f"Python {platform.python_version()} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] <= (3, 14):
        return True, here
    return False, f"{here}: 3.11 to 3.14 is needed; `make PYTHON=python3.11 …`"


def packages() -> tuple[bool, str]:
    """What the notebooks need."""
    needed = ("torch", "transformers", "onnxruntime", "papermill", "pyarrow")
    found, missing = [], []
    for name in needed:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return False, f"{', '.join(missing)} not installed: pip install -e '.[notebooks]'"
    return True, ", ".join(found)


def gpu() -> tuple[bool, str]:
    """Is there one, and can torch use it?"""
    import torch

    if torch.cuda.is_available():
        return True, f"GPU {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    if not shutil.which("nvidia-smi"):
        return True, "no GPU; `quick` and `bbc` need none"
    asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        return (
            False,
            f"nvidia-smi says: {(done.stdout + done.stderr).strip()[:200]}; mend the driver",
        )
    built = torch.version.cuda or "no CUDA at all"
    other = "install a torch that fits the driver, or a newer driver"
    return False, f"torch cannot use {done.stdout.strip()}: it was built for {built}; {other}"


def disk() -> tuple[bool, str]:
    """Room for a run."""
    place = next(path for path in (reports_root(), *reports_root().parents) if path.exists())
    free = shutil.disk_usage(place).free / 2**30
    if free >= FREE_GB:
        return True, f"{free:,.0f} GB free for reports"
    return (
        False,
        f"{free:.1f} GB free for {reports_root()}: free {FREE_GB}, or set GPT2NEWS_REPORTS",
    )


def fonts() -> tuple[bool, str]:
    """Can figures write labels in other scripts?"""
    lacking = written.lacking()
    if not lacking:
        return True, "fonts for labels in other scripts"
    return True, f"no font for labels in {', '.join(lacking)}: figures show codes. {written.FIX}"


def kernel() -> tuple[bool, str]:
    """Is the kernel `python3`, in which chapters run, this Python?"""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    again = f"{sys.executable} -m ipykernel install --sys-prefix --name python3"
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return False, f"no kernel `python3`: {again}"
    runs = shutil.which(command) or command
    if Path(command).name == command or Path(runs).absolute() == Path(sys.executable).absolute():
        return True, f"the kernel `python3` is {runs}"
    return False, f"the kernel `python3` is another Python, {runs}: {again}"
