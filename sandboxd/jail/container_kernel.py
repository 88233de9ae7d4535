"""What a container's init asks of its kernel, which may be gVisor's."""

from __future__ import annotations

import fcntl
import os
import resource
import struct
import termios

from sandboxd.jail import files, kernel, mounts, named_uploads, walk

_AT_FDCWD = -100
_STILL = {b"T", b"t", b"Z", b"X", b""}


def fit_to_kernel() -> None:
    """Take something as strict for what gVisor's kernel lacks: openat2(2), close_range(2) without an end, O_TMPFILE."""
    try:
        os.close(kernel.openat2(_AT_FDCWD, ".", os.O_RDONLY | os.O_DIRECTORY, 0))
    except OSError:
        kernel.openat2 = walk.open_beneath
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # a hard limit: there is no descriptor from here on
    try:
        kernel.close_from(limit)
    except OSError:
        kernel.close_from = lambda first: os.closerange(first, limit)
    try:
        os.close(os.open(mounts.WORK, os.O_RDWR | os.O_TMPFILE, 0o600))
    except OSError:
        files.OPERATIONS.update({"write": named_uploads.write, "commit": named_uploads.commit})


def is_stopped(pid: int) -> bool:
    """Tell whether a process stands still."""
    return _state("/proc/%d/stat" % pid) == b"T"


def all_stopped() -> bool:
    """Tell whether every thread of every process but this one stands still, or is dead."""
    return all(
        _state("/proc/%s/task/%s/stat" % (pid, thread)) in _STILL
        for pid in os.listdir("/proc")
        if pid.isdigit() and int(pid) != os.getpid()
        for thread in _threads(pid)
    )


def _threads(pid: str) -> "list[str]":
    try:
        return os.listdir("/proc/%s/task" % pid)
    except OSError:
        return []


def _state(path: str) -> bytes:
    """Return a thread's state as its letter, b"" for one that is gone."""
    try:
        with open(path, "rb") as file:
            return file.read(4096).rpartition(b") ")[2][:1]
    except OSError:
        return b""


def in_pipe(fd: int) -> int:
    """Return the bytes that wait in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, struct.pack("i", 0)))[0])
