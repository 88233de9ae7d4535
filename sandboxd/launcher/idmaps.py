"""User and group maps of a box: which ids of the host its inhabitants really are.

As root, two unused ids for each box: root in the box is nobody on the host, and two boxes share no id. As an ordinary user
there is only that user's own id to give. Each map is one write(2): the kernel takes nothing else.
"""

from __future__ import annotations

import os
import zlib

from sandboxd.jail.lockdown import GUEST_UID

# Above every range that distributions hand out: /etc/subuid starts at 100000, systemd ends at 1879048191.
FIRST_ID = 2_000_000_000
SLOTS = 32_768
RANGES = 1024


def slot_base(instance: str, slot: int) -> int:
    """Return the first of the two host ids of a slot. Daemons on one host get ranges of their own."""
    return FIRST_ID + (zlib.crc32(instance.encode()) % RANGES) * SLOTS * 2 + slot * 2


def write_maps(pid: int, base: int | None) -> None:
    """Write the maps of a new user namespace.

    Args:
        pid: a process in the namespace.
        base: the first of two host ids (root), or None for the caller's own id (ordinary user).

    Raises:
        OSError: the kernel refused.
    """
    if base is None:
        _write(pid, "setgroups", "deny")
        _write(pid, "uid_map", f"{GUEST_UID} {os.geteuid()} 1")
        _write(pid, "gid_map", f"{GUEST_UID} {os.getegid()} 1")
        return
    lines = f"0 {base} 1\n{GUEST_UID} {base + 1} 1"
    _write(pid, "uid_map", lines)
    _write(pid, "gid_map", lines)


def _write(pid: int, name: str, text: str) -> None:
    # Not open().write(): buffered I/O would hide the error until close.
    fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
