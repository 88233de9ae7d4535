"""Landlock. For the guest: reads and executes below the root, writes below the scratch directories. For a screener: nothing.

A second wall behind the mounts: it survives a mistake in their set-up, denies TCP (ABI 4), device ioctls (5), abstract
unix sockets and signals to the outside (6), and forbids mount and pivot_root whatever the capabilities.
Rights and ABIs: linux/Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import os
import struct

from sandboxd.jail import kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST_ABI = (1 << 13) - 1
_READ = READ_FILE | READ_DIR
_LATER_RIGHTS = ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV))  # (ABI, right)
_LATER_WORDS = ((4, 0b11), (6, 0b11))  # (ABI, word): TCP bind and connect; abstract sockets and signals


def handled(abi: int) -> int:
    """Return every file right that this ABI knows: what is handled and not granted is denied."""
    rights = _FIRST_ABI
    for since, right in _LATER_RIGHTS:
        rights |= right if abi >= since else 0
    return rights


def attributes(abi: int) -> bytes:
    """Return struct landlock_ruleset_attr in the size this ABI expects."""
    words = [handled(abi)] + [word for since, word in _LATER_WORDS if abi >= since]
    return struct.pack("<%dQ" % len(words), *words)


def restrict(writable: "tuple[str, ...]", devices: "tuple[str, ...]") -> int:
    """Enforce the ruleset on this (single-threaded) process; return the ABI used, 0 where there is none."""
    abi = kernel.landlock_abi()
    if not abi:
        return 0
    # Special files cannot be made anywhere, and nothing in a scratch directory can be executed.
    in_scratch = handled(abi) & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV | EXECUTE)
    ruleset = kernel.landlock_create(attributes(abi))
    try:
        _allow(ruleset, "/", _READ | EXECUTE)
        for path in writable:
            _allow(ruleset, path, in_scratch)
        for path in devices:
            _allow(ruleset, path, READ_FILE | WRITE_FILE)
        kernel.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
    return abi


def confine(
    home: str, shared: "tuple[str, ...]", devices: "tuple[str, ...]", roots: "tuple[str, ...]"
) -> int:
    """Add the layer of a live clone; return the ABI used, 0 where there is none.

    One mount namespace shows two processes the same `/work`. This makes an absolute path to another member's directory fail
    instead of meeting its files in silence. From ABI 6 on it also keeps signals within the clone.

    Args:
        home: the clone's own directory, with those of its own clones below it.
        shared: directories that all members write to.
        devices: device files.
        roots: what else of the root directory stays readable: rights below "/" cannot be taken back for a part of it.

    Raises:
        OSError: E2BIG: as many layers are there as the kernel takes (16).
    """
    abi = kernel.landlock_abi()
    if not abi:
        return 0
    in_scratch = handled(abi) & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV | EXECUTE)
    ruleset = kernel.landlock_create(attributes(abi))
    try:
        for path in roots:
            _allow(ruleset, path, _READ | EXECUTE)
        for path in (home, *shared):
            _allow(ruleset, path, in_scratch)
        for path in devices:
            _allow(ruleset, path, READ_FILE | WRITE_FILE)
        kernel.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
    return abi


def forbid() -> int:
    """Enforce a ruleset that grants nothing at all; return the ABI used, 0 where there is none."""
    abi = kernel.landlock_abi()
    if abi:
        ruleset = kernel.landlock_create(attributes(abi))
        try:
            kernel.landlock_restrict(ruleset)
        finally:
            os.close(ruleset)
    return abi


def _allow(ruleset: int, path: str, access: int) -> None:
    fd = os.open(path, kernel.O_PATH | os.O_CLOEXEC)
    try:
        kernel.landlock_add_path(ruleset, access, fd)
    finally:
        os.close(fd)
