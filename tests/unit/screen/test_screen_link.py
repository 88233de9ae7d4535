"""The daemon's end of a screener's socket: what its end means for who asks, and that the log has it once."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from sandboxd.screen.link import Link, LinkError


@pytest.mark.parametrize("size", [10, 8 << 20], ids=["before", "half-way"])
async def test_a_process_that_ends_while_it_is_asked_is_one_error(size):
    """Not one more in asyncio's log, of an answer that nobody waits for yet."""
    unheard: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    ours, theirs = socket.socketpair()
    link = Link(ours)
    if size == 10:
        theirs.close()
        asked = link.ask({}, b"x" * size, 5.0)
    else:  # more than the socket holds: the question is on its way when the process ends
        asked = asyncio.create_task(link.ask({}, b"x" * size, 5.0))
        await asyncio.sleep(0)
        theirs.close()
    with pytest.raises(LinkError):
        await asked
    link.close()
    del asked, link
    gc.collect()
    await asyncio.sleep(0)
    assert unheard == []
