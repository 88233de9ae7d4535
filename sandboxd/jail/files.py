"""File operations below /work, done by pid 1 in the box's own mount and user namespace.

Every path is resolved by openat2 with BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV: a name that a hostile guest planted
can lead nowhere else. What comes back is a descriptor of a regular file, or a list in a memfd; sizes and kinds come from
fstat on that descriptor, never from a path twice.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from typing import Any, Dict, List, Optional, Tuple

from sandboxd.jail import kernel, lockdown, mounts, wire

RESOLVE = (
    kernel.RESOLVE_BENEATH
    | kernel.RESOLVE_NO_SYMLINKS
    | kernel.RESOLVE_NO_MAGICLINKS
    | kernel.RESOLVE_NO_XDEV
)
MAX_ENTRIES = 10_000
TEMPORARY = ".sandboxd-upload"
Answer = Tuple[wire.Message, Optional[int]]


def answer(message: wire.Message, *, as_guest: bool, place: str = mounts.WORK) -> Answer:
    """Carry out one file request below a member's work directory `place`.

    Errors become the reply's "error" (an errno name) and never raise.
    """
    reply: wire.Message = {"op": "file", "request": message.get("request")}
    try:
        with _GuestIds(as_guest), _Root(place) as root:
            body, descriptor = _OPERATIONS[str(message.get("do"))](root, str(message["path"]), message)
    except OSError as error:
        reply["error"] = errno.errorcode.get(error.errno or 0, "EIO")
        return reply, None
    except (KeyError, ValueError):
        reply["error"] = "EINVAL"
        return reply, None
    reply.update(body)
    return reply, descriptor


class _GuestIds:
    """Act with the guest's ids, so that files belong to it and its modes are obeyed."""

    def __init__(self, active: bool) -> None:
        self.active = active

    def __enter__(self) -> None:
        if self.active:
            os.setegid(lockdown.GUEST_UID)
            os.seteuid(lockdown.GUEST_UID)

    def __exit__(self, *_: object) -> None:
        if self.active:
            os.seteuid(0)
            os.setegid(0)


class _Root:
    """The directory below which a request stays; that of a clone lies where its program can rename, and set links."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> int:
        clone = self.place != mounts.WORK
        self.fd = os.open(
            mounts.CLONES if clone else mounts.WORK, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        )
        if clone:
            base = self.fd
            try:
                self.fd = _directory(base, os.path.relpath(self.place, mounts.CLONES))
            finally:
                os.close(base)
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _split(path: str) -> Tuple[str, str]:
    """Return (directory, name) of a clean relative path; "." is the root itself."""
    directory, name = os.path.split(path)
    if name in ("", ".", ".."):
        raise ValueError(path)
    return directory or ".", name


def _directory(root: int, path: str) -> int:
    return kernel.openat2(root, path, os.O_RDONLY | os.O_DIRECTORY, RESOLVE)


def _describe(path: str, info: os.stat_result) -> Dict[str, Any]:
    kind = "file" if stat.S_ISREG(info.st_mode) else "directory" if stat.S_ISDIR(info.st_mode) else "other"
    return {"path": path, "size": info.st_size, "kind": kind, "mtime": info.st_mtime}


def _read(root: int, path: str, _: wire.Message) -> Answer:
    # NONBLOCK: opening a FIFO or a device that the guest put there must not hang pid 1.
    fd = kernel.openat2(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, RESOLVE)
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        os.close(fd)
        raise OSError(errno.EISDIR if stat.S_ISDIR(info.st_mode) else errno.ENXIO, "not a regular file")
    return {"stat": _describe(path, info)}, fd


def _write(root: int, path: str, message: wire.Message) -> Answer:
    directory, _name = _split(path)
    _make_parents(root, directory)
    parent = _directory(root, directory)
    try:
        name = "%s-%d" % (TEMPORARY, int(message["upload"]))
        fd = kernel.openat2(parent, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, RESOLVE, 0o644)
    finally:
        os.close(parent)
    return {"stat": _describe(path, os.fstat(fd))}, fd


def _make_parents(root: int, directory: str) -> None:
    done = "."
    for part in [p for p in directory.split("/") if p not in ("", ".")]:
        if part == "..":
            raise ValueError(directory)
        parent = _directory(root, done)
        try:
            os.mkdir(part, 0o755, dir_fd=parent)
        except FileExistsError:
            pass
        finally:
            os.close(parent)
        done += "/" + part


def _commit(root: int, path: str, message: wire.Message) -> Answer:
    directory, name = _split(path)
    parent = _directory(root, directory)
    temporary = "%s-%d" % (TEMPORARY, int(message["upload"]))
    try:
        if not message["keep"]:
            os.unlink(temporary, dir_fd=parent)
            return {}, None
        info = os.stat(temporary, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.ESTALE, "replaced while it was written")
        _put_in_place(parent, temporary, name)
    finally:
        os.close(parent)
    return {"stat": _describe(path, info)}, None


def _put_in_place(parent: int, temporary: str, name: str) -> None:
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:  # a name too long, a directory in its place: nothing of the upload stays
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise


def _stat(root: int, path: str, _: wire.Message) -> Answer:
    if path == ".":
        return {"stat": _describe(path, os.fstat(root))}, None
    directory, name = _split(path)
    parent = _directory(root, directory)
    try:
        return {"stat": _describe(path, os.stat(name, dir_fd=parent, follow_symlinks=False))}, None
    finally:
        os.close(parent)


def _list(root: int, path: str, _: wire.Message) -> Answer:
    parent = _directory(root, path)
    found: List[Dict[str, Any]] = []
    try:
        with os.scandir(parent) as entries:
            for entry in entries:
                if entry.name.startswith(TEMPORARY):
                    continue
                if len(found) == MAX_ENTRIES:
                    break
                name = entry.name.encode("utf-8", "replace").decode("utf-8")
                found.append(_describe(name, entry.stat(follow_symlinks=False)))
            truncated = len(found) == MAX_ENTRIES
    finally:
        os.close(parent)
    memory = os.memfd_create("list", os.MFD_CLOEXEC)
    with open(memory, "wb", closefd=False) as file:
        file.write(json.dumps({"files": found, "truncated": truncated}).encode())
    return {}, memory


def _remove(root: int, path: str, _: wire.Message) -> Answer:
    directory, name = _split(path)
    parent = _directory(root, directory)
    try:
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        (os.rmdir if stat.S_ISDIR(info.st_mode) else os.unlink)(name, dir_fd=parent)
    finally:
        os.close(parent)
    return {}, None


_OPERATIONS = {
    "read": _read,
    "write": _write,
    "commit": _commit,
    "stat": _stat,
    "list": _list,
    "remove": _remove,
}
