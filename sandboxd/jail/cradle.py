"""The guest's side of a fork: what it asks the kernel for when a clone of it is ordered. See `births` for pid 1's side.

The order and the clone's descriptors come over the nursery, a private socket to pid 1. A guest that takes them and does
something else harms its own session tree: pid 1 believes nothing but the kernel's word on who sent an answer.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from typing import Any, Dict, List, Optional, Tuple

from sandboxd.jail import copying, held, kernel, landlock, lockdown, mounts, wire

ORDER_SECONDS = 5.0
LIVE, CHECKPOINT, RESTORE = "live", "checkpoint", "restore"
EXIT_UNBORN = 74
_exit = os._exit


class Order:
    """One clone to be made.

    Attributes:
        kind: LIVE, CHECKPOINT (a stopped one), RESTORE (a checkpoint's, in the place of the member it was made of).
        workdir: where it is to work.
        home: the directory that holds its files.
        source, target: what is copied, and where to.
        fds: stdout and stderr (not of a checkpoint), control socket, nursery.
    """

    __slots__ = ("fds", "home", "kind", "number", "source", "target", "workdir")

    def __init__(self, message: Dict[str, Any], fds: List[int]) -> None:
        self.number, self.kind, self.workdir = message["number"], message["kind"], message["workdir"]
        self.home, self.source, self.target = message["home"], message["source"], message["target"]
        self.fds = fds

    def close(self) -> None:
        """Close the clone's descriptors, in the process that is not it."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []


class Cradle:
    """What a guest can do about clones of its own.

    Args:
        roots: the directories of the root that a clone may read.
    """

    __slots__ = ("_ahead", "_held", "_nursery", "_roots")

    def __init__(self, roots: Tuple[str, ...]) -> None:
        self._nursery = socket.socket(fileno=lockdown.NURSERY_FD)
        self._nursery.setblocking(False)
        self._roots = roots
        self._ahead: Optional[Order] = None  # came while an earlier one was waited for
        self._held: Optional[held.Held] = None  # of a checkpoint, when it was made

    def take(self, number: Any) -> Optional[Order]:
        """Return the order of that number; those of forks that were given up are dropped. None if there is none.

        Numbers grow. Whoever asked may have been refused elsewhere: then no order comes, and the control socket speaks next.
        """
        order, self._ahead = self._ahead, None
        while order is None or order.number != number:
            if order is not None and order.number > number:
                self._ahead = order
                return None
            if order is not None:
                order.close()
            order = self._next()
            if order is None:
                return None
        return order

    def _next(self) -> Optional[Order]:
        poll = select.poll()
        for fd in (lockdown.NURSERY_FD, lockdown.CONTROL_FD):
            poll.register(fd, select.POLLIN)
        if lockdown.NURSERY_FD not in dict(poll.poll(ORDER_SECONDS * 1000)):
            return None
        try:
            return Order(*wire.receive(self._nursery))
        except (OSError, EOFError, wire.WireError):
            return None

    def refuse(self, order: Order, code: str, why: str) -> None:
        """Tell pid 1 that there will be no clone: by the clone's own socket."""
        _tell(order.fds[-1], {"op": "unborn", "code": code, "detail": why})
        order.close()

    @staticmethod
    def fork() -> int:
        """Fork; return 0 in the clone.

        Raises:
            OSError: no room for a process.
        """
        return kernel.fork_beside()

    @staticmethod
    def adopt(order: Order) -> None:
        """Put the clone's own descriptors in the place of those it was born with. In the clone alone."""
        fds, order.fds = order.fds, []
        silent = order.kind == CHECKPOINT
        if silent:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            fds = [null, null, *fds]
        for target, fd in enumerate(fds, 1):
            os.dup2(fd, target, inheritable=target < lockdown.CONTROL_FD)
        for fd in dict.fromkeys(fds):
            os.close(fd)

    def settle(self, order: Order) -> None:
        """Bring the clone's files in place, and shut a live one in with them. In the clone alone.

        Raises:
            OSError: ENOSPC, or as many layers of clones as Landlock takes.
        """
        before = os.umask(0)  # a program's own could keep this from its copies
        try:
            self._settle(order)
        finally:
            os.umask(before)
        if order.kind == LIVE:
            devices = tuple("/dev/" + name for name in mounts.DEVICES)
            landlock.confine(order.home, mounts.SHARED, devices, self._roots)

    def _settle(self, order: Order) -> None:
        if order.kind == RESTORE:
            copying.clear_tree(order.target)
        else:
            self._held = held.look(order.source)
            os.mkdir(order.home, 0o755)
            os.mkdir(order.target, 0o755)
            if order.kind == LIVE:
                os.chdir(order.target)
        copying.copy_tree(order.source, order.target)
        if order.kind != CHECKPOINT and self._held is not None:
            held.take_up(self._held, order.target)

    def born(self) -> None:
        """Tell pid 1: the kernel adds who says so. Then leave the original's session, which spared it others' sweeps."""
        _tell(self._nursery.fileno(), {"op": "born"})
        with contextlib.suppress(OSError):
            os.setsid()  # a signal to its process group is for its own processes

    def fail(self, why: str) -> None:
        """Tell pid 1 that the clone cannot live, and end it."""
        _tell(self._nursery.fileno(), {"op": "unborn", "code": "failed", "detail": why})
        _exit(EXIT_UNBORN)


def _tell(fd: int, message: wire.Message) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as nursery:
        wire.send(nursery, message)


def roots() -> Tuple[str, ...]:
    """Return what of the root directory a clone may read: all but the work directories. Call before any confinement."""
    hidden = (mounts.WORK, mounts.CLONES)
    found = ("/" + name for name in sorted(os.listdir("/")))
    return tuple(path for path in found if path not in hidden and os.path.isdir(path))
