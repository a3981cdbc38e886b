"""A model folder: `serving.json`, and the files that it lists, held against it before use."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from newsserve.kind import Kind

MANIFEST = "serving.json"
AGAIN = "make the folder again with chapter 05"


class ModelFolderError(ValueError):
    """A folder that cannot be served; the message names the file and the way out."""


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")
    return names


Topic = Annotated[str, Field(pattern=r"\S")]
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # no way out of the folder
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel, strict=True, allow_inf_nan=False):
    """What `serving.json` says.

    A field that this version does not know is not read. So a later version may add one as long as
    the answers stay what they are; else it raises `format`, and this version refuses the folder.
    """

    format: Literal[1] = 1
    topics: Annotated[list[Topic], Field(min_length=2), AfterValidator(_each_once)]
    max_length: int = Field(ge=1, le=8192)  # tokens read of a text
    pad_token_id: int = Field(ge=0)
    temperature: float = Field(ge=0.01, le=100)  # logits are divided by it before the softmax
    threshold: float = Field(ge=0, le=1.01)  # under it is "not sure"; over 1 where nothing is sure
    model: FileName  # the ONNX file that is served
    sha256: dict[FileName, Sha256]  # of each file that may be opened
    kind: Kind | None = None  # what texts are answered; older folders have none


def _content(path: Path) -> bytes:
    """The content of a file that lies in the folder itself."""
    if path.is_symlink() or not path.is_file():
        raise ModelFolderError(f"{path} is not there, or is no plain file; copy the folder again")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFolderError(f"{path}: {error.strerror}") from error


def read_manifest(folder: Path) -> Manifest:
    """The folder's `serving.json`; a ModelFolderError where it is not one."""
    path = folder / MANIFEST
    if not path.exists():
        made = "a folder that chapter 05 made (reports/<profile>/onnx)"
        raise ModelFolderError(f"{folder}: no {MANIFEST}; give {made}")
    try:
        return Manifest.model_validate_json(_content(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ModelFolderError(f"{path}: {where}: {first['msg']}; {AGAIN}") from error


def read_listed(folder: Path, name: str, manifest: Manifest) -> bytes:
    """The content of a file of the folder, when it is the one whose hash the manifest lists."""
    path = folder / name
    if name not in manifest.sha256:
        raise ModelFolderError(f"{path} is not listed in {MANIFEST}")
    content = _content(path)
    if hashlib.sha256(content).hexdigest() != manifest.sha256[name]:
        changed = f"not the file that {MANIFEST} lists (sha256 differs)"
        raise ModelFolderError(f"{path}: {changed}; copy the folder again")
    return content
