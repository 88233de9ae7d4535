"""What the tests of zygotes and pools share: launchers with settings of their own, and a look at the counters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from jail_boxes import LIMITS

from sandboxd.events import PoolStats
from sandboxd.executors.base import BoxSpec
from sandboxd.executors.process import ProcessBox, ProcessExecutor, ProcessSettings


@contextlib.asynccontextmanager
async def started(root: Path = Path("/nonexistent"), **settings: Any) -> AsyncIterator[ProcessExecutor]:
    executor = ProcessExecutor(ProcessSettings(environments_dir=root, **settings))
    await executor.start()
    try:
        yield executor
    finally:
        await executor.close()


async def open_one(executor: ProcessExecutor, environment: str = "base") -> ProcessBox:
    return await executor.open(BoxSpec("s-test", environment, LIMITS))


async def pool(executor: ProcessExecutor, environment: str = "base") -> PoolStats:
    return next(one for one in await executor.pools() if one.environment == environment and not one.fresh)


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `check` holds."""
    async with asyncio.timeout(10):
        while not await check():
            await asyncio.sleep(0.02)


async def stocked(executor: ProcessExecutor, environment: str = "base") -> PoolStats:
    """Wait until as many boxes wait as are to."""

    async def full() -> bool:
        now = await pool(executor, environment)
        return now.waiting == now.target

    await until(full)
    return await pool(executor, environment)
