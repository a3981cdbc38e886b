"""What others publish, against what this repository relies on; the exit code is 1 when it moved.

    python tools/contracts.py --colab pip-freeze.txt --aws pytorch.json

`--colab`: pip-freeze.txt of googlecolab/backend-info. Under its versions the chapters must install
without moving one. `--aws`: image_uri_config/pytorch.json of aws/sagemaker-python-sdk, whose
accounts by region must be those of lib/newscloud/regions.csv.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEST = "tests/test_installs.py::test_nothing_of_colab_moves"


def pins(freeze: str) -> str:
    """The versions of a list of pip's; a wheel that is named by its address has one, too."""
    found = re.findall(r"^([\w.-]+)==(\S+)", freeze, re.MULTILINE)
    found += re.findall(r"^(torch) @ \S+/torch-([\d.]+)", freeze, re.MULTILINE)
    return "".join(f"{name}=={version}\n" for name, version in found)


def accounts(config: dict) -> dict[str, str]:
    """Region -> account, as AWS's table has them for its newest images; GovCloud left out."""
    newest = list(config["training"]["versions"].values())[-1]
    return {
        region: account
        for region, account in newest["registries"].items()
        if "gov" not in region and "iso" not in region
    }


def ours() -> dict[str, str]:
    lines = (ROOT / "lib" / "newscloud" / "regions.csv").read_text(encoding="utf-8").splitlines()
    return dict(line.split(",") for line in lines if not line.startswith("#"))


def moved(published: dict[str, str]) -> list[str]:
    """A line for each region whose account differs."""
    here = ours()
    regions = sorted(published.keys() | here.keys())
    differ = [name for name in regions if published.get(name) != here.get(name)]
    return [f"{name}: AWS {published.get(name)}, regions.csv {here.get(name)}" for name in differ]


def main() -> int:
    """Both contracts, even where the first fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--colab", type=Path, required=True)
    parser.add_argument("--aws", type=Path, required=True)
    args = parser.parse_args()
    lines = moved(accounts(json.loads(args.aws.read_text(encoding="utf-8"))))
    print("\n".join(lines) or "AWS's accounts: as in regions.csv")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "colab.txt")
        file.write_text(pins(args.colab.read_text(encoding="utf-8")), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--noconftest", TEST]
        colab = subprocess.run(command, cwd=ROOT, env=os.environ | {"COLAB_LIST": str(file)})
    return int(bool(lines) or colab.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
