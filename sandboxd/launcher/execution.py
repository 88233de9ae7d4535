"""One running execution, as the launcher sees it: deadlines, interrupts, the kill, and what was used.

At the deadline the guest is interrupted, and again every 10 ms; at deadline + grace it is killed. The CPU limit is looked at
when it could first be reached, then again when the rest could be used up.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandboxd.launcher.meter import Meter, Reading

REPEAT_SECONDS = 0.010
CPU_COUNT = os.cpu_count() or 1
MIN_CPU_CHECK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Reins:
    """How an execution acts on its guest."""

    announce: Callable[[str, str], None]
    interrupt: Callable[[], None]
    kill: Callable[[], None]


class Execution:
    """Timers and cause of one execution. `cause` is an outcome's name once it was made to end.

    Args:
        number: the front's number of it.
        deadline_seconds: from now.
        grace_seconds: from the interrupt to the kill.
        cpu_seconds: the CPU limit.
        wait_seconds: for how long in all the wall clock may stand still.
        before: the counters at its start.
        meter: reads them.
        reins: what it acts with.
    """

    def __init__(
        self,
        number: int,
        *,
        deadline_seconds: float,
        grace_seconds: float,
        cpu_seconds: float,
        wait_seconds: float = 0.0,
        before: Reading,
        meter: Meter,
        reins: Reins,
    ) -> None:
        self.number = number
        self.cause = ""
        self.code = ""
        self._grace = grace_seconds
        self._cpu_limit = cpu_seconds
        self._before = before
        self._meter = meter
        self._reins = reins
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()
        self._wait_left = wait_seconds
        self._paused_at: float | None = None
        self._wall_left = 0.0  # of the deadline, while the clock stands still
        self._timer = self._loop.call_later(deadline_seconds, self.end, "timeout_wall", "")
        self._cpu_timer = self._loop.call_later(cpu_seconds / CPU_COUNT, self._check_cpu)
        self._kill_timer: asyncio.TimerHandle | None = None

    def _check_cpu(self) -> None:
        used = self._meter.cpu_seconds()
        if used is None or self._before.cpu_seconds is None:
            return
        left = self._cpu_limit - (used - self._before.cpu_seconds)
        if left <= 0:
            self.end("timeout_cpu", "")
        else:
            self._cpu_timer = self._loop.call_later(
                max(left / CPU_COUNT, MIN_CPU_CHECK_SECONDS), self._check_cpu
            )

    def pause(self) -> None:
        """Let the wall clock stand still, for as long as there is waiting time left. The CPU check goes on."""
        if self.cause or self._paused_at is not None or self._wait_left <= 0:
            return
        self._paused_at = self._loop.time()
        self._wall_left = max(self._timer.when() - self._paused_at, 0.0)
        self._timer.cancel()
        self._timer = self._loop.call_later(self._wait_left, self.resume)

    def resume(self) -> None:
        """Let the wall clock go on with what was left of it."""
        if self.cause or self._paused_at is None:
            return
        self._wait_left -= self._loop.time() - self._paused_at
        self._paused_at = None
        self._timer.cancel()
        self._timer = self._loop.call_later(self._wall_left, self.end, "timeout_wall", "")

    def end(self, cause: str, code: str) -> None:
        """Make it end for a cause: interrupt now and every 10 ms, kill after the grace. The first cause stays."""
        if self.cause:
            return
        self.cause, self.code = cause, code
        self._reins.announce(cause, code)
        self._timer.cancel()
        self._cpu_timer.cancel()
        self._kill_timer = self._loop.call_later(self._grace, self._reins.kill)
        if self._grace > 0:
            self._repeat()

    def _repeat(self) -> None:
        self._reins.interrupt()
        self._timer = self._loop.call_later(REPEAT_SECONDS, self._repeat)

    def stop(self) -> None:
        """Stop all timers."""
        for timer in (self._timer, self._cpu_timer, self._kill_timer):
            if timer is not None:
                timer.cancel()

    def used(self) -> Reading:
        """Return what was used since the start."""
        return self._meter.read().since(self._before, time.monotonic() - self._started)
