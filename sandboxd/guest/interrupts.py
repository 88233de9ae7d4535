"""SIGINT, and when it may raise.

The launcher sends SIGINT at a cell's deadline and again every 10 ms until the cell has ended, because a
program may swallow a KeyboardInterrupt (bare `except:`, `__del__`, weakref callbacks). So interrupts arrive
in any number and at any instruction, also between the end of a cell and the code that says so.

No flag alone makes that border safe: the signal may arrive between two instructions around the flag's change.
The handler therefore also looks at *where* it arrived. `Gate.call` opens the gate around a function, and the
handler raises only while the gate is open and the interrupted frame is not the gate's own. A
KeyboardInterrupt can thus start only in the function or below it, where `Gate.call` catches it; everywhere
else the signal does nothing, and the next one comes in 10 ms.

A cell can install handlers of its own (`signal.alarm` as a home-made timeout is common). `Gate.tame` wraps
them after each cell, so that they too run only while a cell runs.
"""

from __future__ import annotations

import signal
from _signal import getsignal as _get_handler  # type: ignore[import-not-found]  # bare: no enum is built per call
from _thread import get_ident
from types import FrameType
from typing import Any, Callable, Optional, Tuple, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[int, Optional[FrameType]], Any]

_KeyboardInterrupt = KeyboardInterrupt
_set_handler = signal.signal
_SIGINT = signal.SIGINT
_TAMED = tuple(
    getattr(signal, name)
    for name in ("SIGALRM", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGPROF", "SIGCHLD")
)


class _Tamed:
    """A handler that a cell installed: called while a cell runs, ignored outside."""

    __slots__ = ("_gate", "_handler")

    def __init__(self, gate: Gate, handler: Handler) -> None:
        self._gate, self._handler = gate, handler

    def __call__(self, number: int, frame: Optional[FrameType]) -> None:
        if self._gate.admits(frame):
            self._handler(number, frame)


class Gate:
    """Lets interrupts through while a cell's code runs, and nowhere else.

    The mutable state is `_open`; only the main thread, where signal handlers run, reads or writes it.
    """

    __slots__ = ("_handler", "_main", "_open")

    def __init__(self) -> None:
        self._open = False
        self._main = get_ident()
        self._handler = self.on_interrupt

    def install(self) -> None:
        """Take SIGINT over."""
        _set_handler(_SIGINT, self._handler)

    def call(
        self, function: Callable[..., T], *arguments: Any
    ) -> Tuple[Optional[T], Optional[BaseException]]:
        """Run a Python function interruptibly; returns its value, or what it raised. Never raises itself."""
        self._open = True
        try:
            return function(*arguments), None
        except BaseException as error:
            return None, error
        finally:
            self._open = False

    def shielded(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function that no interrupt may cut short, such as sending a frame from within a cell."""
        if get_ident() != self._main:
            return function(*arguments)
        before = self._open
        self._open = False
        try:
            return function(*arguments)
        finally:
            self._open = before

    def admits(self, frame: Optional[FrameType]) -> bool:
        """Tell whether a signal that arrived in this frame may raise there."""
        return self._open and frame is not None and frame.f_code not in _OWN_CODE

    def tame(self) -> None:
        """Take SIGINT back and confine the handlers that the last cell installed."""
        if _get_handler(_SIGINT) is not self._handler:
            self.install()
        for number in _TAMED:
            handler = _get_handler(number)
            if callable(handler) and not isinstance(handler, _Tamed):
                _set_handler(number, _Tamed(self, handler))

    def on_interrupt(self, _number: int, frame: Optional[FrameType]) -> None:
        """Handle SIGINT."""
        if self.admits(frame):
            raise _KeyboardInterrupt


# The handlers are among them: a second signal may arrive while the first one is handled; raised there, it
# would surface in the frame that the first one interrupted, which may be `call`'s. So they may call no Python
# function but these.
_OWN_CODE = tuple(
    method.__code__
    for method in (Gate.call, Gate.shielded, Gate.admits, Gate.on_interrupt, Gate.tame, _Tamed.__call__)
)


def own(function: F) -> F:
    """Let no interrupt start in this function's own frame; it may in what it calls. A decorator."""
    global _OWN_CODE  # noqa: PLW0603 - a table that is whole before the first cell
    _OWN_CODE += (function.__code__,)
    return function
