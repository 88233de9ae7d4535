"""Top-level await: one event loop for the whole session, so that tasks and connections outlive their cell."""

from __future__ import annotations

import asyncio
from typing import Any, Coroutine, Optional


class CellLoop:
    """The event loop of a session, made at its first await."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a cell's coroutine to its end."""
        if self._loop is None or self._loop.is_closed() or self._loop.is_running():
            self._loop = asyncio.new_event_loop()
        loop = self._loop
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException:
            self._abandon(loop, task)
            raise

    def _abandon(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
        """End a task that an interrupt left behind; a loop in which that fails is given up."""
        try:
            if not task.done():
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
            if not task.cancelled():
                task.exception()  # read it, or asyncio reports it as never retrieved
        except BaseException:
            self._loop = None
