"""File operations below /work, done by pid 1 in the box's own mount and user namespace.

Every path is resolved by openat2 with BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV: a name that a hostile guest planted
can lead nowhere else. What comes back is a descriptor of a regular file, or a list in a memfd; sizes and kinds come from
fstat on that descriptor, never from a path twice. An upload has no name until it is whole: no guest can change it, and who
dies in the midst of one leaves nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Any, Dict, List, Optional, Tuple

from sandboxd.jail import below, changes, kernel, lockdown, mounts, wire

MAX_ENTRIES = 10_000
MAX_UPLOADS = 64  # under way; the front has one at a time
# By member and number. pid 1 is one thread, and a guest that it forks closes them.
_uploads: Dict[Tuple[int, int], int] = {}
Answer = Tuple[wire.Message, Optional[int]]


def answer(message: wire.Message, *, as_guest: bool, place: Optional[str] = mounts.WORK) -> Answer:
    """Carry out one file request below a member's work directory `place`; None is that of a member which is gone.

    Errors become the reply's "error" (an errno name) and never raise.
    """
    reply: wire.Message = {"op": "file", "request": message.get("request")}
    if place is None:
        reply["error"] = "ESTALE"
        return reply, None
    try:
        with _GuestIds(as_guest), _Root(place) as root:
            body, descriptor = OPERATIONS[str(message.get("do"))](root, str(message["path"]), message)
    except OSError as error:
        reply["error"] = errno.errorcode.get(error.errno or 0, "EIO")
        return reply, None
    except (KeyError, ValueError):
        reply["error"] = "EINVAL"
        return reply, None
    except MemoryError:  # the box's, which its guest has used up
        reply["error"] = "ENOMEM"
        return reply, None
    reply.update(body)
    return reply, descriptor


def drop_uploads(members: List[int]) -> None:
    """Let go of what members that end had under way: nobody commits it any more, and it holds space of the others'."""
    for key in [key for key in _uploads if key[0] in members]:
        os.close(_uploads.pop(key))


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
                self.fd = below.directory(base, os.path.relpath(self.place, mounts.CLONES))
            finally:
                os.close(base)
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _read(root: int, path: str, _: wire.Message) -> Answer:
    # NONBLOCK: opening a FIFO or a device that the guest put there must not hang pid 1.
    fd = kernel.openat2(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, below.RESOLVE)
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        os.close(fd)
        raise OSError(errno.EISDIR if stat.S_ISDIR(info.st_mode) else errno.ENXIO, "not a regular file")
    return {"stat": below.describe(path, info)}, fd


def _write(root: int, path: str, message: wire.Message) -> Answer:
    directory, _name = below.split(path)
    upload = int(message["box"]), int(message["upload"])
    if upload in _uploads or len(_uploads) >= MAX_UPLOADS:
        raise OSError(errno.EBUSY, "too many uploads")
    below.make_parents(root, directory)
    parent = below.directory(root, directory)
    try:
        fd = kernel.openat2(parent, ".", os.O_RDWR | os.O_TMPFILE, below.RESOLVE, 0o644)
    finally:
        os.close(parent)
    try:
        handed = os.dup(fd)
    except OSError:  # nobody would come back for it
        os.close(fd)
        raise
    _uploads[upload] = fd
    return {"stat": below.describe(path, os.fstat(fd))}, handed


def _commit(root: int, path: str, message: wire.Message) -> Answer:
    fd = _uploads.pop((int(message["box"]), int(message["upload"])))
    try:
        if not message["keep"]:
            return {}, None
        directory, name = below.split(path)
        parent = below.directory(root, directory)
        try:
            _put_in_place(fd, parent, name)
            info = _own_file(fd, parent, name)
            changes.note(info)
            return {"stat": below.describe(path, info)}, None
        finally:
            os.close(parent)
    finally:
        os.close(fd)


def _put_in_place(fd: int, parent: int, name: str) -> None:
    """Give an upload its name, in one step also where there is a file of that name.

    The temporary is there between two calls of this process, which serves one request at a time: no listing meets it.
    """
    source = "/proc/self/fd/%d" % fd  # open(2), O_TMPFILE: the way to link that needs no capability
    try:
        os.link(source, name, dst_dir_fd=parent, follow_symlinks=True)
    except FileExistsError:
        temporary = "%s-%s" % (below.TEMPORARY, os.urandom(8).hex())
        os.link(source, temporary, dst_dir_fd=parent, follow_symlinks=True)
        try:
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError:  # a directory in its place: nothing of the upload stays
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=parent)
            raise


def _own_file(fd: int, parent: int, name: str) -> os.stat_result:
    """Tell the facts of what was put in place; a guest that put something else there meanwhile is found out."""
    info, found = os.fstat(fd), os.stat(name, dir_fd=parent, follow_symlinks=False)
    if (found.st_dev, found.st_ino) != (info.st_dev, info.st_ino):
        raise OSError(errno.EBUSY, "replaced while it was written")
    return info


def _stat(root: int, path: str, _: wire.Message) -> Answer:
    if path == ".":
        return {"stat": below.describe(path, os.fstat(root))}, None
    directory, name = below.split(path)
    parent = below.directory(root, directory)
    try:
        return {"stat": below.describe(path, os.stat(name, dir_fd=parent, follow_symlinks=False))}, None
    finally:
        os.close(parent)


def _list(root: int, path: str, _: wire.Message) -> Answer:
    parent = kernel.openat2(root, path, os.O_RDONLY | os.O_DIRECTORY, below.RESOLVE)
    found: List[Dict[str, Any]] = []
    truncated = False
    try:
        with os.scandir(parent) as entries:
            for entry in entries:
                if len(found) == MAX_ENTRIES:
                    truncated = True
                    break
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    found.append(below.describe(below.shown(entry.name), entry.stat(follow_symlinks=False)))
    finally:
        os.close(parent)
    return {}, below.in_memory({"files": found, "truncated": truncated})


def _remove(root: int, path: str, _: wire.Message) -> Answer:
    directory, name = below.split(path)
    parent = below.directory(root, directory)
    try:
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        (os.rmdir if stat.S_ISDIR(info.st_mode) else os.unlink)(name, dir_fd=parent)
    finally:
        os.close(parent)
    return {}, None


def _rename(root: int, path: str, message: wire.Message) -> Answer:
    old_directory, old_name = below.split(path)
    new_path = str(message["to"])
    new_directory, new_name = below.split(new_path)
    old_parent = below.directory(root, old_directory)
    try:
        # First, or a failure would leave directories that were made for nothing.
        os.stat(old_name, dir_fd=old_parent, follow_symlinks=False)
        below.make_parents(root, new_directory)
        new_parent = below.directory(root, new_directory)
        try:
            # rename(2) follows no link, at neither end.
            os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)
            info = os.stat(new_name, dir_fd=new_parent, follow_symlinks=False)
            changes.note(info)
        finally:
            os.close(new_parent)
    finally:
        os.close(old_parent)
    return {"stat": below.describe(new_path, info)}, None


def _make_directory(root: int, path: str, _: wire.Message) -> Answer:
    if path != ".":
        below.make_parents(root, path)
    made = below.directory(root, path)
    try:
        return {"stat": below.describe(path, os.fstat(made))}, None
    finally:
        os.close(made)


OPERATIONS = {
    "read": _read,
    "write": _write,
    "commit": _commit,
    "stat": _stat,
    "list": _list,
    "remove": _remove,
    "rename": _rename,
    "mkdir": _make_directory,
    "changes": changes.scan,
}
