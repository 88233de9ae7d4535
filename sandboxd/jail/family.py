"""The processes of a box as pid 1 sees them: its members, whose deaths it tells, and all else, which belongs to nobody.

Every member is pid 1's own child (see `kernel.fork_beside`), so its pid stays its own until it is reaped here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import Callable, Dict, List, NoReturn, Optional, Set

from sandboxd.jail import copying, kernel, lockdown, mounts

_CHILDREN = "/proc/self/task/1/children"
MAX_ROUNDS = 4096
REMOVE_SECONDS = 20
EXIT_OUTRUN = 76

Tell = Callable[..., None]


class Guest:
    """One member: a live interpreter, or a stopped one."""

    __slots__ = ("nursery", "pid", "session", "workdir")

    def __init__(self, pid: int, nursery: socket.socket, workdir: str, *, leads: bool = True) -> None:
        self.pid = pid  # 0: dead
        self.nursery = nursery
        self.workdir = workdir
        self.session = pid if leads else os.getsid(0)  # of setsid(2), if it does as it should


class Family:
    """The members by the launcher's numbers.

    Args:
        tell: sends a message to the launcher.
    """

    def __init__(self, tell: Tell) -> None:
        self.guests: Dict[int, Guest] = {}
        self.catch_up: Callable[[], None] = lambda: None  # takes note of who was born meanwhile
        self._helper = 0
        self._leavings: List[str] = []  # to be removed, once the helper has time
        self._switch_ids = False
        self._tell = tell

    def workdir(self, number: int) -> Optional[str]:
        """Return where a member works."""
        guest = self.guests.get(number)
        return guest.workdir if guest is not None else None

    def holds(self, pid: int) -> bool:
        """Tell whether a process is a member."""
        return any(guest.pid == pid for guest in self.guests.values())

    def put(self, number: int, guest: Guest) -> None:
        """Take a member in, or the next process of one."""
        before = self.guests.get(number)
        if before is not None:
            before.nursery.close()
        self.guests[number] = guest

    # ---- reaping --------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Take note of who ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        if pid == self._helper:
            self._helper = 0
            self._remove_some()
        for number, guest in self.guests.items():
            if guest.pid == pid:
                guest.pid = 0
                self._tell({"op": "guest_exit", "member": number, "status": status})

    # ---- sweeping -------------------------------------------------------------------------------------------

    def sweep(self, number: int) -> None:
        """Kill a member, all that it started, and who has lost its parents and left its session; wait until none is left.

        Where it is the only member that is everything else in the box. kill(-1) holds the process list while it signals, and
        a fork with a pending SIGKILL fails: a fork bomb does not outrun it, yet the loop makes no use of that.
        """
        if len(self.guests) > 1:
            self._sweep_one(self.guests[number])
            return
        while True:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            try:
                self._ended(*os.waitpid(-1, 0))
            except ChildProcessError:
                return

    def _sweep_one(self, guest: Guest) -> None:
        """Kill from the top down, and reap nobody before the last one is dead.

        hidepid keeps /proc of all but its own children from pid 1 too, so it sees no deeper; but who loses its parent
        becomes its child. A fork bomb does not outrun this: each of the dead holds its place under the limit of processes
        until it is reaped, and those that reap their own children die with the level above: that limit bounds the rounds.
        """
        dead: Set[int] = set()
        others = {one.session for one in self.guests.values() if one is not guest and one.pid}
        if guest.pid:
            self._kill([guest.pid], dead)
        for _ in range(MAX_ROUNDS):
            spared = dead | {self._helper} | {one.pid for one in self.guests.values()}
            # One of another member's session was started there, or is a clone of it that is not born yet: a clone says so
            # before it leaves that session.
            orphans = [pid for pid in _children() if pid not in spared and _session(pid) not in others]
            if orphans:
                self.catch_up()
                orphans = [pid for pid in orphans if not self.holds(pid)]
            if not orphans:
                self.reap()
                return
            self._kill(orphans, dead)
        _give_up()

    @staticmethod
    def _kill(pids: List[int], dead: Set[int]) -> None:
        # All of them first: to wait for each in turn gives the others the processor meanwhile.
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # its children are pid 1's from here on
            dead.add(pid)

    # ---- ending ---------------------------------------------------------------------------------------------

    def end(self, numbers: List[int]) -> None:
        """Let members go: the first with all that it started, its checkpoints after it."""
        for number in numbers:
            if number in self.guests:
                self.sweep(number)
        for number in numbers:
            guest = self.guests.pop(number, None)
            if guest is not None:
                guest.nursery.close()

    def remove(self, places: List[str], *, switch_ids: bool) -> None:
        """Have directories of members removed by a helper with the guest's ids, inside the box's limits; one at a time."""
        self._leavings += places
        self._switch_ids = switch_ids
        self._remove_some()

    def _remove_some(self) -> None:
        if self._helper or not self._leavings:
            return
        places, self._leavings = self._leavings, []
        try:
            pid = os.fork()
        except OSError:  # no room for a process: with the next ones, or with the tree
            self._leavings = places
            return
        if pid == 0:
            _remove(places, switch_ids=self._switch_ids)
        self._helper = pid


def _children() -> List[int]:
    try:
        with open(_CHILDREN, "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without them: nothing less than all can be swept
        _give_up()


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _give_up() -> NoReturn:
    os._exit(EXIT_OUTRUN)  # the kernel ends the whole tree


def _remove(places: List[str], *, switch_ids: bool) -> NoReturn:
    """Be the helper: a walk over what a hostile program left, with nothing but its own rights, for a bounded time."""
    try:
        lockdown.reset_signals()
        signal.alarm(REMOVE_SECONDS)
        kernel.close_from(3)
        lockdown.drop_privileges(switch_ids=switch_ids)
        for place in places:
            with contextlib.suppress(OSError):
                copying.clear_tree(place)
            _remove_home(place)
    finally:
        os._exit(0)


def _remove_home(place: str) -> None:
    """Remove a clone's emptied work directory, and what above it held nothing else."""
    while place not in (mounts.WORK, mounts.CLONES, "/"):
        try:
            os.rmdir(place)
        except FileNotFoundError:
            pass
        except OSError:
            return
        place = os.path.dirname(place)
