"""An engine of this file's own, killed and stopped: typed outcomes, and recovery without a new daemon."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator

import pytest
from container_rooms import LIMITS, Tier
from engine import OwnEngine, start_engine

from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.base import BoxSpec
from sandboxd.executors.container import ContainerExecutor, ContainerSettings, ContainerYard
from sandboxd.images import Source, build_image


@pytest.fixture(scope="module")
def frail() -> Iterator[OwnEngine]:
    """An engine without gVisor."""
    running = start_engine(runtimes=("runc",))
    try:
        build_image(running.images, running.socket, "base", Source(), progress=lambda _: None)
        yield running
    finally:
        running.close()


async def test_an_engine_that_dies_costs_its_sessions_and_comes_back(frail: OwnEngine) -> None:
    settings = ContainerSettings(
        frail.socket, frail.images, frail.home / "guests", secrets.token_hex(8), pool_size=0
    )
    yard = ContainerYard(settings)
    tier = Tier(yard, ContainerExecutor("runc", yard), LIMITS)
    try:
        room = await tier.open()
        lost: list[str] = []
        room.box.on_lost(lost.append)
        frail.kill()
        until = time.monotonic() + 30
        while not lost and time.monotonic() < until:
            await asyncio.sleep(0.05)
        assert lost
        with pytest.raises(SandboxdError) as refused:
            await tier.open()
        assert refused.value.code == Code.EXECUTOR_UNAVAILABLE
        frail.start()
        room = await tier.open()
        assert await room.value("1 + 1") == "2"
        await (await yard.broker()).reconcile(tier.containers)
        assert frail.containers() == tier.containers
    finally:
        await tier.executor.close()
        await yard.close()
    assert frail.containers() == []


async def test_a_runtime_that_the_engine_lacks_is_refused_with_the_remedy(frail: OwnEngine) -> None:
    settings = ContainerSettings(frail.socket, frail.images, frail.home / "guests", secrets.token_hex(8))
    yard = ContainerYard(settings)
    try:
        with pytest.raises(SandboxdError) as refused:
            await ContainerExecutor("runsc", yard).open(BoxSpec("session-z", "base", LIMITS))
        assert refused.value.code == Code.EXECUTOR_UNAVAILABLE
        assert "runsc" in refused.value.message
        assert refused.value.remedy
    finally:
        await yard.close()
