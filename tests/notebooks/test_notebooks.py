"""What holds for all five notebooks: their form, their names, and that the lesson is in them."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
import yaml
from packages import PACKAGES

from gpt2news.run import CHAPTERS, ROOT

NOTEBOOKS = {chapter: ROOT / "notebooks" / f"{chapter}.ipynb" for chapter in CHAPTERS}
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def cells(chapter: str, kind: str | None = None, tag: str | None = None) -> list[dict]:
    found = json.loads(NOTEBOOKS[chapter].read_text(encoding="utf-8"))["cells"]
    return [
        cell
        for cell in found
        if kind in (None, cell["cell_type"])
        if tag is None or tag in cell["metadata"].get("tags", [])
    ]


def source(cell: dict) -> str:
    return "".join(cell["source"])


@pytest.fixture(scope="module")
def project() -> dict:
    """pyproject.toml's `project`: the one place for the address and the version."""
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


# --- the lesson is in the notebook --------------------------------------------------------------

TYPED = {
    "01_explore": [r"AutoTokenizer", r"CountVectorizer\("],
    "02_split": [r"train_test_split\(", r"TfidfVectorizer\(", r"LinearSVC\(", r"find_leaks\("],
    "03_finetune": [
        r"AutoTokenizer",
        r"\w+ForSequenceClassification",
        r"DataLoader",
        r"zero_grad",
        r"\.backward\(\)",
        r"\.step\(\)",
        r"\bTrainer\(",
        r"TrainingArguments\(",
        r"generate\(",
    ],
    "04_evaluate": [r"TfidfVectorizer\(", r"LinearSVC\(|LogisticRegression\("],
    "05_deploy": [r"torch\.onnx\.export"],
}


@pytest.mark.parametrize(
    ("chapter", "name"), [(chapter, name) for chapter, names in TYPED.items() for name in names]
)
def test_what_a_chapter_is_about_is_typed_in_its_cells(chapter, name):
    typed = "\n".join(map(source, cells(chapter, "code")))
    assert re.search(name, typed), f"{chapter}: no code cell has {name}"


# --- the number is the name ---------------------------------------------------------------------


def test_there_are_five_chapters_in_order():
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == list(CHAPTERS)
    assert [chapter[:3] for chapter in CHAPTERS] == ["01_", "02_", "03_", "04_", "05_"]


@each_chapter
def test_number_and_name_agree_everywhere(chapter):
    name = chapter[3:]
    library = ROOT / "lib" / "gpt2news"
    assert (library / f"{name}.py").exists() or (library / name / "__init__.py").exists()
    for companion in ("exercises", "sentences"):
        assert (ROOT / "notebooks" / companion / f"{name}.py").exists(), f"{companion}/{name}.py"
    assert list((ROOT / "tests").rglob(f"test_{name}.py")), f"tests/…/test_{name}.py"
    title = source(cells(chapter, "markdown")[0]).splitlines()[0]
    assert title.startswith(f"# {chapter[:2]} · ")


# --- form ---------------------------------------------------------------------------------------


@each_chapter
def test_no_code_cell_has_more_than_15_lines(chapter):
    lines = {cell["id"]: source(cell).count("\n") + 1 for cell in cells(chapter, "code")}
    assert {name: n for name, n in lines.items() if n > 15} == {}


@each_chapter
def test_no_line_of_code_is_longer_than_100_characters(chapter):
    lines = [line for cell in cells(chapter, "code") for line in source(cell).splitlines()]
    assert [line for line in lines if len(line) > 100] == []


@each_chapter
def test_a_notebook_has_no_outputs_and_keeps_its_formatting(chapter):
    for cell in cells(chapter, "code"):
        assert not cell["outputs"], f"{cell['id']}: run nbstripout"
        assert cell["execution_count"] is None
    text = NOTEBOOKS[chapter].read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"


@each_chapter
@pytest.mark.parametrize("tag", ["setup", "parameters", "record"])
def test_one_code_cell_has_each_tag(chapter, tag):
    assert [cell["cell_type"] for cell in cells(chapter, tag=tag)] == ["code"]


@each_chapter
def test_the_cells_have_ids_of_their_own(chapter):
    names = [cell["id"] for cell in cells(chapter)]
    assert len(set(names)) == len(names)


