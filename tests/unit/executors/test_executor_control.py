"""A guest's control socket at the front: a flood stays in its sender's buffer, answers arrive whole and in order."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandboxd.executors import control
from sandboxd.executors.control import Control


class Line:
    """Both ends, and what was heard."""

    def __init__(self) -> None:
        ours, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.frames: list[dict[str, Any]] = []
        self.violations = 0
        self.near = Control(ours.detach(), self._heard, self._violated)

    def _heard(self, frame: dict[str, Any]) -> None:
        if "bad" in frame:
            raise KeyError("bad")
        self.frames.append(frame)

    def _violated(self) -> None:
        self.violations += 1

    def say(self, *frames: Any) -> None:
        self.raw(
            b"".join(
                struct.pack(">I", len(body)) + body for body in (json.dumps(one).encode() for one in frames)
            )
        )

    def raw(self, data: bytes) -> None:
        self.far.send(data)

    def fill(self) -> int:
        """Send until the socket takes no more."""
        body = json.dumps({"n": 1}).encode()
        sent = 0
        try:
            while True:
                sent += self.far.send((struct.pack(">I", len(body)) + body) * 100)
        except BlockingIOError:
            return sent


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    yield made
    made.near.close()
    made.far.close()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)


async def test_frames_arrive_in_order_however_they_are_cut(line: Line) -> None:
    data = b"".join(
        struct.pack(">I", len(body)) + body for body in (json.dumps({"n": n}).encode() for n in range(40))
    )
    for at in range(0, len(data), 7):
        line.raw(data[at : at + 7])
        await asyncio.sleep(0)
    await turns()
    assert [one["n"] for one in line.frames] == list(range(40))


async def test_a_few_frames_a_turn(line: Line) -> None:
    line.say(*({"n": n} for n in range(100)))
    seen = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(len(line.frames)))
    while len(line.frames) < 100:
        before = len(line.frames)
        await asyncio.sleep(0)
        assert len(line.frames) - before <= 2 * control.FRAMES_A_TURN


async def test_who_is_held_is_not_read_and_then_goes_on(line: Line) -> None:
    line.near.hold()
    line.say({"n": 1}, {"n": 2})
    await turns()
    assert line.frames == []
    sent = line.fill()
    await turns()
    assert line.far.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) * 4 > sent, (
        "what is in the air is the sender's own"
    )
    with pytest.raises(BlockingIOError):
        line.far.send(b"x" * 65536)
    line.near.release()
    await turns()
    assert [one["n"] for one in line.frames[:2]] == [1, 2]


async def test_a_hold_in_the_midst_of_a_read_holds_what_is_buffered(line: Line) -> None:
    line.say(*({"n": n} for n in range(5)))
    heard = line.frames.append

    def hold_at_two(frame: dict[str, Any]) -> None:
        heard(frame)
        if frame["n"] == 2:
            line.near.hold()

    line.near._on_frame = hold_at_two
    await turns()
    assert [one["n"] for one in line.frames] == [0, 1, 2]
    line.near.release()
    await turns()
    assert [one["n"] for one in line.frames] == [0, 1, 2, 3, 4]


async def test_what_is_sent_arrives_whole_when_the_reader_is_slow(line: Line) -> None:
    bodies = [json.dumps({"n": n, "x": "a" * 100_000}).encode() for n in range(30)]
    for body in bodies:
        line.near.send(body)
    got = b""
    while len(got) < sum(len(body) + 4 for body in bodies):
        await asyncio.sleep(0)
        try:
            got += line.far.recv(1 << 20)
        except BlockingIOError:
            continue
    assert got == b"".join(struct.pack(">I", len(body)) + body for body in bodies)


async def test_who_does_not_read_is_not_read(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_UNSENT_BYTES", 1 << 20)
    for _ in range(40):
        line.near.send(b"a" * 100_000)
    line.say({"n": 1})
    await turns()
    assert line.frames == []
    while True:
        try:
            if not line.far.recv(1 << 20):
                break
        except BlockingIOError:
            await asyncio.sleep(0.001)
            if line.frames:
                break
    assert line.frames == [{"n": 1}]


@pytest.mark.parametrize(
    "data",
    [struct.pack(">I", (16 << 20) + 1), struct.pack(">I", 3) + b"abc", struct.pack(">I", 2) + b"[]", struct.pack(">I", 2) + b"\xff\xff",
     struct.pack(">I", 10) + b'{"bad": 1}', struct.pack(">I", 20_000) + b"[" * 20_000],
)  # fmt: skip
async def test_a_bad_form_is_told_once_and_nothing_is_heard_after_it(line: Line, data: bytes) -> None:
    line.raw(data)
    await turns()
    assert line.violations == 1
    line.say({"n": 1})
    await turns()
    assert (line.violations, line.frames) == (1, [])


async def test_closing_is_idempotent_and_silent(line: Line) -> None:
    line.say({"n": 1})
    assert line.near.close()
    assert not line.near.close()
    await turns()
    line.near.release()
    await turns()
    assert (line.violations, line.frames) == (0, [])


async def test_a_frame_of_many_parts_is_not_parsed(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser makes six million lists of a large one, and the loop serves nobody for two seconds."""
    monkeypatch.setattr(control.json, "loads", lambda _: pytest.fail("it was parsed"))
    body = b'{"op":"x","a":[' + b"[]," * 30_000 + b"0]}"
    line.raw(struct.pack(">I", len(body)) + body)
    await asyncio.sleep(0.05)
    assert (line.frames, line.violations) == ([], 1)


async def test_a_frame_of_large_text_is_taken_whatever_it_holds(line: Line) -> None:
    frames = [{"text": '[{"' * 25_000}, {"text": "\\" * 40_000}, {f"k{n}": "v" * 20 for n in range(2000)}]
    for frame in frames:
        line.say(frame)
        await asyncio.sleep(0.05)
    assert (line.frames, line.violations) == (frames, 0)
