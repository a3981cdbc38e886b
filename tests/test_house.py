"""The house: how big the library is, who imports whom, and that the number is the name."""

import ast
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gpt2news.run import CHAPTERS, ROOT

LIB = ROOT / "lib"
PACKAGES = ("gpt2news", "newsserve", "newsreport", "newscloud")
FILES = sorted(path for package in PACKAGES for path in (LIB / package).rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIB)))

# What each may import of the others.
ALLOWED = {
    "gpt2news": {"newsserve.files", "newsserve.tables", "newsserve.predictor"},
    "newsserve": set(),
    "newsreport": {"gpt2news.run"},
    "newscloud": {"gpt2news.run"},
}
# The command gathers what the others offer; it imports them when it is called, none at its head.
COMMAND = LIB / "newsreport" / "__main__.py"
REACHED = {
    *("newsserve.__main__", "newscloud.commands", "newscloud.cleanup"),
    *("gpt2news.run", "gpt2news.explore"),
}


# --- how big --------------------------------------------------------------------------------------


def size_of(package: str) -> int:
    """Bytes of Python in a package."""
    return sum(path.stat().st_size for path in (LIB / package).rglob("*.py"))


def test_bytes_of_python():
    sizes = {package: size_of(package) for package in PACKAGES}
    total = sum(sizes.values())
    for package, size in sizes.items():
        print(f"{package:<12}{size:>9,} bytes")
    print(f"{'all four':<12}{total:>9,} bytes")
    assert sizes["gpt2news"] <= 95_000, sizes
    assert total <= 220_000, sizes


def test_there_is_no_fifth_package():
    folders = {path.name for path in LIB.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(PACKAGES)


@each_file
def test_a_file_is_read_in_one_sitting(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 300
    assert [n for n, line in enumerate(lines, 1) if len(line) > 100] == []


def test_ruff_keeps_lines_at_100():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r"^line-length = 100$", settings, re.MULTILINE)


def test_no_six_lines_stand_twice():
    """Blank lines and imports aside, and the edges of lines."""
    places: dict[tuple, list[str]] = {}
    for path in FILES:
        numbered = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        lines = [(n, line.strip()) for n, line in numbered]
        lines = [(n, line) for n, line in lines if line and not is_import(line)]
        for start in range(len(lines) - 5):
            run = lines[start : start + 6]
            key = tuple(line for _, line in run)
            places.setdefault(key, []).append(f"{path.relative_to(LIB)}:{run[0][0]}")
    twice = [where for key, where in places.items() if len(where) > 1 and meaningful(key)]
    assert twice == []


def is_import(line: str) -> bool:
    return line.startswith(("import ", "from "))


def meaningful(lines: tuple[str, ...]) -> bool:
    """Closing brackets alone are no repetition."""
    return any(re.search(r"\w", line) for line in lines)


def test_names_that_only_we_would_use_are_gone():
    pattern = re.compile(r"Thing|Heard|BESIDE|Rhythm|locals\(\)")
    found = []
    for path in FILES:
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(LIB)}:{n}: {line.strip()}")
    assert found == []


# --- who imports whom -----------------------------------------------------------------------------


def imports_of(path: Path) -> set[str]:
    """The modules of our packages that a file imports, anywhere in it, by their full names."""
    return named_in(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def named_in(nodes) -> set[str]:
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if is_module(full) else node.module)
    return {name for name in found if name.split(".")[0] in PACKAGES}


def is_module(name: str) -> bool:
    place = LIB.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(LIB).with_suffix("").parts)
    return name.removesuffix(".__init__")


@each_file
def test_who_may_import_whom(path):
    package = path.relative_to(LIB).parts[0]
    allowed = REACHED if path == COMMAND else ALLOWED[package]
    foreign = {name for name in imports_of(path) if name.split(".")[0] != package}
    assert foreign <= allowed


def test_the_command_imports_the_others_only_when_it_is_called():
    tree = ast.parse(COMMAND.read_text(encoding="utf-8"))
    assert named_in(tree.body) == set()


def test_no_package_imports_in_a_circle():
    """Between packages: the command apart, whose imports wait until it is called."""
    arrows: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for path in FILES:
        package = path.relative_to(LIB).parts[0]
        if path != COMMAND:
            arrows[package] |= {name.split(".")[0] for name in imports_of(path)} - {package}
    assert circle(arrows) is None


def test_no_module_imports_in_a_circle():
    """Imports at the head of modules; those inside functions run later."""
    arrows = {}
    for path in FILES:
        head = ast.parse(path.read_text(encoding="utf-8")).body
        arrows[module_of(path)] = named_in(head) - {module_of(path)}
    assert circle(arrows) is None


def circle(arrows: dict[str, set[str]]) -> list[str] | None:
    """A way from a node back to itself, or None."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str] | None:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return None
        for other in sorted(arrows.get(node, ())):
            found = walk(other, [*way, node])
            if found:
                return found
        done.add(node)
        return None

    ways = (walk(node, []) for node in sorted(arrows))
    return next((way for way in ways if way), None)


def test_the_search_for_circles_finds_one():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


@pytest.mark.parametrize(
    "module",
    ["newsserve.predictor", "newsserve.server", "newsserve.__main__", "newsreport.__main__"],
)
def test_what_answers_loads_nothing_heavy(module):
    heavy = ("torch", "transformers", "pandas", "papermill", "matplotlib", "sklearn")
    code = f"import sys, {module}; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_help_and_an_answer_load_nothing_heavy():
    heavy = ("torch", "transformers", "pandas", "papermill", "fastapi", "boto3")
    code = f"""import sys
from newsreport.__main__ import main
main(["classify", "The striker scored twice."])
print([name for name in {heavy} if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


# --- the number is the name -----------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_number_is_the_name(chapter):
    name = chapter.partition("_")[2]
    notebooks = ROOT / "notebooks"
    assert (notebooks / f"{chapter}.ipynb").exists()
    module = LIB / "gpt2news" / name
    assert module.with_suffix(".py").exists() or (module / "__init__.py").exists()
    assert (notebooks / "exercises" / f"{name}.py").exists()
    assert list((ROOT / "tests").glob(f"*/test_{name}.py"))


def test_the_five_chapters_are_numbered_in_order_and_have_pages():
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))] == list(CHAPTERS)
    from newsreport.gates import SECTIONS

    assert tuple(SECTIONS) == CHAPTERS
    numbers = [int(chapter.partition("_")[0]) for chapter in CHAPTERS]
    assert all(b - a == 1 for a, b in pairwise(numbers))
