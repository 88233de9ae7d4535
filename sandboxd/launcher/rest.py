"""Between executions nothing of a box runs: background threads and left children would run unmetered.

The guest is stopped by its pidfd, everything else by pid 1, which signals its whole namespace at once; a stopped process can
neither block nor notice it, and still dies at once when killed. Weaker than a freezer in one respect: a stopped process's
parent is told, so a program can see that it was stopped.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

PIDS_OF_OURS = 2  # pid 1 and a guest of one thread


class Rest:
    """Stops and wakes one box.

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
        """A new guest was started: it runs, and nothing else is left."""
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
