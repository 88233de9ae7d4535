"""The files that an agent is given, and what it may bring back."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ARTIFACTS = 50
MAX_ARTIFACT_BYTES = 16 * 1024 * 1024
MAX_ARTIFACTS_BYTES = 64 * 1024 * 1024
"""What a run brings back at most: a sandbox could leave more than its client's memory holds."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file for the sandbox: its name in /work and its content."""

    name: str
    data: bytes


FileSource: TypeAlias = str | Path | InputFile


def read_inputs(files: Iterable[FileSource]) -> list[InputFile]:
    """Read the files that are on disk and check that no two have one name.

    Raises:
        ValueError: a name is taken, or is no plain file name.
        OSError: a file cannot be read.
    """
    read: dict[str, InputFile] = {}
    for source in files:
        file = (
            source
            if isinstance(source, InputFile)
            else InputFile(Path(source).name, Path(source).read_bytes())
        )
        if not file.name or "/" in file.name or file.name in {".", ".."}:
            raise ValueError(f"{file.name!r} is no file name")
        if file.name in read:
            raise ValueError(f"two files are called {file.name!r}")
        read[file.name] = file
    return list(read.values())


def media_type(name: str) -> str:
    """Guess a media type from a file's name."""
    return mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"
