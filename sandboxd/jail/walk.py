"""Open a path below a directory without following links, where the kernel has no openat2(2): gVisor's has none.

One component at a time, each opened below the descriptor of the last with O_NOFOLLOW: what a hostile guest renames or links
meanwhile can lead nowhere else, since no name is ever resolved twice and ".." is refused. A mount below is refused as well.
"""

from __future__ import annotations

import errno
import os
from typing import List

_PARENTS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_beneath(dirfd: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """Open `path` below `dirfd` as `kernel.openat2` with BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV does.

    Args:
        dirfd: the directory.
        path: relative to it.
        flags: as for open(2).
        resolve: taken for granted: every rule holds here.
        mode: of a file that is made.

    Raises:
        OSError: ELOOP for a link, EXDEV for a way out, else what open(2) says.
    """
    del resolve
    parts = _parts(path)
    device = os.fstat(dirfd).st_dev
    here = os.dup(dirfd)
    try:
        for part in parts[:-1]:
            below = os.open(part, _PARENTS, dir_fd=here)
            os.close(here)
            here = below
            _same_device(here, device)
        found = os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=here)
    finally:
        os.close(here)
    try:
        _same_device(found, device)
    except OSError:
        os.close(found)
        raise
    return found


def _parts(path: str) -> List[str]:
    if path.startswith("/"):
        raise OSError(errno.EXDEV, "an absolute path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OSError(errno.EXDEV, "a way out")
    return parts or ["."]


def _same_device(fd: int, device: int) -> None:
    if os.fstat(fd).st_dev != device:
        raise OSError(errno.EXDEV, "a mount")
