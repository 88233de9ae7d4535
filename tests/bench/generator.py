"""Load: so many callers at once, each asking again as soon as it has its answer, for a window of time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.bench.measure import Series

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Window:
    """What a window of load gave."""

    latencies: tuple[float, ...]
    rate: float


async def window(calls: Sequence[Call], seconds: float) -> Window:
    """Keep every caller busy until the window ends; what then still runs is waited for and counted."""
    latencies: list[float] = []
    started = time.perf_counter()
    until = started + seconds

    async def caller(call: Call) -> None:
        while (now := time.perf_counter()) < until:
            await call()
            latencies.append(time.perf_counter() - now)

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(caller(call))
    return Window(tuple(latencies), len(latencies) / (time.perf_counter() - started))


def latency(windows: Sequence[Window]) -> Series:
    """Return the latencies, a window a round."""
    return Series(tuple(one.latencies for one in windows))


def rates(windows: Sequence[Window]) -> Series:
    """Return the rates, a window a round."""
    return Series(tuple((one.rate,) for one in windows))
