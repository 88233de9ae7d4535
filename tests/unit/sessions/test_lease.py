"""The lease: it ends once, when nothing holds it, and moving it on costs no timer."""

from __future__ import annotations

import asyncio

import pytest

from sandboxd.sessions.lease import Lease


@pytest.fixture
def ended():
    return []


async def test_it_ends_once_after_its_time(ended):
    lease = Lease(lambda: ended.append(1))
    lease.run(0.02)
    await asyncio.sleep(0.1)
    assert ended == [1]


async def test_use_moves_the_end_on_and_holding_stops_it(ended):
    lease = Lease(lambda: ended.append(1))
    lease.run(0.05)
    for _ in range(4):
        await asyncio.sleep(0.03)
        lease.run(0.05)
    lease.hold()
    await asyncio.sleep(0.1)
    assert (ended, lease.remaining_seconds()) == ([], 0.0)
    lease.run(0.01)
    await asyncio.sleep(0.05)
    assert ended == [1]


async def test_a_shorter_run_ends_earlier_than_the_timer_that_was_set(ended):
    lease = Lease(lambda: ended.append(1))
    lease.run(60)
    lease.run(0.02)
    await asyncio.sleep(0.1)
    assert ended == [1]


async def test_a_cancelled_lease_never_ends(ended):
    lease = Lease(lambda: ended.append(1))
    lease.run(0.01)
    lease.cancel()
    await asyncio.sleep(0.05)
    assert ended == []
