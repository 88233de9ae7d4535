"""Try what a jail needs, in a throw-away process. Executed with `-I -S`, never imported; prints JSON.

Looking at sysctls is not enough: a container's seccomp filter, AppArmor and a masked /proc all say no without
leaving a trace in them. So the steps of the jail are made for real, in order, and each tells its errno (0: it
worked; absent: an earlier step failed).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 1 << 14, 1 << 18
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SYS_LANDLOCK_CREATE_RULESET, LANDLOCK_CREATE_RULESET_VERSION = 444, 1

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def outcome(result: int) -> int:
    """Turn a libc result into an errno."""
    return ctypes.get_errno() if result < 0 else 0


def landlock_abi() -> int:
    """Ask for the Landlock ABI; 0 where there is none."""
    number = ctypes.c_long(SYS_LANDLOCK_CREATE_RULESET)
    answer = libc.syscall(number, None, ctypes.c_size_t(0), ctypes.c_uint(LANDLOCK_CREATE_RULESET_VERSION))
    return max(0, int(answer))


def seccomp_filter() -> int:
    """Offer the kernel no filter at all: EFAULT means that it would have read one."""
    return outcome(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, None, 0, 0))


def write(path: str, text: str) -> int:
    """Write a file in one call: the kernel takes an id map in no other way."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno or -1
    return 0


def try_mount(source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None) -> int:
    """Return the errno of one mount."""
    return outcome(libc.mount(source, target, kind, ctypes.c_ulong(flags), data))


def mount_fresh_proc() -> int:
    """Mount a fresh /proc from inside a new pid namespace, as pid 1 of it."""
    child = os.fork()
    if child == 0:
        os._exit(try_mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, b"subset=pid"))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def steps(uid: int, gid: int) -> Iterator[tuple[str, int]]:
    """Make the steps of a jail up to the first that fails."""
    yield "unshare", outcome(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID))
    write("/proc/self/setgroups", "deny")
    yield "uid_map", write("/proc/self/uid_map", f"0 {uid} 1")
    yield "gid_map", write("/proc/self/gid_map", f"0 {gid} 1")
    yield "private", try_mount(b"none", b"/", None, MS_REC | MS_PRIVATE)
    yield "tmpfs", try_mount(b"tmpfs", b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV)
    yield "fresh_proc", mount_fresh_proc()


def main() -> None:
    """Report everything that could be tried."""
    report = {"landlock_abi": landlock_abi(), "seccomp_filter": seccomp_filter()}
    for name, errno in steps(os.geteuid(), os.getegid()):
        report[name] = errno
        if errno:
            break
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
