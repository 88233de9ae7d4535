"""The descriptors of a guest: what the front holds of it, what it holds itself, and the one that stands for it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

Three = tuple[int, int, int]
_FLAGS, _ENDING = 6, 0x4 | 0x400  # the seventh field after the name


def guest_ends() -> tuple[Three, Three]:
    """Return (control, stdout, stderr) for the front and for the guest."""
    control = socket.socketpair()
    stdout, stderr = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    return (control[0].detach(), stdout[0], stderr[0]), (control[1].detach(), stdout[1], stderr[1])


def in_order(theirs: Three) -> Three:
    """Return the guest's descriptors as `lockdown.arrange_descriptors` takes them: stdout, stderr, control."""
    return theirs[1], theirs[2], theirs[0]


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors; what is below 0 was none."""
    for fd in fds:
        if fd >= 0:
            os.close(fd)


def pid_of(pidfd: int) -> int:
    """Return the pid behind a pidfd in this process's namespace, 0 for a process that is gone."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return 0


def is_killed(pidfd: int) -> bool:
    """Tell whether a process is about to die: SIGKILL is pending for it, or it is in the midst of its end.

    proc(5): SigPnd of status, and the flags of stat: PF_EXITING and PF_SIGNALED of linux/include/linux/sched.h.
    """
    try:
        process = Path(f"/proc/{pid_of(pidfd)}")
        lines = (process / "status").read_text().splitlines()
        flags = int((process / "stat").read_text().rpartition(")")[2].split()[_FLAGS])
    except OSError:
        return True  # it is gone by now
    pending = next((line.split()[1] for line in lines if line.startswith("SigPnd:")), "0")
    return bool(flags & _ENDING) or bool(int(pending, 16) & 1 << (signal.SIGKILL - 1))
