import json

import pytest

from gpt2news.run import Run, atomic, reports_root


@pytest.fixture(autouse=True)
def reports(tmp_path, monkeypatch):
    monkeypatch.setenv("GPT2NEWS_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


def tree(folder) -> dict:
    return {
        str(p.relative_to(folder)): p.read_text() if p.is_file() else None
        for p in folder.rglob("*")
    }


def make_folder(path, **files) -> None:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_text(content)


def test_atomic_makes_a_file_and_the_folders_above_it(tmp_path):
    with atomic(tmp_path / "a" / "b" / "file.txt") as part:
        part.write_text("new")
        assert not (tmp_path / "a" / "b" / "file.txt").exists()
    assert tree(tmp_path) == {"a": None, "a/b": None, "a/b/file.txt": "new"}


def test_atomic_replaces_a_file(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    with atomic(tmp_path / "file.txt") as part:
        part.write_text("new")
        assert (tmp_path / "file.txt").read_text() == "old"
    assert tree(tmp_path) == {"file.txt": "new"}


def test_atomic_replaces_a_folder_whole(tmp_path):
    make_folder(tmp_path / "folder", kept="old", only_old="old")
    with atomic(tmp_path / "folder") as part:
        make_folder(part, kept="new", only_new="new")
    assert tree(tmp_path) == {"folder": None, "folder/kept": "new", "folder/only_new": "new"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_error_inside_atomic_leaves_what_was_there_and_nothing_else(tmp_path, kind, error):
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("old")
    else:
        make_folder(target, inside="old")
    before = tree(tmp_path)

    def half_done():
        with atomic(target) as part:
            if kind == "file":
                part.write_text("half")
            else:
                make_folder(part, inside="half", other="half")
            assert tree(tmp_path) != before
            raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        half_done()
    assert tree(tmp_path) == before


def test_atomic_with_nothing_written_is_an_error_and_keeps_the_old_file(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "file.txt"):
        pass
    assert tree(tmp_path) == {"file.txt": "old"}


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "../a", "/a", "a/"])
def test_a_run_needs_a_plain_name(name, reports):
    with pytest.raises(ValueError, match=r"a plain folder name is needed, such as 'quick'"):
        Run(name)
    assert not reports.exists()


def test_a_run_has_a_folder_under_reports(reports):
    run = Run("quick")
    assert run.folder == reports_root() / "quick" == reports / "quick"
    assert run.folder.is_dir()
    assert run.path("splits", "train.csv") == reports / "quick" / "splits" / "train.csv"


def test_record_adds_sections_and_replaces_one_whole():
    run = Run("quick")
    assert run.metrics == {}
    run.save_metrics(dataset={"rows": 3, "name": "café"})
    Run("quick").save_metrics(split={"train": 2}, model={"name": "tiny"})
    run.save_metrics(split={"test": 1})
    wanted = {
        "profile": "quick",
        "dataset": {"rows": 3, "name": "café"},
        "split": {"test": 1},
        "model": {"name": "tiny"},
    }
    assert run.metrics == wanted
    assert json.loads(run.path("metrics.json").read_text(encoding="utf-8")) == wanted


def test_what_cannot_be_written_leaves_the_record_as_it_was():
    run = Run("quick")
    run.save_metrics(dataset={"rows": 3})
    with pytest.raises(TypeError):
        run.save_metrics(dataset={"rows": object()})
    assert run.metrics == {"profile": "quick", "dataset": {"rows": 3}}
    assert list(tree(run.folder)) == ["metrics.json"]
