"""The guest's control socket where a program's own code comes in between."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import pytest

from sandboxd.guest import frames
from sandboxd.guest.interrupts import Gate


def test_who_reads_while_a_frame_is_parsed_reads_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection in the parser runs a program's `__del__`, which may call a tool: it read the same frame once more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = frames.Channel(ours, Gate())
        parse, inner = frames._message, []

        def interrupted(data: bytes) -> dict[str, Any]:
            if not inner:
                inner.append([])
                theirs.sendall(framed(3))
                inner[0] = channel.pump()
            return parse(data)

        monkeypatch.setattr(frames, "_message", interrupted)
        theirs.sendall(framed(1) + framed(2))
        assert channel.pump() == [{"n": 1}]
        assert inner == [[{"n": 2}, {"n": 3}]]


def framed(number: int) -> bytes:
    body = json.dumps({"n": number}).encode()
    return struct.pack(">I", len(body)) + body
