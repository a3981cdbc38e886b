"""Training under faults: each ends in the same bits, or in one clear sentence."""

import shutil

import pytest
import torch

import crash_lab
from gpt2news.finetune import recipe as of_recipe
from gpt2news.finetune import train as of_train
from newsserve.files import damage


@pytest.fixture(scope="module")
def job(train, splits, tmp_path_factory):
    """`job()`: an epoch of two steps into work/m, a checkpoint a step, on one thread.

    A child of a process that has worked on several threads would wait for them for ever.
    """

    def one_thread() -> int:
        torch.set_num_threads(1)
        return 1

    threads = torch.get_num_threads()
    work = tmp_path_factory.mktemp("lab") / "work"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_train, "use_all_cores", one_thread)
        patch.setattr(of_recipe, "use_all_cores", one_thread)
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        settings = {"epochs": 1, "batch_size": 31, "checkpoint_steps": 1}

        def run():
            return train(work / "m", **settings)

        run.work = work
        yield run
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def wanted(job) -> bytes:
    """The weights of a run that nothing disturbed."""
    job()
    return result(job)


def result(job) -> bytes:
    """The weights, of a whole model with nothing beside it."""
    assert damage(job.work / "m") == []
    assert [path.name for path in job.work.glob("[!.]*")] == ["m"]
    return (job.work / "m" / "model.safetensors").read_bytes()


def test_a_fault_at_every_write(job, wanted):
    struck = 0

    def reset():
        shutil.rmtree(job.work, ignore_errors=True)
        job.work.mkdir()

    for place in crash_lab.strikes(job, job.work, reset):
        job()
        assert result(job) == wanted, place
        struck += 1
    print(f"training: {struck} strikes")
    assert struck > 30


@pytest.mark.parametrize("size", [0, 500, 20_000, 60_000])
def test_a_disk_that_is_full_in_the_middle_of_a_file(job, wanted, size):
    """Also of what C++ and Rust write: weights, the optimiser's state."""
    shutil.rmtree(job.work)
    job.work.mkdir()
    code, said = crash_lab.strike(job, job.work, "none", 0, size)
    assert code == crash_lab.SENTENCE, said
    assert "\n" not in said
    assert "could not be written" in said
    job()
    assert result(job) == wanted
