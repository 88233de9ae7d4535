"""The front's hold on a guest's descriptors, on real pipes and without a guest."""

from __future__ import annotations

import os
import socket

from sandboxd.executors.guest import GuestLink


async def test_a_closed_guest_s_pipes_are_not_read_when_their_numbers_are_the_next_one_s() -> None:
    # A death is heard between a claim and the look into the pipes; the next guest's descriptors may come with it.
    control, far = socket.socketpair()
    pipes = [os.pipe(), os.pipe()]
    numbers = [read for read, _ in pipes]
    guest = GuestLink([control.detach(), *numbers], lambda: None)
    seen: list[bytes] = []
    running = guest.run(
        "x-1", "1", name="x", on_output=lambda _, data: seen.append(data), on_display=lambda _: None
    )
    guest.close()
    again = [os.pipe(), os.pipe()]
    assert set(numbers) <= {fd for pipe in again for fd in pipe}, (
        "the numbers were not used again: this proves nothing"
    )
    for read, write in again:
        os.set_blocking(read, False)
        os.write(write, b"of the next guest")
    guest.drain()
    guest.rest()
    assert seen == []
    assert await running is None
    far.close()
    for fd in (fd for pipe in again for fd in pipe):
        os.close(fd)
    for _, write in pipes:
        os.close(write)
