"""Containers that wait, ready for their first cell, by (image, runtime, shape): bounded, refilled at once, counted."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sandboxd.errors import SandboxdError
from sandboxd.events import PoolStats
from sandboxd.executors.container_link import ContainerLink

MAX_KINDS = 8  # with a shelf of their own; the one that was asked for longest ago gives way
REMEMBERED = 20
REPLACE_SECONDS = (
    0.5  # after which one that died waiting is replaced: what dies at once is not made in a loop
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that nobody has."""

    container: str
    link: ContainerLink
    facts: dict[str, str]


@dataclass(slots=True)
class _Shelf:
    ready: list[Waiting] = field(default_factory=list)
    making: int = 0
    hits: int = 0
    misses: int = 0
    builds: int = 0
    failures: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


Kind = tuple[str, str]
"""The image's name, and the shape as text."""


class ContainerPool:
    """The waiting containers of one runtime. State is touched on the event loop only.

    Args:
        size: how many wait of each kind that was asked for; 0: none.
        most: how many wait in all.
    """

    def __init__(self, size: int, most: int) -> None:
        self._size, self._most = size, most
        self._shelves: OrderedDict[Kind, _Shelf] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self, kind: Kind, make: Callable[[], Awaitable[Waiting]]) -> tuple[Waiting, bool]:
        """Return a container of this kind and whether it had been waiting; another one takes its place.

        Raises:
            SandboxdError: what `make` raises.
        """
        shelf = self._shelves.setdefault(kind, _Shelf())
        self._shelves.move_to_end(kind)
        found = next((one for one in shelf.ready if one.link.healthy), None)
        shelf.ready = [one for one in shelf.ready if one.link.healthy and one is not found]
        if found is not None:
            shelf.hits += 1
        else:
            shelf.misses += 1
            found, pooled = await self._timed(shelf, make), False
            self._refill(kind, make)
            return found, pooled
        self._refill(kind, make)
        return found, True

    async def _timed(self, shelf: _Shelf, make: Callable[[], Awaitable[Waiting]]) -> Waiting:
        began = time.monotonic()
        try:
            made = await make()
        except BaseException:
            shelf.failures += 1
            raise
        shelf.builds += 1
        shelf.seconds.append(time.monotonic() - began)
        return made

    def _refill(self, kind: Kind, make: Callable[[], Awaitable[Waiting]]) -> None:
        while len(self._shelves) > MAX_KINDS:
            _, gone = self._shelves.popitem(last=False)
            for one in gone.ready:
                one.link.end()
        shelf = self._shelves.get(kind)
        if shelf is None or self._closed:
            return
        missing = self._size - len(shelf.ready) - shelf.making
        for _ in range(min(missing, self._most - self._waiting())):
            shelf.making += 1
            task = asyncio.get_running_loop().create_task(self._stock(kind, shelf, make))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _waiting(self) -> int:
        return sum(len(shelf.ready) + shelf.making for shelf in self._shelves.values())

    async def _stock(self, kind: Kind, shelf: _Shelf, make: Callable[[], Awaitable[Waiting]]) -> None:
        try:
            made = await self._timed(shelf, make)
        except SandboxdError:
            return  # the next open makes its own, and is told why it cannot
        finally:
            shelf.making -= 1
        if self._closed or shelf not in self._shelves.values():
            made.link.end()
        else:
            shelf.ready.append(made)
            made.link.on_gone = lambda: self._replace(kind, shelf, made, make)

    def _replace(
        self, kind: Kind, shelf: _Shelf, dead: Waiting, make: Callable[[], Awaitable[Waiting]]
    ) -> None:
        """Have another wait instead of one that died waiting: the next open should not find out."""
        if dead in shelf.ready:
            shelf.ready.remove(dead)
            asyncio.get_running_loop().call_later(REPLACE_SECONDS, self._refill, kind, make)

    def stats(self) -> tuple[PoolStats, ...]:
        """Count each kind."""
        return tuple(_stats(kind, shelf, self._size) for kind, shelf in self._shelves.items())

    def containers(self) -> list[str]:
        """Name those that wait."""
        return [one.container for shelf in self._shelves.values() for one in shelf.ready]

    async def close(self) -> None:
        """End all that wait."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        waiting = [one.link.end() for shelf in self._shelves.values() for one in shelf.ready]
        self._shelves.clear()
        if waiting:
            await asyncio.wait(waiting)


def _stats(kind: Kind, shelf: _Shelf, size: int) -> PoolStats:
    seconds = list(shelf.seconds)
    return PoolStats(
        environment=f"{kind[0]} ({kind[1].partition('/')[0]})",
        fresh=True,
        waiting=len(shelf.ready),
        target=size,
        hits=shelf.hits,
        joined=0,
        misses=shelf.misses,
        builds=shelf.builds,
        failures=shelf.failures,
        build_median_seconds=statistics.median(seconds) if seconds else None,
        build_longest_seconds=max(seconds, default=None),
        sandboxes=shelf.hits + shelf.misses,
        turnovers=0,
        turnover_failures=0,
        deaths=0,
    )
