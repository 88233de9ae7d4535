"""One engine and one image for all container tests; a tier that each test opens boxes of."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from container_rooms import LIMITS, Tier
from engine import OwnEngine, start_engine

from sandboxd.executors.container import ContainerExecutor, ContainerSettings, ContainerYard
from sandboxd.images import Source, build_image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/container" in str(item.path):
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def engine() -> Iterator[OwnEngine]:
    """The engine, with gVisor beside runc, and the image "base" of the host's own Python."""
    running = start_engine()
    try:
        build_image(running.images, running.socket, "base", Source(), progress=lambda _: None)
        yield running
    finally:
        running.close()


@pytest.fixture(params=["runc", "runsc"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def make_tier(engine: OwnEngine) -> AsyncIterator[Any]:
    """A function that makes a tier on the engine; all are closed, and leave no container."""
    tiers: list[Tier] = []

    def make(runtime: str = "runc", **settings: Any) -> Tier:
        given = ContainerSettings(
            engine_socket=engine.socket,
            images_dir=engine.images,
            guest_parent=engine.home / "guests",
            owner=secrets.token_hex(8),
            pool_size=0,
        )
        yard = ContainerYard(replace(given, **settings))
        tiers.append(Tier(yard, ContainerExecutor(runtime, yard), LIMITS))
        return tiers[-1]

    yield make
    for tier in tiers:
        await tier.executor.close()
        await tier.yard.close()
    owners = {tier.yard.settings.owner for tier in tiers}
    for _ in range(50):
        if not any(left_of(engine, owner) for owner in owners):
            break
        await asyncio.sleep(0.1)
    assert [left_of(engine, owner) for owner in owners if left_of(engine, owner)] == []


def left_of(engine: OwnEngine, owner: str) -> list[str]:
    return engine.docker("ps", "-a", "-q", "--filter", f"label=dev.sandboxd.owner={owner}").split()


@pytest.fixture
async def tier(make_tier: Any, runtime: str) -> Tier:
    return make_tier(runtime)
