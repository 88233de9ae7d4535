"""Who dies when, and what is left: nothing of ours, and everything of others."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from container_rooms import Tier
from engine import OwnEngine

from sandboxd.broker.spec import INSTANCE, LEASE, OWNER, POLICY, SHAPE
from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.base import BoxSpec

FRONT = Path(__file__).with_name("container_front.py")


async def _until(condition: Any, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        await asyncio.sleep(0.05)


async def test_closing_leaves_nothing(tier: Tier, engine: OwnEngine) -> None:
    room = await tier.open()
    (container,) = tier.containers
    await room.box.close()
    assert container not in engine.containers()
    assert tier.containers == []


async def test_a_dead_broker_costs_no_session_and_is_replaced(make_tier: Any, engine: OwnEngine) -> None:
    tier = make_tier("runc")
    room = await tier.open()
    await room.run("x = 1")
    broker = tier.yard._link._process
    os.kill(broker.pid, signal.SIGKILL)
    await broker.wait()
    assert await room.value("x") == "1"
    another = await tier.open()
    assert await another.value("2") == "2"
    (first, second) = tier.containers
    await room.box.close()
    await another.box.close()
    assert {first, second} & set(engine.containers()) == set()


async def test_a_front_that_is_killed_leaves_nothing_without_a_next_start(
    engine: OwnEngine, runtime: str
) -> None:
    front = _front(engine, runtime, owner="f0" * 8)
    assert front.stdout is not None
    container = front.stdout.readline().decode().strip()
    assert container in engine.containers()
    os.kill(front.pid, signal.SIGKILL)
    front.wait()
    front.stdout.close()
    await _until(lambda: container not in engine.containers())


async def test_a_front_and_its_broker_killed_together_leave_nothing(engine: OwnEngine) -> None:
    front = _front(engine, "runc", owner="f1" * 8)
    assert front.stdout is not None
    container = front.stdout.readline().decode().strip()
    broker = int(front.stdout.readline())
    os.kill(front.pid, signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    os.kill(front.pid, signal.SIGKILL)
    front.wait()
    front.stdout.close()
    await _until(lambda: container not in engine.containers())


async def test_what_a_dead_run_left_goes_at_the_next_start_and_nothing_else(
    make_tier: Any, engine: OwnEngine
) -> None:
    owner = "ab" * 8
    body = ["create", "--entrypoint", "/x", "--label"]
    image = engine.docker("images", "-q", "sandboxd/base")
    left = engine.docker(*body, f"{OWNER}={owner}", "--label", f"{INSTANCE}=dead", image)
    decoys = [
        engine.docker(*body, label, image)
        for label in (
            f"{OWNER}={owner}0",
            f"{OWNER}={owner[:-1]}",
            f"{OWNER}X={owner}",
            f"{OWNER}={owner.upper()}",
            f"{OWNER}= {owner}",
            f"{OWNER}=",
            f"{OWNER.upper()}={owner}",
            f"x.{OWNER}={owner}",
            f"{OWNER}.{owner}=1",
            "x=y",
            f"{INSTANCE}={owner}",
            f"{SHAPE}={owner}",
        )
    ]
    # All that ours bear but the owner's, and a name as ours have it.
    ours = (
        f"{INSTANCE}=dead",
        f"{SHAPE}=runc",
        f"{POLICY}={'0' * 64}",
        f"{LEASE}=20",
        f"{OWNER}={owner[::-1]}",
    )
    worn = [word for label in ours for word in ("--label", label)]
    name = ["--name", "sandboxd-dead-session-1"]
    decoys.append(engine.docker("create", "--entrypoint", "/x", *name, *worn, image))
    volume = engine.docker("volume", "create", "--label", f"{OWNER}={owner}")
    try:
        tier = make_tier("runc", owner=owner)
        await tier.open()
        there = engine.containers()
        assert left not in there
        await (await tier.yard.broker()).reconcile(tier.containers)
        assert set(decoys) <= set(engine.containers())
        assert volume in engine.docker("volume", "ls", "-q").split()
    finally:
        engine.docker("rm", "-f", *decoys)
        engine.docker("volume", "rm", volume)


async def test_labels_and_name_say_whose_a_container_is(make_tier: Any, engine: OwnEngine) -> None:
    tier = make_tier("runc", pool_size=1)
    await tier.open()
    await _until(lambda: len(tier.containers) == 2)
    names = []

    def named() -> bool:
        names[:] = sorted(str(engine.inspect(one)["Name"]) for one in tier.containers)
        return sum(name.startswith(f"/sandboxd-{tier.yard.instance}-session-") for name in names) == 1

    await _until(named)  # the one that waits has no session, and no name of ours
    found = [engine.inspect(one)["Config"]["Labels"] for one in tier.containers]
    assert found[0] == found[1]
    assert found[0].keys() == {OWNER, INSTANCE, SHAPE, POLICY, LEASE}
    assert (found[0][OWNER], found[0][INSTANCE]) == (tier.yard.settings.owner, tier.yard.instance)


async def test_a_container_killed_from_outside_is_a_lost_session(tier: Tier, engine: OwnEngine) -> None:
    room = await tier.open()
    lost: list[str] = []
    room.box.on_lost(lost.append)
    running = asyncio.ensure_future(room.run("import time\ntime.sleep(60)"))
    await asyncio.sleep(0.3)
    engine.docker("kill", *tier.containers)
    result = await running
    assert result.outcome == "infrastructure"
    assert result.variables_lost
    await _until(lambda: bool(lost))


async def test_a_missing_image_is_a_typed_error(make_tier: Any) -> None:
    tier = make_tier("runc")
    with pytest.raises(SandboxdError) as refused:
        await tier.executor.open(BoxSpec("session-y", "no-such-image", tier.limits))
    assert refused.value.code == Code.ENVIRONMENT_NOT_FOUND
    assert "image build no-such-image" in refused.value.remedy


async def test_another_s_container_is_never_touched(make_tier: Any, engine: OwnEngine) -> None:
    tier = make_tier("runc")
    image = engine.docker("images", "-q", "sandboxd/base")
    other = engine.docker("create", "--entrypoint", "/x", image)
    try:
        broker = await tier.yard.broker()
        with pytest.raises(SandboxdError) as refused:
            await broker.stop(other)
        assert refused.value.code == Code.PERMISSION_DENIED
        assert other in engine.containers()
    finally:
        engine.docker("rm", other)


async def test_an_engine_that_hangs_is_a_typed_error_within_its_deadline(
    make_tier: Any, engine: OwnEngine
) -> None:
    tier = make_tier("runc")
    assert engine.process is not None
    await tier.yard.broker()
    os.kill(engine.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(SandboxdError) as refused:
            await tier.open()
        assert refused.value.code == Code.EXECUTOR_UNAVAILABLE
        assert time.monotonic() - began < 60
    finally:
        os.kill(engine.process.pid, signal.SIGCONT)
    await asyncio.sleep(0.5)
    room = await tier.open()
    assert await room.value("1 + 1") == "2"
    await (await tier.yard.broker()).reconcile(tier.containers)


def _front(engine: OwnEngine, runtime: str, *, owner: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(FRONT), str(engine.home), runtime, owner]
    return subprocess.Popen(command, stdout=subprocess.PIPE)
