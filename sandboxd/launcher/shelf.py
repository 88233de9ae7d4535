"""The waiting boxes of one kind, how many are to wait, and what was counted."""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from dataclasses import dataclass, field

from sandboxd.environments import Environment
from sandboxd.events import PoolStats
from sandboxd.launcher.box import Box
from sandboxd.launcher.turnover import Line

REMEMBERED_BUILDS = 128


@dataclass(slots=True)
class Shelf:
    """Mutable; belongs to `Pool`, which touches it on the event loop only.

    Attributes:
        environment: what its boxes are forked from, as last asked for.
        fresh: each box has a process of its own from exec on.
        least: how many wait at least, once the kind was asked for.
        most: how many wait at most.
        target: how many are to wait now.
        waiting: built boxes, oldest first; those of a retired zygote are stale.
        coming: the box that the pool builds now; None if there is none, or an open took it.
        missed: opens since the last build that found nothing waiting.
        lowest: fewest boxes that waited since the last look at the demand.
        making: builds of the pool under way.
        stuck: the last build failed: none is tried before somebody asks, who then hears why.
    """

    environment: Environment
    fresh: bool
    least: int
    most: int
    target: int
    waiting: deque[Box] = field(default_factory=deque)
    coming: asyncio.Future[Box | None] | None = None
    making: int = 0
    missed: int = 0
    lowest: int = 0
    stuck: bool = False
    hits: int = 0
    joined: int = 0
    misses: int = 0
    builds: int = 0
    failures: int = 0
    build_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED_BUILDS))

    @property
    def lacks(self) -> bool:
        """Tell whether the pool should build one."""
        current = sum(box.waits and not box.stale for box in self.waiting)
        return not self.stuck and current + self.making < self.target

    def pop(self) -> Box | None:
        """Take a box, the stale ones last."""
        if not self.waiting:
            return None
        box = next((box for box in self.waiting if not box.stale), self.waiting[0])
        self.waiting.remove(box)
        self.lowest = min(self.lowest, len(self.waiting))
        return box

    def surplus(self) -> list[Box]:
        """Take out what need not wait any longer: the dead, more than the target, and the stale once others are there."""
        out = [box for box in self.waiting if not box.waits]
        living = sorted((box for box in self.waiting if box.waits), key=lambda box: box.stale)
        out += living[self.target :]
        self.waiting = deque(box for box in self.waiting if box not in out)
        return out

    def grow(self) -> None:
        """Follow a demand that was missed: twice as many at most, whatever the size of a burst."""
        self.target = min(self.most, self.target + min(self.missed, max(1, self.target)))
        self.missed = 0

    def shrink(self) -> None:
        """Let go of half of what nobody took since the last look."""
        self.target = max(self.least, self.target - (self.lowest + 1) // 2)
        self.lowest = len(self.waiting)

    def stats(self, line: Line | None) -> PoolStats:
        """Return the counters."""
        seconds = self.build_seconds
        return PoolStats(
            environment=self.environment.name,
            fresh=self.fresh,
            waiting=len(self.waiting),
            target=self.target,
            hits=self.hits,
            joined=self.joined,
            misses=self.misses,
            builds=self.builds,
            failures=self.failures,
            build_median_seconds=statistics.median(seconds) if seconds else None,
            build_longest_seconds=max(seconds) if seconds else None,
            sandboxes=line.present.used if line is not None else 0,
            turnovers=line.turnovers if line is not None else 0,
            turnover_failures=line.failures if line is not None else 0,
            deaths=line.deaths if line is not None else 0,
        )
