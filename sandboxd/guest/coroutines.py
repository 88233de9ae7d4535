"""Top-level await: one event loop for the whole session, so that tasks and connections outlive their cell.

An interrupt may be raised inside asyncio's own code, between a state change and the `finally` that undoes it; the thread
then seems to run a loop for ever after. `CellLoop.settle` mends that between cells, where nothing can be running.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Coroutine, Optional

_get_running_loop = asyncio._get_running_loop  # noqa: SLF001
_set_running_loop = asyncio._set_running_loop  # noqa: SLF001 - what event loops are written with


class CellLoop:
    """The event loop of a session, made at its first await."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a cell's coroutine to its end."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        loop = self._loop
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException as error:
            self._end(loop, task, stopped=not isinstance(error, Exception))
            raise

    def settle(self) -> None:
        """Forget a loop that an interrupt left in mid-step. Call between cells, with the gate closed."""
        if _get_running_loop() is not None:
            _set_running_loop(None)
        if self._loop is not None and (self._loop.is_running() or getattr(self._loop, "_stopping", False)):
            self._loop = None

    def remake(self) -> None:
        """Give the loop of a clone a selector and a wake-up pipe of its own. Pending tasks and timers live on on both sides.

        An epoll set is shared by a fork: to take the original's entries out of it here would take them from the original.
        So the clone registers in a new one, and only closes its descriptor of the old.
        """
        loop: Any = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            old, ours = loop._selector, loop._ssock.fileno()  # noqa: SLF001
            new = type(old)()
            for key in list(old.get_map().values()):
                if key.fd != ours:
                    new.register(key.fileobj, key.events, key.data)
            old.close()
            loop._ssock.close()  # noqa: SLF001
            loop._csock.close()  # noqa: SLF001
            loop._internal_fds -= 1  # noqa: SLF001
            loop._selector = new  # noqa: SLF001
            loop._make_self_pipe()  # noqa: SLF001
            if loop._signal_handlers:  # noqa: SLF001
                signal.set_wakeup_fd(loop._csock.fileno())  # noqa: SLF001
        except (
            AttributeError,
            OSError,
            ValueError,
            KeyError,
        ):  # another kind of loop, or one that a program broke
            self._loop = None

    def _end(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], *, stopped: bool) -> None:
        """End what an interrupt or an exit left behind; a loop in which that fails is given up."""
        try:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - no news for the user
                task.cancel()
                task.add_done_callback(lambda _: loop.stop())
                loop.run_forever()
            if (
                stopped
            ):  # the call that would have stopped the loop still waits: it must not stop the next cell's
                loop.call_soon(loop.stop)
                loop.run_forever()
            if not task.cancelled():
                task.exception()  # read it, or asyncio reports it as never retrieved
        except BaseException:
            self._loop = None
