"""Admission: counted, first in first out, bounded, and never negative."""

from __future__ import annotations

import asyncio

import pytest

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.quota import Admission, Bounds


def admission(**bounds: int) -> Admission:
    return Admission(Bounds(**{"max_sessions": 2, "max_concurrent": 1, "max_queue": 2, **bounds}))


def refused(code: Code, action) -> SandboxdError:
    with pytest.raises(SandboxdError) as caught:
        action()
    assert (caught.value.code, caught.value.failure) == (code, FailureClass.NOT_STARTED)
    return caught.value


def test_sessions_are_counted_and_released_once():
    gate = admission()
    first, _ = gate.reserve(1), gate.reserve(1)
    assert refused(Code.QUOTA_SESSIONS, lambda: gate.reserve(1)).retry_after_seconds > 0
    first.release()
    first.release()
    assert (gate.sessions, gate.memory_bytes) == (1, 1)


def test_memory_is_added_up():
    gate = admission(max_sessions=9, memory_total_bytes=100)
    gate.reserve(60)
    assert refused(Code.QUOTA_MEMORY, lambda: gate.reserve(41)).retry_after_seconds > 0
    gate.reserve(40)
    # What never fits is not worth coming back for.
    assert refused(Code.QUOTA_MEMORY, lambda: gate.reserve(101)).retry_after_seconds == 0
    assert gate.sessions == 2


def test_a_clone_takes_a_place_and_no_memory_and_the_last_of_a_tree_gives_the_memory_back():
    gate = admission(max_sessions=3, memory_total_bytes=100)
    original = gate.reserve(100)
    clone = original.share()
    nested = clone.share()
    assert (gate.sessions, gate.memory_bytes) == (3, 100)
    assert refused(Code.QUOTA_SESSIONS, nested.share).retry_after_seconds > 0
    original.release()
    clone.release()
    clone.release()
    assert (gate.sessions, gate.memory_bytes) == (1, 100), "the tree lives on from it"
    nested.release()
    assert (gate.sessions, gate.memory_bytes) == (0, 0)


async def test_the_queue_is_served_in_turn_and_bounded():
    gate, order = admission(), []

    async def run(name: str) -> None:
        await gate.enter()
        order.append(name)

    await gate.enter()
    tasks = [asyncio.create_task(run(name)) for name in "ab"]
    await asyncio.sleep(0)
    assert (gate.running, gate.queued) == (1, 2)
    with pytest.raises(SandboxdError) as caught:
        await gate.enter()
    assert (caught.value.code, caught.value.retry_after_seconds > 0) == (Code.QUOTA_QUEUE, True)
    for _ in tasks:
        gate.leave()
        await asyncio.sleep(0)
    assert order == ["a", "b"]
    gate.leave()
    await asyncio.gather(*tasks)
    assert (gate.running, gate.queued) == (0, 0)


async def test_a_newcomer_does_not_overtake_who_was_just_handed_the_slot():
    gate = admission()
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.leave()
    newcomer = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert waiting.done()
    assert not newcomer.done()
    gate.leave()
    await newcomer


async def test_a_cancelled_waiter_loses_no_slot():
    gate = admission()
    await gate.enter()
    one, two = (asyncio.create_task(gate.enter()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.sleep(0)
    assert gate.queued == 1
    gate.leave()
    two.cancel()  # in the same turn in which it got the slot
    await asyncio.gather(one, two, return_exceptions=True)
    assert gate.running == 0
    await asyncio.wait_for(gate.enter(), 1)


async def test_all_cancelled_waiters_leave_the_gate_open():
    gate = admission()
    await gate.enter()
    tasks = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    gate.leave()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (gate.running, gate.queued) == (0, 0)
    await asyncio.wait_for(gate.enter(), 1)
