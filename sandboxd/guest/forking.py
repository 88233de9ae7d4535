"""Clones of this interpreter, made between two cells: live ones, stopped ones (checkpoints), and a checkpoint's successor.

A clone is a fork with everything in it: variables, modules, pending tasks of the event loop. What it must not share it
gets anew before its first cell: descriptors, random state (a live one), work directory, pid, the loop's selector. A process
of more than one thread is refused, since a fork would copy the locks of the others and not the threads.

Memory. Pages are shared until one side writes. A collection writes to every object that it looks at, so the clone freezes
what it was born with: cycles among those objects are never collected in it, which is bounded by their number. The original
does not freeze: it may live through thousands of checkpoints, and would keep the garbage of each.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
import threading
from _thread import _count as _threads_of_python
from typing import Any, Callable, Mapping, Optional, Protocol

from sandboxd.guest import hygiene

LIVE = "live"
_TASKS = "/proc/self/task"
_MOST_NAMES, _NAME = 5, 40
_WORDS = {  # for what the system's own would mislead about
    errno.E2BIG: "clones of clones nest no deeper than the layers of Landlock",
    errno.EAGAIN: "the limit of processes leaves no room for one more",
    errno.EMFILE: "its directories nest too deep to be copied, or it has too many files open",
    errno.ENOENT: "its work directory, or a file in it, is gone",
}
_listdir, _strerror, _freeze = os.listdir, os.strerror, gc.freeze
_enumerate, _main_thread = threading.enumerate, threading.main_thread


class Order(Protocol):
    """One clone to be made, as pid 1 ordered it."""

    kind: str
    workdir: str

    def close(self) -> None:
        """Close the clone's descriptors, in the process that is not it."""


class Cradle(Protocol):
    """What the jail lets a guest do about clones: see `sandboxd.jail.cradle`."""

    def take(self, number: Any) -> Optional[Any]:
        """Return the order of that number."""

    def refuse(self, order: Any, code: str, why: str) -> None:
        """Say that there will be no clone."""

    def fork(self) -> int:
        """Fork; return 0 in the clone."""

    def adopt(self, order: Any) -> None:
        """Put the clone's own descriptors in their places."""

    def settle(self, order: Any) -> None:
        """Bring the clone's files in place."""

    def born(self) -> None:
        """Say that the clone lives."""

    def fail(self, why: str) -> None:
        """Say that it cannot, and end it."""


class Forks:
    """Makes clones of the session's process.

    Args:
        cradle: what the jail lets it do; None where it can have no clones.
        become: makes the process another member's: its argument is the work directory.
    """

    __slots__ = ("_become", "_cradle", "_names", "under_way")

    def __init__(
        self, cradle: Optional[Cradle], become: Callable[[str], None], names: Mapping[str, Any]
    ) -> None:
        self._cradle, self._become, self._names = cradle, become, names
        self.under_way = False

    def fork(self, number: Any) -> bool:
        """Carry out the order of that number, or say why not. Returns whether this is the clone."""
        order = self._cradle.take(number) if self._cradle is not None else None
        if order is None or self._cradle is None:
            return False
        why = _why_not()
        if why:
            self._cradle.refuse(order, "refused", why)
            return False
        drawn = None if order.kind == LIVE else _random_state()
        self.under_way = True  # for the hook that closes the control socket in a program's own forks
        try:
            pid = self._cradle.fork()
        except OSError as error:
            self._cradle.refuse(order, "failed", _told(error))
            return False
        finally:
            self.under_way = False
        if pid:
            order.close()
            return False
        self._wake_up(self._cradle, order, drawn)
        return True

    def _wake_up(self, cradle: Cradle, order: Any, drawn: Any) -> None:
        _freeze()  # first of all: see the module's text
        try:
            cradle.adopt(order)
            cradle.settle(order)
            self._become(order.workdir)
            if order.kind == LIVE:
                hygiene.reseed_clone(self._names)
            elif drawn is not None:
                drawn[0].setstate(drawn[1])
        except BaseException as error:
            cradle.fail(_told(error))
        cradle.born()


def _random_state() -> Any:
    """Return what a hook of Python's own takes away: `random` seeds itself anew in every fork."""
    with contextlib.suppress(Exception):  # a program may have changed the module
        generator = sys.modules["random"]._inst  # noqa: SLF001
        return generator, generator.getstate()
    return None


def _why_not() -> str:
    try:
        threads = len(_listdir(_TASKS))
    except OSError:
        threads = _threads_of_python() + 1
    if threads == 1:
        return ""
    names = []
    with contextlib.suppress(Exception):  # a program may have changed what threads are called
        others = [thread for thread in _enumerate() if thread is not _main_thread()]
        names = [str(thread.name)[:_NAME] for thread in others[:_MOST_NAMES]]
    told = f" ({', '.join(names)})" if names else " (none of them is Python's own)"
    return f"{threads - 1} threads run beside the main one{told}: end them first"


def _told(error: BaseException) -> str:
    if isinstance(error, OSError):
        number = error.errno or 0
        return _WORDS.get(number) or f"{type(error).__name__}: {_strerror(number)}"
    return f"{type(error).__name__} at {_place(error)}"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
