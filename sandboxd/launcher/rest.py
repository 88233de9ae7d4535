"""Between executions nothing of a box runs: background threads and left children would run unmetered.

With cgroup v2 the guest's group is frozen, which a program cannot notice but by the clock. Without, the guest is stopped by
its pidfd, everything else by pid 1, which signals its whole namespace at once. That is weaker: a stopped process's parent is
told, so a program can see it, and SIGCONT wakes it. In both cases a kill ends it at once.

SIGSTOP cannot be blocked, but it can be undone: whoever is in the midst of a system call when it comes may still send
SIGCONT, and a dying parent makes the kernel send one. So a stop is looked after until it holds; who does not stand still is
killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sandboxd.launcher.cgroups import GuestGroup

PIDS_OF_OURS = 2  # pid 1 and a guest of one thread
LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 1.0  # then whatever still runs is killed, the guest with it
_STILL = frozenset("TtZX")
_STATE, _SWITCHES = "State", ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")

_Task = tuple[str, str, str]


class Rest(Protocol):
    """Puts one box to rest and wakes it."""

    def rest(self, guest_fd: int, guest_pid: int) -> None:
        """Stop the box until `wake`."""

    def wake(self, guest_fd: int) -> None:
        """Let the box go on."""

    def forget(self) -> None:
        """The guest is dead and the next one is about to start: it must not be born at rest."""

    def leave(self) -> None:
        """The box ends: be done with it."""


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

    def leave(self) -> None:
        """Nothing is under way."""


class Stopper:
    """Stops and wakes one box by signals.

    Args:
        supervisor: pid 1, in the launcher's pid namespace.
        count: returns the number of tasks in the box; None where no cgroup counts them.
        tell: sends an operation to pid 1.
        kill: ends the guest and all that it started.
    """

    def __init__(
        self,
        supervisor: int,
        count: Callable[[], int | None],
        tell: Callable[[str], None],
        kill: Callable[[], None],
    ) -> None:
        self._supervisor = supervisor
        self._count = count
        self._tell = tell
        self._kill = kill
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._all_stopped = False
        self._timer: asyncio.TimerHandle | None = None

    def rest(self, guest_fd: int, guest_pid: int) -> None:
        """Stop the box until `wake`."""
        self.leave()  # one look at a time: a second one would go on after `wake`, and stop what runs
        self._stopped = True
        _signal(guest_fd, signal.SIGSTOP)
        if self._has_others(guest_pid):
            self._all_stopped = True
            self._tell("rest")
            self._look_later({}, self._loop.time() + PATIENCE_SECONDS)

    def wake(self, guest_fd: int) -> None:
        """Let the box go on."""
        self.leave()
        if self._all_stopped:
            self._all_stopped = False
            self._tell("wake")
        if self._stopped:
            self._stopped = False
            _signal(guest_fd, signal.SIGCONT)

    def forget(self) -> None:
        """The next guest starts: it runs, and nothing else is left."""
        self.leave()
        self._stopped = self._all_stopped = False

    def leave(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self, before: dict[str, _Task], until: float) -> None:
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look, before, until)

    def _look(self, before: dict[str, _Task], until: float) -> None:
        """Stop again what runs. It holds once two looks see the same tasks, all still, none switched to in between.

        One look is not enough: two processes that take turns, each waking the other before it stops itself, can both be
        seen stopped. A task that ran between two looks has a context switch more; if none did there was a moment at
        which all stood still, and from then on nobody is left to wake anybody.
        """
        now = _tasks(self._supervisor)
        if now and now == before:
            return
        if self._loop.time() > until:
            self._kill()
            return
        if now and all(task[0] in _STILL for task in now.values()):
            self._look_later(now, until)
        else:
            self._tell("rest")
            self._look_later({}, until)

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


def _tasks(supervisor: int) -> dict[str, _Task]:
    """Return state and context switches of every thread below pid 1; nothing when one went away meanwhile.

    Its children are then pid 1's, whose children were read before.
    """
    found: dict[str, _Task] = {}
    todo = [(str(supervisor), True)]
    try:
        while todo:
            pid, is_supervisor = todo.pop()
            for task in Path(f"/proc/{pid}/task").iterdir():
                if not is_supervisor:
                    found[task.name] = _look_at(task)
                todo += [(child, False) for child in (task / "children").read_text().split()]
    except OSError:
        return {}
    return found


def _look_at(task: Path) -> _Task:
    lines = (task / "status").read_text().splitlines()
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return (fields[_STATE][:1], fields[_SWITCHES[0]], fields[_SWITCHES[1]])


def _signal(pidfd: int, number: signal.Signals) -> None:
    if pidfd < 0:
        return  # of a member that is gone
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)
