"""Before a release: the address in all links, and whether a tag may be one.

python tools/release.py address owner/name       rewrites badges, set-up cells and links
python tools/release.py check v0.1.0 owner/name  exit code 1, and why, when tag or links differ
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"(?<=[/ ])[\w.-]+/gpt2-news(?=[/\"'\s)])")


def repository(root: Path = ROOT) -> str:
    """owner/name, as [project.urls] of pyproject.toml has it."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].removeprefix("https://github.com/")


def address(new: str, root: Path = ROOT) -> list[str]:
    """Write the new address wherever the old one stands; the files that changed."""
    old, changed = repository(root), []
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        content = (root / name).read_bytes()
        if old.encode() in content:
            (root / name).write_bytes(content.replace(old.encode(), new.encode()))
            changed.append(name)
    return changed


def check(tag: str, name: str, root: Path = ROOT) -> list[str]:
    """What stands against a release; nothing when it may be made."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wrong = []
    if tag != f"v{project['version']}":
        wrong.append(f"the tag is {tag}, the version of pyproject.toml {project['version']}")
    if repository(root).lower() != name.lower():
        wrong.append(
            f"badges and set-up cells name {repository(root)}, this repository is {name}: "
            f"python tools/release.py address {name}"
        )
    badges = re.findall(r"/blob/(v[\d.]+)/", (root / "README.md").read_text(encoding="utf-8"))
    if old := sorted(set(badges) - {tag}):
        wrong.append(f"badges of README.md name {', '.join(old)}")
    return wrong


if __name__ == "__main__":
    if sys.argv[1] == "address":
        print("\n".join(address(sys.argv[2])))
    elif wrong := check(*sys.argv[2:]):
        sys.exit("no release: " + "; ".join(wrong))
