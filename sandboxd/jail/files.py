"""File operations below /work, done by pid 1 in the box's own mount and user namespace.

Every path is resolved by openat2 with BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV: a name that a hostile guest planted
can lead nowhere else. What comes back is a descriptor of a regular file, or a list in a memfd; sizes and kinds come from
fstat on that descriptor, never from a path twice. An upload has no name until it is whole: no guest can change it, and who
dies in the midst of one leaves nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from typing import Any, Dict, List, Optional, Tuple

from sandboxd.jail import kernel, lockdown, wire

RESOLVE = (
    kernel.RESOLVE_BENEATH
    | kernel.RESOLVE_NO_SYMLINKS
    | kernel.RESOLVE_NO_MAGICLINKS
    | kernel.RESOLVE_NO_XDEV
)
MAX_ENTRIES = 10_000
MAX_UPLOADS = 64  # under way; the front has one at a time
TEMPORARY = ".sandboxd-upload"
_uploads: Dict[
    int, int
] = {}  # number to descriptor; pid 1 is one thread, and a guest that it forks closes them
Answer = Tuple[wire.Message, Optional[int]]


def answer(message: wire.Message, *, as_guest: bool) -> Answer:
    """Carry out one file request; errors become the reply's "error" (an errno name) and never raise."""
    reply: wire.Message = {"op": "file", "request": message.get("request")}
    try:
        with _GuestIds(as_guest), _Root() as root:
            body, descriptor = _OPERATIONS[str(message.get("do"))](root, str(message["path"]), message)
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
    def __enter__(self) -> int:
        self.fd = os.open("/work", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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
    """Open a directory to work in; O_PATH, for a mode that forbids listing need not forbid that."""
    return kernel.openat2(root, path, kernel.O_PATH | os.O_DIRECTORY, RESOLVE)


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
    upload = int(message["upload"])
    if upload in _uploads or len(_uploads) >= MAX_UPLOADS:
        raise OSError(errno.EBUSY, "too many uploads")
    _make_parents(root, directory)
    parent = _directory(root, directory)
    try:
        fd = kernel.openat2(parent, ".", os.O_RDWR | os.O_TMPFILE, RESOLVE, 0o644)
    finally:
        os.close(parent)
    _uploads[upload] = fd
    return {"stat": _describe(path, os.fstat(fd))}, os.dup(fd)


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
    fd = _uploads.pop(int(message["upload"]))
    try:
        if not message["keep"]:
            return {}, None
        directory, name = _split(path)
        parent = _directory(root, directory)
        try:
            _put_in_place(fd, parent, name)
            return {"stat": _describe(path, _own_file(fd, parent, name))}, None
        finally:
            os.close(parent)
    finally:
        os.close(fd)


def _put_in_place(fd: int, parent: int, name: str) -> None:
    """Give an upload its name, in one step also where there is a file of that name."""
    source = "/proc/self/fd/%d" % fd  # open(2), O_TMPFILE: the way to link that needs no capability
    try:
        os.link(source, name, dst_dir_fd=parent)
    except FileExistsError:
        temporary = "%s-%s" % (TEMPORARY, os.urandom(8).hex())
        os.link(source, temporary, dst_dir_fd=parent)
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
        return {"stat": _describe(path, os.fstat(root))}, None
    directory, name = _split(path)
    parent = _directory(root, directory)
    try:
        return {"stat": _describe(path, os.stat(name, dir_fd=parent, follow_symlinks=False))}, None
    finally:
        os.close(parent)


def _list(root: int, path: str, _: wire.Message) -> Answer:
    parent = kernel.openat2(root, path, os.O_RDONLY | os.O_DIRECTORY, RESOLVE)
    found: List[Dict[str, Any]] = []
    truncated = False
    try:
        with os.scandir(parent) as entries:
            for entry in entries:
                if entry.name.startswith(TEMPORARY):
                    continue
                if len(found) == MAX_ENTRIES:
                    truncated = True
                    break
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    found.append(_describe(shown(entry.name), entry.stat(follow_symlinks=False)))
    finally:
        os.close(parent)
    return {}, in_memory({"files": found, "truncated": truncated})


def shown(name: str) -> str:
    """Make a name that is no UTF-8 one that can be told, each odd byte escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_memory(body: Dict[str, Any]) -> int:
    """Put what does not fit a message into a memfd."""
    memory = os.memfd_create("list", os.MFD_CLOEXEC)
    with open(memory, "wb", closefd=False) as file:
        file.write(json.dumps(body).encode())
    return memory


def _remove(root: int, path: str, _: wire.Message) -> Answer:
    directory, name = _split(path)
    parent = _directory(root, directory)
    try:
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        (os.rmdir if stat.S_ISDIR(info.st_mode) else os.unlink)(name, dir_fd=parent)
    finally:
        os.close(parent)
    return {}, None


def _rename(root: int, path: str, message: wire.Message) -> Answer:
    old_directory, old_name = _split(path)
    new_path = str(message["to"])
    new_directory, new_name = _split(new_path)
    old_parent = _directory(root, old_directory)
    try:
        # First, or a failure would leave directories that were made for nothing.
        os.stat(old_name, dir_fd=old_parent, follow_symlinks=False)
        _make_parents(root, new_directory)
        new_parent = _directory(root, new_directory)
        try:
            # rename(2) follows no link, at neither end.
            os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)
            info = os.stat(new_name, dir_fd=new_parent, follow_symlinks=False)
        finally:
            os.close(new_parent)
    finally:
        os.close(old_parent)
    return {"stat": _describe(new_path, info)}, None


def _make_directory(root: int, path: str, _: wire.Message) -> Answer:
    if path != ".":
        _make_parents(root, path)
    made = _directory(root, path)
    try:
        return {"stat": _describe(path, os.fstat(made))}, None
    finally:
        os.close(made)


_OPERATIONS = {
    "read": _read,
    "write": _write,
    "commit": _commit,
    "stat": _stat,
    "list": _list,
    "remove": _remove,
    "rename": _rename,
    "mkdir": _make_directory,
}
