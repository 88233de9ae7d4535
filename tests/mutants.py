"""Copies of the project with a line changed: one control removed, or a kill at a named step.

A seam for this in the product would be a way to switch a protection off. So the tests change a copy of the source instead,
and start the real daemon from it; an edit whose text is not found exactly once is an error, never a silent no-op.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sandboxd_client
import sandboxd_proto

import sandboxd

_PACKAGES = (sandboxd, sandboxd_client, sandboxd_proto)


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old`, which must stand exactly once in `path` (below `sandboxd/`), by `new`."""

    path: str
    old: str
    new: str


# A box that lacks what its policy requires is refused: a mutant that is to run without a control needs this too.
REQUIRE_NOTHING = Edit("launcher/protections.py", "wanted = [*require,", "wanted = [")


def make_mutant(directory: Path, edits: Iterable[Edit]) -> Path:
    """Copy the packages into `directory`, apply the edits, and return it: the `tree` of `start_daemon_process`.

    Raises:
        ValueError: the text to replace is not there, or more than once.
    """
    for package in _PACKAGES:
        source = Path(package.__file__ or "").parent
        shutil.copytree(source, directory / package.__name__)  # with its byte code: half of a start's time
    for edit in edits:
        file = directory / "sandboxd" / edit.path
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.path}: {edit.old!r} stands {text.count(edit.old)} times, not once")
        file.write_text(text.replace(edit.old, edit.new))
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()  # times are compared in whole seconds, so it could pass for that of the edited file
    return directory
