from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import jail_boxes
import pytest_asyncio

from sandboxd.executors.process import ProcessBox, ProcessExecutor, ProcessSettings

CANARY = "canary-5e1f0c9a"
OpenBox = Callable[..., Awaitable[ProcessBox]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor(tmp_path_factory) -> AsyncIterator[ProcessExecutor]:
    """One launcher a test file; the daemon's environment holds a secret that no box may see."""
    os.environ["SANDBOXD_TEST_SECRET"] = CANARY
    executor = ProcessExecutor(ProcessSettings(environments_dir=tmp_path_factory.mktemp("environments")))
    await executor.start()
    yield executor
    await executor.close()
    del os.environ["SANDBOXD_TEST_SECRET"]


@pytest_asyncio.fixture(loop_scope="module")
async def open_box(executor: ProcessExecutor) -> AsyncIterator[OpenBox]:
    """Open boxes with limits of one's own; they are closed with the test."""
    opened: list[ProcessBox] = []

    async def open_it(**limits: object) -> ProcessBox:
        opened.append(await jail_boxes.open_box(executor, **limits))
        return opened[-1]

    yield open_it
    for box in opened:
        await box.close()


@pytest_asyncio.fixture(loop_scope="module")
async def box(open_box: OpenBox) -> ProcessBox:
    return await open_box()