@each_chapter
def test_a_code_cell_has_a_name_that_says_what_it_does(chapter):
    """`metadata.name`, such as "draw the loss, step by step": pages fold the code under it."""
    untagged = [cell for cell in cells(chapter, "code") if not cell["metadata"].get("tags")]
    names = {cell["id"]: cell["metadata"].get("name", "") for cell in untagged}
    for cell, name in names.items():
        words = name.split()
        told = f'{cell}: "metadata" needs a "name" of three to 14 words that says what it is for'
        assert 3 <= len(words) <= 14, told
        assert re.match("[a-z]+ ", name), f"{cell}: {name!r} begins with no verb"
        assert not re.search(r"_|\(|=", name), f"{cell}: {name!r} is code"
    assert len(set(names.values())) == len(names)


@each_chapter
def test_each_exercise_is_asked_checked_and_solved(chapter):
    notebook = cells(chapter)
    checked = []
    for before, cell in pairwise(notebook):
        if "exercise" in cell["metadata"].get("tags", []):
            name = re.search(r'check\("(\d\d\.\w+)", answer\)', source(cell)).group(1)
            assert name.startswith(chapter[:2])
            assert source(before).startswith("### Exercise: ")
            assert "<details><summary>Solution</summary>\n\n```python\n" in source(before)
            assert len(re.findall(r"^answer = None", source(cell), re.MULTILINE)) == 1
            checked.append(name)
    assert len(set(checked)) == len(checked) >= 3


# --- one address, one version -------------------------------------------------------------------


def test_the_set_up_cell_is_the_same_in_all():
    texts = {source(cell) for chapter in CHAPTERS for cell in cells(chapter, tag="setup")}
    assert len(texts) == 1


def test_the_set_up_cell_has_the_address_and_the_version_of_pyproject(project):
    (cell,) = cells(CHAPTERS[0], tag="setup")
    address, tag = re.search(r'address, tag = "([^"]+)", "([^"]+)"', source(cell)).groups()
    assert address == project["urls"]["Repository"]
    assert tag == f"v{project['version']}"


@each_chapter
def test_the_badges_open_this_notebook_at_the_version(chapter, project):
    slug = project["urls"]["Repository"].removeprefix("https://github.com/")
    (first, *_) = cells(chapter, "markdown")
    opened = re.findall(r"\((https://[^)]+\.ipynb)\)", source(first))
    place = f"/github/{slug}/blob/v{project['version']}/notebooks/{chapter}.ipynb"
    assert [link for link in opened if "colab.research.google.com" in link], "no badge for Colab"
    assert all(link.endswith(place) for link in opened), opened


def test_every_link_to_this_repository_has_the_address_and_the_version(project):
    """In the notebooks and in the texts that a reader sees first."""
    slug, version = project["urls"]["Repository"].removeprefix("https://github.com/"), "v"
    version += project["version"]
    name = slug.split("/")[1]
    texts = [*NOTEBOOKS.values(), *(ROOT / f for f in ("README.md", "CONTRIBUTING.md"))]
    for path in [*texts, ROOT / "CITATION.cff"]:
        text = path.read_text(encoding="utf-8")
        hosts = r"(?:github\.com|raw\.githubusercontent\.com|/github)/"
        found = set(re.findall(rf"{hosts}([\w.-]+/{re.escape(name)})(?![\w-])", text))
        assert found <= {slug}, f"{path.name}: {found}"
        tags = set(re.findall(rf"{re.escape(slug)}/(?:blob|tree)/(v[\d.]+)/", text))
        assert tags <= {version}, f"{path.name}: {tags}"


def test_the_citation_has_the_address_and_the_version(project):
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert project["urls"]["Repository"] in text
    assert re.search(rf"^version: .?{re.escape(project['version'])}", text, re.MULTILINE)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks" / "profiles").glob("*.yaml")))
def test_a_tokenizer_from_a_hub_has_its_revision(path):
    """A branch that moves must not change a count of tokens.

    A folder under models/ is here, or `gpt2news backbone` makes it of a package with a hash.
    """
    chapter = yaml.safe_load(path.read_text(encoding="utf-8")).get("01_explore", {})
    name = chapter.get("tokenizer", "models/gpt2-mini")
    here = (ROOT / name).exists() or name.removeprefix("models/") in PACKAGES
    assert here or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", name)
