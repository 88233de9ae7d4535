"""What a container's init asks of its kernel, which may be gVisor's."""

from __future__ import annotations

import fcntl
import os
import resource
import struct
import termios

from sandboxd.jail import files, kernel, mounts, named_uploads, walk

_AT_FDCWD = -100


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
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read(4096).rpartition(b") ")[2][:1] == b"T"
    except OSError:
        return False


def in_pipe(fd: int) -> int:
    """Return the bytes that wait in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, struct.pack("i", 0)))[0])
