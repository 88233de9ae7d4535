"""A directory's listing as pid 1 wrote it: bounded before it is parsed. In a container a guest may be its pid 1, and lie."""

from __future__ import annotations

import json

from sandboxd.errors import Code, SandboxdError
from sandboxd.executors import paths
from sandboxd.executors.base import FileStat
from sandboxd.executors.outline import containers, outline
from sandboxd.launcher import protocol

MAX_BYTES = 32 << 20  # 10,000 names of 255 bytes, each byte escaped as JSON does at its worst
MAX_PARTS = 10_100
MAX_STRINGS = 8 * MAX_PARTS
MAX_OUTSIDE_BYTES = 2 << 20  # of numbers and punctuation: some 60 bytes an entry


def read(answer: tuple[protocol.FileDone, list[int]]) -> tuple[list[FileStat], bool]:
    """Read a listing from the memfd beside its answer; the flag tells whether more are there.

    Raises:
        SandboxdError: FILE_FAILED: it is no listing, or one of more parts than a listing has.
    """
    with open(answer[1][0], "rb") as file:  # noqa: PTH123  a memfd: no disk behind it
        file.seek(0)
        return parse(file.read(MAX_BYTES))


def parse(text: bytes) -> tuple[list[FileStat], bool]:
    """See `read`."""
    outside = outline(text, strings=MAX_STRINGS)
    if outside is None or len(outside) > MAX_OUTSIDE_BYTES or containers(outside) > MAX_PARTS:
        raise _no_listing()
    try:
        told = json.loads(text)
        return [paths.file_stat(entry) for entry in told["files"]], bool(told["truncated"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _no_listing() from None


def _no_listing() -> SandboxdError:
    return SandboxdError(
        Code.FILE_FAILED,
        "The sandbox gave no listing.",
        remedy="Open a new session: this one may be taken over.",
    )
