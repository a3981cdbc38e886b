"""Write the repository's address, and the tag of its version, into every link that carries them; other links stay as they are.

`python -m gpt2news.links owner/name` puts the address into pyproject.toml, the one place for it, and then into the files.
Without an argument the files are brought in line with pyproject.toml: with its address, and, where a notebook is opened or the
repository cloned at a tag, with its version.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLUG = r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]*[A-Za-z0-9_](?<!\.git)"
NAMED = re.compile(rf'^Repository = "https://github\.com/({SLUG})"$', re.MULTILINE)
VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
OPENS = re.compile(rf"/github/({SLUG})/blob/[^\s\"')]*?notebooks/(\w+)\.ipynb")  # Colab and Studio Lab
FORMS = ("github.com/{}/{}", "colab.research.google.com/github/{}/{}", "studiolab.sagemaker.aws/import/github/{}/{}")
END = r"(?![\w-])(?!\.(?!git\b)\w)"  # the name ends here: gpt2-news.git is ours, gpt2-news-app is not


def repository(root: Path = ROOT) -> str:
    """The owner/name that pyproject.toml holds."""
    if found := NAMED.search((root / "pyproject.toml").read_text(encoding="utf-8")):
        return found[1]
    raise SystemExit('links: pyproject.toml has no line Repository = "https://github.com/owner/name"')


def version(root: Path = ROOT) -> str:
    """The version that pyproject.toml holds; its tag is `v` + this."""
    if found := VERSION.search((root / "pyproject.toml").read_text(encoding="utf-8")):
        return found[1]
    raise SystemExit('links: pyproject.toml has no line version = "…"')


def carriers(root: Path = ROOT) -> list[Path]:
    """The files whose links follow from pyproject.toml."""
    named = [root / name for name in ("README.md", "CONTRIBUTING.md", "CITATION.cff")]
    return [p for p in (*named, *sorted(root.glob("notebooks/*.ipynb"))) if p.exists()]


def strays(root: Path = ROOT) -> set[str]:
    """Each owner/name but pyproject's under which a link opens one of our notebooks."""
    hits = {hit for path in carriers(root) for hit in OPENS.findall(path.read_text(encoding="utf-8"))}
    return {slug for slug, name in hits if (root / "notebooks" / f"{name}.ipynb").exists()} - {repository(root)}


def rewrite(root: Path, old: set[str], new: str) -> list[str]:
    """Put `new` where a link has one of `old`, and the version's tag where ours has one. Returns the names of the changed files."""
    changed, number = [], version(root)
    ours = re.escape(new)
    tags = (
        rf"((?:/github|https://github\.com)/{ours}/blob/)[^/\s\"')]+(?=/)",  # badges, and links to a file
        rf'(github\.com/{ours}\\?", \\?")v[\w.-]+',  # the set-up cell; JSON puts a backslash before a quote
    )
    for path in [root / "pyproject.toml", *carriers(root)]:
        text = before = path.read_bytes().decode("utf-8")
        for form, slug in [(f"https://{form}", slug) for form in (*FORMS, "{}.github.io/{}") for slug in old]:
            text = re.sub(re.escape(form.format(*slug.split("/"))) + END, form.format(*new.split("/")), text)
        for pattern in tags:
            text = re.sub(pattern, rf"\g<1>v{number}", text)
        text = re.sub(r"(?m)^(version: )[\w.]+", rf"\g<1>{number}", text)  # CITATION.cff
        if text != before:
            path.write_bytes(text.encode("utf-8"))
            changed.append(path.relative_to(root).as_posix())
    return changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m gpt2news.links", description=__doc__.partition("\n")[0])
    parser.add_argument("slug", nargs="?", metavar="owner/name", help="such as ada/gpt2-news; default: pyproject's")
    slug = parser.parse_args().slug
    if slug and not re.fullmatch(SLUG, slug):
        parser.error(f"{slug!r} is not owner/name, such as ada/gpt2-news")
    old = {repository()} if slug else strays()
    print("\n".join(rewrite(ROOT, old, slug or repository())) or "links: nothing to change")
