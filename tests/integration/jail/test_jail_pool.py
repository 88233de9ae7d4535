"""The boxes that wait: honest counters, a size that follows the demand, and no work at the cost of an open."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from jail_boxes import LIMITS, eventually, find, run
from jail_pools import open_one, pool, started, stocked, until

from sandboxd.executors.base import BoxSpec
from sandboxd.executors.process import ProcessExecutor
from sandboxd.executors.process_box import ProcessBox

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

MOST = 6
BURST = 64


# These two count processes: they stand before the tests that have a launcher in common.


async def test_fresh_ones_wait_only_while_they_are_asked_for_and_no_more_than_they_may():
    async with started(pool_size=0, pool_max=0, pool_fresh=1) as executor:
        assert find("pid1") == []
        spec = BoxSpec("s-test", "base", LIMITS, fresh=True)
        box = await executor.open(spec)
        assert not box.pooled

        async def waits() -> bool:
            return [one.waiting for one in await executor.pools() if one.fresh] == [1]

        await until(waits)
        assert len(find("pid1")) == 2
        assert (await executor.open(spec)).pooled


async def test_without_a_pool_nothing_ever_waits():
    async with started(pool_size=0, pool_max=0) as executor:
        for _ in range(3):
            box = await open_one(executor)
            assert not box.pooled
            await box.close()
        await asyncio.sleep(0.1)
        now = await pool(executor)
        assert (now.waiting, now.target, now.hits, now.misses, now.builds) == (0, 0, 0, 3, 3)
        assert find("pid1") == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor() -> AsyncIterator[ProcessExecutor]:
    async with started(pool_size=2, pool_max=MOST) as executor:
        yield executor


async def test_an_open_that_finds_one_waiting_says_so_and_one_that_does_not_too(executor):
    before = await stocked(executor)
    found = [await open_one(executor) for _ in range(2)]
    made = await asyncio.gather(*(open_one(executor) for _ in range(3)))
    after = await pool(executor)
    assert [box.pooled for box in found] == [True, True]
    assert after.hits - before.hits == 2 + sum(box.pooled for box in made)
    assert (after.joined + after.misses) - (before.joined + before.misses) == sum(
        not box.pooled for box in made
    )
    assert 0 < after.build_median_seconds <= after.build_longest_seconds
    for box in [*found, *made]:
        await box.close()


async def test_a_burst_is_not_built_twice(executor):
    before = await stocked(executor)
    boxes = await asyncio.gather(*(open_one(executor) for _ in range(BURST)))
    meanwhile = await pool(executor)
    # Nothing was built ahead while somebody waited for a box of his own; one may just have begun.
    assert meanwhile.builds - before.builds <= BURST - before.waiting + 1
    after = await stocked(executor)
    assert after.builds - before.builds <= BURST + MOST
    assert before.target < after.target <= min(MOST, 2 * before.target), (
        "more wait, yet not as many as the burst had"
    )
    assert len(find("pid1")) == BURST + after.waiting
    assert [(await run(box, "6 * 7"))[0].text for box in boxes[::16]] == ["42"] * 4
    await asyncio.gather(*(box.close() for box in boxes))


async def test_no_box_is_made_ahead_while_opens_follow_each_other(executor):
    before = await stocked(executor)
    opened: list[ProcessBox] = []

    async def open_some() -> None:
        opened.extend([await open_one(executor) for _ in range(6)])

    await asyncio.gather(*(open_some() for _ in range(4)))
    after = await pool(executor)
    assert after.builds - before.builds <= 24 - before.waiting + 1
    assert all([(await run(box, "6 * 7"))[0].text == "42" for box in opened[::8]])
    await asyncio.gather(*(box.close() for box in opened))


async def test_a_box_that_died_while_it_waited_is_no_hit(executor):

    before = await stocked(executor)
    for pid in find("pid1"):
        os.kill(pid, signal.SIGKILL)
    assert await eventually(lambda: not find("pid1"))
    box = await open_one(executor)
    after = await pool(executor)
    assert not box.pooled
    assert after.hits == before.hits
    assert (await run(box, "6 * 7"))[0].text == "42"
    await box.close()
