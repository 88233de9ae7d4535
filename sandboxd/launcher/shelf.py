"""The waiting boxes of one kind, how many are to wait, and what was counted."""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import Any

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
        limits: those of the last open, for which the next one's box is sized.
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
    limits: dict[str, Any] | None = None
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
        current = sum(box.waits and not self._is_past(box) for box in self.waiting)
        return not self.stuck and current + self.making < self.target

    def pop(self, limits: dict[str, Any]) -> Box | None:
        """Take a box for these limits: one that is sized for them if there is one, the stale ones last."""
        fitting = [box for box in self.waiting if box.fits(limits)]
        if not fitting:
            return None
        box = min(fitting, key=lambda box: (box.stale, not box.sized))
        self.waiting.remove(box)
        self.lowest = min(self.lowest, len(self.waiting))
        return box

    def size_ahead(self) -> dict[str, Any] | None:
        """Return the limits for which to size the box that was built, None to leave it for any: one such always waits."""
        unsized = any(not box.sized for box in self.waiting)
        return self.limits if unsized else None

    def _is_past(self, box: Box) -> bool:
        """Tell whether a box is of a zygote, or of a size, that is wanted no more."""
        return box.stale or not box.fits(self.limits)

    def surplus(self) -> list[Box]:
        """Take out what need not wait any longer: the dead, more than the target, and the stale once others are there."""
        out = [box for box in self.waiting if not box.waits]
        living = sorted((box for box in self.waiting if box.waits), key=self._is_past)
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
