"""Between executions nothing of a box runs: background threads and left children would run unmetered.

With cgroup v2 the guest's group is frozen, which a program cannot notice but by the clock. Without, the guest is stopped by
its pidfd, everything else by pid 1, which signals its whole namespace at once. That is weaker: a stopped process's parent is
told, so a program can see it, and SIGCONT wakes it. In both cases a kill ends it at once.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sandboxd.launcher.cgroups import GuestGroup

PIDS_OF_OURS = 2  # pid 1 and a guest of one thread


class Rest(Protocol):
    """Puts one box to rest and wakes it."""

    def rest(self, guest_fd: int, guest_pid: int) -> None:
        """Stop the box until `wake`."""

    def wake(self, guest_fd: int) -> None:
        """Let the box go on."""

    def forget(self) -> None:
        """The guest is dead and the next one is about to start: it must not be born at rest."""


class Freezer:
    """Freezes the guest's cgroup; pid 1 stays outside and goes on serving files.

    Signals wait until the box is thawed, a kill does not. It is never asked whether all is frozen: once written, no process
    returns to its program, whatever the kernel still has to do for it.
    """

    def __init__(self, group: GuestGroup) -> None:
        self._group = group
        self._frozen = False

    def rest(self, guest_fd: int, guest_pid: int) -> None:  # noqa: ARG002  who is in the group needs no asking
        """Freeze the box until `wake`."""
        self._frozen = True
        self._group.freeze()

    def wake(self, guest_fd: int) -> None:  # noqa: ARG002
        """Let the box go on."""
        self.forget()

    def forget(self) -> None:
        """Thaw: a guest that enters a frozen group would never say that it is ready."""
        if self._frozen:
            self._frozen = False
            self._group.thaw()


class Stopper:
    """Stops and wakes one box by signals.

    Args:
        supervisor: pid 1, in the launcher's pid namespace.
        count: returns the number of tasks in the box; None where no cgroup counts them.
        tell: sends an operation to pid 1.
    """

    def __init__(self, supervisor: int, count: Callable[[], int | None], tell: Callable[[str], None]) -> None:
        self._supervisor = supervisor
        self._count = count
        self._tell = tell
        self._stopped = False
        self._all_stopped = False

    def rest(self, guest_fd: int, guest_pid: int) -> None:
        """Stop the box until `wake`."""
        self._stopped = True
        _signal(guest_fd, signal.SIGSTOP)
        if self._has_others(guest_pid):
            self._all_stopped = True
            self._tell("rest")

    def wake(self, guest_fd: int) -> None:
        """Let the box go on."""
        if self._all_stopped:
            self._all_stopped = False
            self._tell("wake")
        if self._stopped:
            self._stopped = False
            _signal(guest_fd, signal.SIGCONT)

    def forget(self) -> None:
        """The next guest starts: it runs, and nothing else is left."""
        self._stopped = self._all_stopped = False

    def _has_others(self, guest_pid: int) -> bool:
        tasks = self._count()
        if tasks is not None:
            return tasks > PIDS_OF_OURS
        # Children of a single-threaded guest, or orphans, which pid 1 adopts. When in doubt: yes.
        try:
            threads = len(list(Path(f"/proc/{guest_pid}/task").iterdir()))
            return threads > 1 or bool(_children(guest_pid)) or len(_children(self._supervisor)) > 1
        except OSError:
            return True


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _signal(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)
