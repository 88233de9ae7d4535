"""What a box has in common with others: a fork keeps its zygote's address layout and hash seed, an exec makes new ones."""

from __future__ import annotations

import functools
from pathlib import Path

Row = tuple[str, bool, str]

_RANDOMIZE = Path("/proc/sys/kernel/randomize_va_space")
_PERSONALITY = Path("/proc/self/personality")
_ADDR_NO_RANDOMIZE = 0x0040000
_SHARED = "shared by all sandboxes of one interpreter, which is replaced after so many; isolate.fresh: true gives its own"


def sharing_rows(*, fresh: bool) -> list[Row]:
    """Return the protections that only a process started from exec has."""
    off = _not_randomized()
    layout = off or ("from an exec of its own, its stack canary too" if fresh else _SHARED)
    return [
        ("own_address_layout", fresh and not off, layout),
        ("own_hash_seed", fresh, "from an exec of its own" if fresh else _SHARED),
    ]


@functools.cache
def _not_randomized() -> str:
    """Return why exec gives no random address layout here, or ""."""
    try:
        if _RANDOMIZE.read_text().strip() != "2":
            return "kernel.randomize_va_space is not 2"
        if int(_PERSONALITY.read_text(), 16) & _ADDR_NO_RANDOMIZE:
            return "the daemon was started with address randomization off (setarch -R)"
    except (OSError, ValueError):
        return "the kernel does not tell whether it randomizes address layouts"
    return ""
