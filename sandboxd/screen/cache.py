"""Verdicts that were given lately, bounded in number and in bytes: a restricted program is as long as its author likes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from sandboxd.events import Verdict

_ENTRIES = 1024  # without its program a verdict is 50 KiB at the very most
_PROGRAM_BYTES = 64 * 1024 * 1024

Key: TypeAlias = "tuple[str, str, str, bool, str]"
"""All that a verdict depends on: hash of the source, digest of the policy, Python version, thorough or not, digest of the
tools."""


class VerdictCache:
    """Keeps what was used last."""

    def __init__(self, *, entries: int = _ENTRIES, program_bytes: int = _PROGRAM_BYTES) -> None:
        self._entries = entries
        self._program_bytes = program_bytes
        self._kept: OrderedDict[Key, Verdict] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Verdict | None:
        """Return a verdict that still holds."""
        verdict = self._kept.get(key)
        if verdict is not None:
            self._kept.move_to_end(key)
        return verdict

    def put(self, key: Key, verdict: Verdict) -> None:
        """Keep a verdict; the ones that nobody asked for longest make room."""
        replaced = self._kept.pop(key, None)
        if replaced is not None:
            self._bytes -= len(replaced.program)
        self._kept[key] = verdict
        self._bytes += len(verdict.program)
        while len(self._kept) > self._entries or self._bytes > self._program_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.program)
