"""The one place that waits for the launcher's children: zygotes, the undertaker, and every box's pid 1."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

_logger = logging.getLogger(__name__)
MAX_EARLY = 1024
EARLY_SECONDS = 30.0  # who died before that cannot be whom a caller means: the pid was used again


class Reaper:
    """Reaps on SIGCHLD. A child that ends before anyone asked for it is remembered."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[int], None]] = {}
        self._early: dict[int, tuple[int, float]] = {}  # wait status, and when
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def watch(self, pid: int, callback: Callable[[int], None]) -> None:
        """Call back with the wait status when `pid` has ended (also if it ended already)."""
        status, when = self._early.pop(pid, (0, 0.0))
        if when and self._loop.time() - when < EARLY_SECONDS:
            self._loop.call_soon(callback, status)
        else:
            self._watched[pid] = callback

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            callback = self._watched.pop(pid, None)
            if callback is not None:
                self._tell(callback, status)
            elif len(self._early) < MAX_EARLY:
                self._early[pid] = (status, self._loop.time())

    @staticmethod
    def _tell(callback: Callable[[int], None], status: int) -> None:
        try:
            callback(status)
        except Exception:  # SIGCHLD comes once for many: the other dead must be reaped all the same
            _logger.exception("who was told of a death failed")

    def close(self) -> None:
        """Stop reaping."""
        self._loop.remove_signal_handler(signal.SIGCHLD)
