"""A caller that gives up leaves nothing: an open that was cancelled at any moment ends with no box of its own."""

from __future__ import annotations

import asyncio
import contextlib

import jail_boxes
import pytest

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("after_seconds", [0.0, 0.001, 0.003, 0.006, 0.009, 0.012, 0.02])
async def test_an_abandoned_open_leaves_no_guest(executor, after_seconds):
    for _ in range(3):
        opening = asyncio.ensure_future(jail_boxes.open_box(executor))
        await asyncio.sleep(after_seconds)
        if not opening.cancel():
            await opening.result().close()
        with contextlib.suppress(asyncio.CancelledError):
            box = await opening
            await box.close()
    until = asyncio.get_running_loop().time() + 5
    while jail_boxes.find("inmate"):  # the guests of boxes that wait in the pool are no inmates yet
        assert asyncio.get_running_loop().time() < until, "a box that nobody has still runs a guest"
        await asyncio.sleep(0.02)
    another = await jail_boxes.open_box(executor)
    assert (await jail_boxes.run(another, "1 + 1"))[0].text == "2"
    await another.close()
