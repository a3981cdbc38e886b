"""What a chapter depends on."""

import nbformat
import pytest

from gpt2news.run import CHAPTERS
from newsreport.fingerprints import code_behind
from newsreport.profiles import NOTEBOOKS


def behind(chapter: str) -> set[str]:
    cells = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", 4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    files = code_behind(chapter, sources, NOTEBOOKS)
    return {"/".join(path.parts[-2:]) for path in files}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_depends_on_its_own_module_and_its_companions(chapter):
    name = chapter.partition("_")[2]
    files = behind(chapter)
    assert {f"gpt2news/{name}.py", f"{name}/__init__.py"} & files
    assert "gpt2news/run.py" in files
    assert {"exercises/__init__.py", f"exercises/{name}.py"} <= files
    for package in ("sentences", "figures"):
        if (NOTEBOOKS / package / f"{name}.py").exists():
            assert f"{package}/{name}.py" in files
    others = set(CHAPTERS) - {chapter}
    assert not files & {f"exercises/{other.partition('_')[2]}.py" for other in others}


def test_an_early_chapter_does_not_depend_on_a_later_one():
    first = behind("01_explore") | behind("02_split")
    assert not first & {"finetune/train.py", "gpt2news/evaluate.py", "gpt2news/deploy.py"}
    # What chapter 03 says of its results takes the interval of a share from `evaluate`.
    assert "gpt2news/deploy.py" not in behind("03_finetune")


def test_what_is_imported_by_what_is_imported_counts():
    assert "newsserve/predictor.py" in behind("05_deploy")
    assert {"checks/evaluate.py", "checks/evaluate.yaml", "words/evaluate.py"} <= behind(
        "04_evaluate"
    )


def test_imports_of_other_kinds_do_no_harm():
    sources = ["import os.path", "from . import x", "import numpy as np\nfrom a.b import c"]
    assert code_behind("nowhere", sources, NOTEBOOKS) == set()


def test_a_cell_that_cannot_be_read_leaves_the_others_to_count():
    files = code_behind("nowhere", ["%matplotlib inline", "1 +", "import gpt2news.run"], NOTEBOOKS)
    assert "run.py" in {path.name for path in files}


def test_every_companion_of_a_chapter_counts_whatever_its_folder(tmp_path):
    for folder in ("exercises", "anything"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "split.py").write_text("import gpt2news.show")
    files = code_behind("02_split", [], tmp_path)
    assert {tmp_path / "exercises" / "split.py", tmp_path / "anything" / "split.py"} <= files
    assert "show.py" in {path.name for path in files}
