"""`deploy/sagemaker/app_url.py`: the app's address behind SageMaker's proxy."""

import importlib.util
import json
import subprocess
import sys

import pytest

from gpt2news.run import ROOT

SCRIPT = ROOT / "deploy" / "sagemaker" / "app_url.py"
spec = importlib.util.spec_from_file_location("app_url", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def test_app_url_elsewhere():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not a SageMaker notebook instance" in done.stderr


def test_app_url_from_the_instances_metadata(tmp_path):
    file = tmp_path / "resource-metadata.json"
    file.write_text(
        '{"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:notebook-instance/news",'
        ' "ResourceName": "news"}'
    )
    assert script.app_url(8501, file) == "https://news.notebook.eu-west-1.sagemaker.aws/proxy/8501/"
    studio = {
        "ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:space/d-abc/s",
        "DomainId": "d-abc",
        "SpaceName": "s",
    }
    file.write_text(json.dumps(studio))
    assert (
        script.app_url(8600, file)
        == "https://d-abc.studio.eu-west-1.sagemaker.aws/jupyterlab/default/proxy/8600/"
    )
    for broken in ("{}", "[]", "nothing", '{"ResourceArn": "x"}'):
        file.write_text(broken)
        with pytest.raises(SystemExit, match="not a SageMaker notebook instance"):
            script.app_url(8501, file)
    with pytest.raises(SystemExit, match="not a SageMaker notebook instance"):
        script.app_url(8501, tmp_path / "none")
