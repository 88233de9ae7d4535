"""Boxes that wait: cloned, mounted, their guests locked down and ready, all but the policy's limits set.

How many follows the demand: up when opens find none, down when some are never taken. The pool builds one at a time, and only
while the processors are not needed for a check-out: a box that is built meanwhile would make one caller pay for the next
one's speed. So under a load that never pauses nothing waits, every open makes its own box, and the counters say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxd.environments import Environment
from sandboxd.errors import SandboxdError
from sandboxd.events import PoolStats
from sandboxd.launcher.box import Box
from sandboxd.launcher.host import Host
from sandboxd.launcher.shelf import Shelf
from sandboxd.launcher.turnover import Line

REFILL_SECONDS = 0.005  # the first snippet goes before the next box
LOOK_SECONDS = 15.0  # between two looks at what nobody took
WAITING_BYTES = 8 << 20  # what one costs: 7 MiB with pandas, kernel memory included
SHARE_OF_MEMORY = 16  # all that wait above the least take no more than this part of the memory
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class PoolBounds:
    """How many boxes wait for one environment, and how many fresh ones; what all boxes together may use."""

    least: int = 2
    most: int = 8
    fresh: int = 1
    memory_total_bytes: int | None = None


class Pool:
    """The shelves of all kinds that were asked for. State is touched on the event loop only.

    Args:
        host: owns the tasks.
        bounds: of each shelf.
        make: makes an unbuilt box of an environment, fresh or not.
        line: finds an environment's zygotes, for their counters.
    """

    def __init__(
        self,
        host: Host,
        bounds: PoolBounds,
        make: Callable[[Environment, bool], Box],
        line: Callable[[str], Line | None],
    ) -> None:
        self._host = host
        self._bounds = bounds
        self._make = make
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._shelves: dict[tuple[str, bool], Shelf] = {}
        self._running = (
            0  # check-outs under way but for fresh ones: their start would keep the pool empty for long
        )
        self._beside = max(1, len(os.sched_getaffinity(0)) // 2)
        self._building: set[bool] = (
            set()
        )  # of fresh boxes, which take long, and of the others: a builder each
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # ---- opens ----------------------------------------------------------------------------------------------

    async def take(
        self, environment: Environment, limits: dict[str, Any], *, fresh: bool = False
    ) -> tuple[Box, bool]:
        """Return a built box that fits, and whether it had been waiting. Call `done` once it is in use, or failed to be.

        Raises:
            SandboxdError: see `Box.build`.
        """
        self._running += not fresh
        try:
            return await self._take(self._shelf(environment, fresh=fresh), limits)
        except BaseException:
            self._checked_out(fresh=fresh)
            raise

    def done(self, *, fresh: bool) -> None:
        """Tell that a check-out is over."""
        self._loop.call_later(REFILL_SECONDS, lambda: self._checked_out(fresh=fresh))

    def _checked_out(self, *, fresh: bool) -> None:
        self._running -= not fresh
        self.wake()

    def _shelf(self, environment: Environment, *, fresh: bool) -> Shelf:
        key = (environment.name, fresh)
        shelf = self._shelves.get(key)
        if shelf is None:
            least, most = (0, self._bounds.fresh) if fresh else (self._bounds.least, self._bounds.most)
            shelf = self._shelves[key] = Shelf(environment, fresh, least, max(least, most), target=least)
        shelf.environment = environment
        return shelf

    async def _take(self, shelf: Shelf, limits: dict[str, Any]) -> tuple[Box, bool]:
        shelf.limits = limits
        while (box := shelf.pop(limits)) is not None:
            if box.waits and box.zygote.environment == shelf.environment:
                shelf.hits += 1
                return box, True
            await box.close()
        if shelf.fresh or shelf.builds:  # an environment's very first tells nothing of how many should wait
            shelf.missed += 1
        if (box := await self._join(shelf)) is not None:
            shelf.joined += 1
            return box, False
        shelf.misses += 1
        return await self._build(shelf), False

    async def _join(self, shelf: Shelf) -> Box | None:
        """Take the box that is in the making, if there is one that nobody else took."""
        coming, shelf.coming = shelf.coming, None
        if coming is None:
            return None
        try:
            return await coming
        except asyncio.CancelledError:
            if coming.done() and not coming.cancelled() and (box := coming.result()) is not None:
                shelf.waiting.append(box)  # made for this caller, who just left
            raise

    async def _build(self, shelf: Shelf) -> Box:
        began = self._loop.time()
        box = self._make(shelf.environment, shelf.fresh)
        try:
            if not await self._finish(box):
                box = self._make(shelf.environment, shelf.fresh)
                await box.build()
        except BaseException:
            shelf.failures += 1
            shelf.stuck = True
            await box.close()
            raise
        shelf.stuck = False
        shelf.builds += 1
        shelf.build_seconds.append(self._loop.time() - began)
        return box

    @staticmethod
    async def _finish(box: Box) -> bool:
        """Build a box; return False if its zygote died in the midst of it, which is no reason to refuse an open."""
        try:
            await box.build()
        except SandboxdError:
            if not box.zygote.lost:
                raise
            await box.close()
            return False
        return True

    # ---- building ahead -------------------------------------------------------------------------------------

    def stock(self, environment: Environment) -> None:
        """Build what should wait before anybody asks."""
        self._shelf(environment, fresh=False)
        self.wake()

    def wake(self) -> None:
        """Build what is missing, unless check-outs need the processors."""
        for fresh in (False, True):
            if fresh not in self._building and not self._host.closing and self._next(fresh=fresh) is not None:
                self._building.add(fresh)
                self._host.spawn(self._build_ahead(fresh=fresh))

    def _next(self, *, fresh: bool) -> Shelf | None:
        if self._closed or self._running >= self._beside:
            return None
        for shelf in self._shelves.values():
            if shelf.missed and (shelf.target == shelf.most or self._has_room()):
                shelf.grow()
        return next((one for one in self._shelves.values() if one.fresh == fresh and one.lacks), None)

    def _has_room(self) -> bool:
        """Tell whether one more box may wait: beside the sessions, never in their place."""
        extra = sum(max(0, shelf.target - shelf.least) for shelf in self._shelves.values())
        total = self._bounds.memory_total_bytes
        if total is not None and (extra + 1) * WAITING_BYTES > total // SHARE_OF_MEMORY:
            return False
        return _available_part() > 1 / SHARE_OF_MEMORY

    async def _build_ahead(self, *, fresh: bool) -> None:
        try:
            while (shelf := self._next(fresh=fresh)) is not None:
                await self._add(shelf)
                await self._drop(shelf)
        finally:
            self._building.discard(fresh)

    async def _add(self, shelf: Shelf) -> None:
        coming = shelf.coming = self._loop.create_future()
        shelf.making += 1
        box: Box | None = None
        try:
            box = await self._build(shelf)
        except (SandboxdError, OSError, TimeoutError):
            pass  # the next `take` builds its own, and its caller hears the reason
        finally:
            shelf.making -= 1
            if shelf.coming is coming:
                shelf.coming = None
            elif not coming.done():  # else whoever took it gave up
                coming.set_result(box)
                box = None
        if box is not None:
            await self._shelve(shelf, box)

    async def _shelve(self, shelf: Shelf, box: Box) -> None:
        try:
            if (limits := shelf.size_ahead()) is not None:
                await box.size(limits)
        except SandboxdError:
            await box.close()
        except asyncio.CancelledError:
            await box.close()
            raise
        else:
            shelf.waiting.append(box)
            self._look_later()

    # ---- letting go -----------------------------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        for shelf in self._shelves.values():
            shelf.shrink()
            self._host.spawn(self._drop(shelf))
        if any(shelf.target > shelf.least for shelf in self._shelves.values()):
            self._look_later()

    @staticmethod
    async def _drop(shelf: Shelf) -> None:
        for box in shelf.surplus():
            with contextlib.suppress(OSError):
                await box.close()

    def stats(self) -> list[PoolStats]:
        """Return the counters of every kind that was asked for."""
        return [
            shelf.stats(None if shelf.fresh else self._line(name))
            for (name, _), shelf in self._shelves.items()
        ]

    async def close(self) -> None:
        """Close what waits; build nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for shelf in self._shelves.values():
            shelf.target = 0
            await self._drop(shelf)


def _available_part() -> float:
    """Return which part of the machine's memory is available; 1.0 where the kernel does not tell."""
    try:
        rows = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) / int(rows["MemTotal"].split()[0])
    except (OSError, KeyError, ValueError):
        return 1.0
