"""The browser address of an app that runs on this SageMaker notebook instance or Studio space:

python deploy/sagemaker/app_url.py        # of port 8501, that of `gpt2news app`
"""

import json
import sys
from pathlib import Path

METADATA = Path("/opt/ml/metadata/resource-metadata.json")  # on SageMaker's own machines


def app_url(port: int = 8501, metadata: Path = METADATA) -> str:
    """The address behind the Jupyter server's proxy; SystemExit where this machine is neither."""
    try:
        facts = json.loads(metadata.read_text(encoding="utf-8"))
        region = facts["ResourceArn"].split(":")[3]
        if "DomainId" in facts:
            host = f"{facts['DomainId']}.studio.{region}.sagemaker.aws/jupyterlab/default"
        else:
            host = f"{facts['ResourceName']}.notebook.{region}.sagemaker.aws"
    except (OSError, ValueError, LookupError, TypeError) as error:
        says = f"this is not a SageMaker notebook instance or Studio space ({error!r})"
        raise SystemExit(says) from error
    return f"https://{host}/proxy/{port}/"


if __name__ == "__main__":
    print(app_url(*map(int, sys.argv[1:])))
