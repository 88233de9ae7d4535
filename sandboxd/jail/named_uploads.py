"""Uploads where the file system has no files without a name: gVisor's. For an init that fits its file operations to that.

The temporary has a name of this process's choice, and no link is ever followed to it; a guest that puts something else in
its place is found out before it gets the name it was meant for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Any, Dict, Optional, Tuple

from sandboxd.jail import below, changes, kernel, wire

Answer = Tuple[wire.Message, Optional[int]]
_named: Dict[Any, Tuple[int, str]] = {}
MAX_UPLOADS = 64


def write(root: int, path: str, message: wire.Message) -> Answer:
    """Begin an upload."""
    directory, _ = below.split(path)
    upload = int(message["upload"])
    if upload in _named or len(_named) >= MAX_UPLOADS:
        raise OSError(errno.EBUSY, "too many uploads")
    below.make_parents(root, directory)
    parent = below.directory(root, directory)
    name = "%s-%s" % (below.TEMPORARY, os.urandom(8).hex())
    try:
        fd = kernel.openat2(parent, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, below.RESOLVE, 0o644)
    finally:
        os.close(parent)
    _named[upload] = fd, name
    return {"stat": below.describe(path, os.fstat(fd))}, os.dup(fd)


def commit(root: int, path: str, message: wire.Message) -> Answer:
    """End an upload: put it in place, or remove it."""
    fd, temporary = _named.pop(int(message["upload"]))
    directory, name = below.split(path)
    try:
        parent = below.directory(root, directory)
        try:
            if not message["keep"]:
                os.unlink(temporary, dir_fd=parent)
                return {}, None
            info = _put_in_place(fd, parent, temporary, name)
        finally:
            os.close(parent)
    finally:
        os.close(fd)
    changes.note(info)
    return {"stat": below.describe(path, info)}, None


def _put_in_place(fd: int, parent: int, temporary: str, name: str) -> os.stat_result:
    info, found = os.fstat(fd), os.stat(temporary, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) != (info.st_dev, info.st_ino):
        raise OSError(errno.EBUSY, "replaced while it was written")
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:  # a directory in its place, a name too long: nothing of the upload stays
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise
    return os.fstat(fd)  # as it is now: a rename changes its time there
