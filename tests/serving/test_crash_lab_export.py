"""The export under faults: each ends in the same folder, or in one clear sentence."""

import shutil
from types import SimpleNamespace

import pytest
import torch

import crash_lab
from gpt2news import deploy
from newsserve.files import damage
from newsserve.folder import ModelFolderError
from newsserve.predictor import Predictor


@pytest.fixture
def job(tiny_model, exported, tmp_path, monkeypatch):
    """`job()`: the export into work/onnx; the exporters write what they wrote once, by copying."""
    from onnxruntime import quantization
    from onnxruntime.transformers import optimizer

    work, classifier = tmp_path / "work", deploy.Classifier(tiny_model)
    work.mkdir()

    def write(name):
        return lambda _, target, *rest, **options: shutil.copyfile(exported / name, target)

    def export(model, example, target, **options):
        shutil.copyfile(exported / deploy.FP32, target)

    def save(target):
        shutil.copyfile(exported / deploy.FP32, target)

    graph = SimpleNamespace(graph=SimpleNamespace(node=[], value_info=[]), functions=[])
    fused = SimpleNamespace(model=graph, save_model_to_file=save)
    monkeypatch.setattr(torch.onnx, "export", export)
    monkeypatch.setattr(deploy, "_strip", lambda model: None)
    monkeypatch.setattr(optimizer, "optimize_model", lambda *_, **options: fused)
    monkeypatch.setattr(quantization, "quantize_dynamic", write(deploy.INT8))
    monkeypatch.setattr(deploy, "Classifier", lambda _: classifier)

    def run():
        return deploy.export(tiny_model, work / "onnx", temperature=1.5, threshold=0.0)

    run.work = work
    return run


def whole(work) -> dict[str, bytes] | None:
    """What the folder to serve holds; None where there is none."""
    folder = work / "onnx"
    if not folder.exists():
        return None
    assert damage(folder) == []
    return crash_lab.content(folder)


@pytest.mark.parametrize("before", ["nothing", "an earlier one"])
def test_a_fault_at_every_write(job, exported, before):
    job()
    wanted, struck = whole(job.work), 0
    assert {**wanted, "files.json": b""} == {**crash_lab.content(exported), "files.json": b""}

    def reset():
        shutil.rmtree(job.work)
        job.work.mkdir()
        if before != "nothing":
            shutil.copytree(exported, job.work / "onnx")

    for place in crash_lab.strikes(job, job.work, reset):
        assert whole(job.work) in (None, wanted), place
        job()
        assert whole(job.work) == wanted, place
        struck += 1
    print(f"export, over {before}: {struck} strikes")
    assert struck > 12


@pytest.mark.parametrize("size", [0, 1000, 50_000])
def test_a_disk_that_is_full_in_the_middle_of_a_file(job, size):
    code, said = crash_lab.strike(job, job.work, "none", 0, size)
    assert code == crash_lab.SENTENCE, said
    assert "File too large" in said
    assert whole(job.work) is None
    job()
    assert whole(job.work)


def test_every_file_of_the_folder_cut_short(exported, tmp_path):
    """`files.json` says which, and what is served of it is refused."""
    folder, cut = tmp_path / "onnx", 0
    shutil.copytree(exported, folder)
    for path, how in crash_lab.truncations(folder):
        assert path.name in damage(folder), (path, how)
        if path.name not in ("files.json", deploy.FP32):
            with pytest.raises(ModelFolderError):
                Predictor(folder)
        cut += 1
    print(f"model folder: {cut} files cut")
    assert cut >= 15
    assert damage(folder) == []
