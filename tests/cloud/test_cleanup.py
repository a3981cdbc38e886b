"""What is found again, and that its removal ends only when nothing is left or says so."""

import re
import signal
import subprocess
import sys
import time

import pytest
from aws_stand_in import SHIPPED, exists, refusal

from newscloud import SageMakerError, cleanup
from newscloud.cleanup import new_name

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "serving.json").exists(), reason="no shipped model in models/gpt2-mini-bbc"
)


def test_names_are_new_and_aws_takes_them():
    names = {new_name("My run_1/é" + "x" * 80) for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in names)


def test_aws_deletes_no_endpoint_while_it_is_being_made(cloud, make, capsys):
    """The first two tries are refused, as AWS does; the third is not."""
    refusals = [refusal("ValidationException", "Cannot update in-progress endpoint")] * 2
    cloud.answers["DeleteEndpoint"] = lambda _: refusals.pop() if refusals else None
    with pytest.raises(ZeroDivisionError), make():
        raise ZeroDivisionError
    assert exists() == []
    assert capsys.readouterr().out.count("Cannot update in-progress endpoint") == 1


def test_what_cannot_be_removed_is_said_with_the_way_out(cloud, aws, make, monkeypatch):
    monkeypatch.setattr(cleanup, "LONGEST", 1.0)
    cloud.answers["DeleteEndpoint"] = lambda _: refusal("AccessDeniedException", "no")
    with (
        pytest.raises(
            SageMakerError,
            match=r"gpt2-news-my-run.* NOT removed.*AccessDenied.*Run `gpt2news sagemaker cleanup`",
        ),
        make(),
    ):
        pass
    del cloud.answers["DeleteEndpoint"]


PROGRAM = """
import sys
from pathlib import Path
import newscloud
from gpt2news.run import companion
from newscloud import jobs
jobs.POLL = 0.05
with companion("cloud", "05_deploy").endpoint(newscloud.connect(), Path(sys.argv[1]), "my run"):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed(cloud, how):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(SHIPPED)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = next(line for line in process.stdout if line.strip() == "up")
    assert line
    assert len(exists()) == 3
    process.send_signal(how)
    process.wait(30)
    deadline = time.monotonic() + 30
    while exists():
        assert time.monotonic() < deadline, exists()
        time.sleep(0.1)
