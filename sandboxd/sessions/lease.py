"""A deadline that use moves on, with one timer however often it moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Lease:
    """Calls back when the time ran out. Moving the deadline on costs no timer: the old one re-arms."""

    def __init__(self, on_expired: Callable[[], None]) -> None:
        self.deadline: float | None = None
        self._on_expired = on_expired
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def run(self, seconds: float) -> None:
        """Let the lease end `seconds` from now, whatever was said before."""
        self.deadline = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self.deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self.deadline, self._fire)

    def hold(self) -> None:
        """Let the lease not end until the next `run`."""
        self.deadline = None

    def cancel(self) -> None:
        """Drop the timer: nothing will call back."""
        self.deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def remaining_seconds(self) -> float:
        """Tell how long the lease has; 0 while it is held."""
        return 0.0 if self.deadline is None else max(0.0, self.deadline - self._loop.time())

    def _fire(self) -> None:
        self._timer = None
        if self.deadline is None:
            return
        if self._loop.time() < self.deadline:
            self._timer = self._loop.call_at(self.deadline, self._fire)
            return
        self.deadline = None
        self._on_expired()
