"""What a process holds of its work directory beside the files in it: where it stands there, and what it has open.

A copy of the directory has files of its own. A clone whose descriptors stayed with the original's files would write
to them; one that was rolled back would write to files that no longer have a name, and lose it without a word.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import List, NamedTuple, Optional

from sandboxd.jail import lockdown

_DESCRIPTORS = "/proc/self/fd"


class Open(NamedTuple):
    """A file or directory that is open, by its path below the work directory."""

    fd: int
    path: str
    flags: int
    inheritable: bool
    offset: int


class Held(NamedTuple):
    """What is held.

    Attributes:
        place: the current directory, below the work directory; None where it is elsewhere, or was removed.
        files: what is open and still has the name that it was opened by.
    """

    place: Optional[str]
    files: List[Open]


def look(root: str) -> Held:
    """Return what this process holds of a work directory."""
    try:
        place = _below(root, os.getcwd())
    except OSError:
        place = None
    try:
        numbers = [int(name) for name in os.listdir(_DESCRIPTORS)]
    except OSError:
        numbers = []
    found = [_look_at(fd, root) for fd in sorted(numbers) if fd > lockdown.NURSERY_FD]
    return Held(place, [one for one in found if one is not None])


def take_up(held: Held, root: str) -> None:
    """Stand in another copy of the work directory, and hold the same files of it, at the same places.

    What cannot be opened again stays as it was.
    """
    if held.place:  # the work directory itself is a place that stays
        with contextlib.suppress(OSError):
            os.chdir(root)
            os.chdir(held.place)
    for one in held.files:
        with contextlib.suppress(OSError):
            _open_again(one, os.path.join(root, one.path))


def _below(root: str, path: str) -> Optional[str]:
    if path == root:
        return ""
    return path[len(root) + 1 :] if path.startswith(root + "/") else None


def _look_at(fd: int, root: str) -> Optional[Open]:
    try:
        info, path = os.fstat(fd), os.readlink(f"{_DESCRIPTORS}/{fd}")
        below = _below(root, path)
        if below is None or not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            return None
        if not os.path.samestat(info, os.stat(path, follow_symlinks=False)):
            return None  # removed, and perhaps another one has its name
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        offset = os.lseek(fd, 0, os.SEEK_CUR) if stat.S_ISREG(info.st_mode) else 0
        return Open(fd, below, flags, os.get_inheritable(fd), offset)
    except OSError:
        return None


def _open_again(one: Open, path: str) -> None:
    flags = one.flags | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fresh = os.open(path, flags)
    except PermissionError:  # opened before its mode forbade it
        mode = stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)
        os.chmod(path, mode | 0o600)
        try:
            fresh = os.open(path, flags)
        finally:
            os.chmod(path, mode)
    try:
        if one.offset:
            os.lseek(fresh, one.offset, os.SEEK_SET)
        os.dup2(fresh, one.fd, inheritable=one.inheritable)
    finally:
        os.close(fresh)
