"""One engine and one image for all container tests; a tier that each test opens boxes of; daemons whose policies want it."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from borrowed import Shifted, tier_edits
from container_rooms import LIMITS, Tier
from daemons import Daemon, StartDaemon, end_daemon_process, start_daemon_process
from engine import OwnEngine, start_engine
from mutants import make_mutant

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


# ---- the daemon, for tests that are borrowed from the process tier ---------------------------------------------


@pytest.fixture(scope="session", params=["runc", "runsc"])
def shifted(request: pytest.FixtureRequest, engine: OwnEngine) -> Iterator[Shifted]:
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    flags = ("--engine-socket", str(engine.socket), "--images-dir", str(engine.images))
    yield Shifted(request.param, make_mutant(base / "tree", tier_edits(request.param)), flags)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def daemon(shifted: Shifted) -> Iterator[Daemon]:
    """In the place of the process tier's."""
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    flags = (*shifted.flags, "--allow-unscreened", "--pool-size", "0")
    running = start_daemon_process(base / "run", base / "state", *flags, tree=shifted.tree)
    try:
        assert not running.error, running.error
        yield running
    finally:
        end_daemon_process(running)
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def start_module_daemon(shifted: Shifted) -> Iterator[StartDaemon]:
    """In the place of the process tier's."""
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    daemons: list[Daemon] = []

    def start(*flags: str, **popen: Any) -> Daemon:
        name = len(daemons)
        both = (*shifted.flags, *flags)
        one = start_daemon_process(
            base / f"run{name}", base / f"state{name}", *both, tree=shifted.tree, **popen
        )
        daemons.append(one)
        return one

    yield start
    for one in daemons:
        end_daemon_process(one)
    shutil.rmtree(base, ignore_errors=True)
