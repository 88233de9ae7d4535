"""A stream that floods is read at a pace: its requests took the loop from all other clients for seconds."""

from __future__ import annotations

import asyncio

import pytest

from sandboxd.service import stream


async def pauses_of(monkeypatch: pytest.MonkeyPatch, seconds_between: float, requests: int) -> int:
    now, pauses = [0.0], []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    pace = stream._Pace()
    monkeypatch.setattr(pace, "_loop", type("Clock", (), {"time": lambda _: now[0]})())
    monkeypatch.setattr(asyncio, "sleep", sleep)
    now[0] = 100.0
    for _ in range(requests):
        now[0] += seconds_between
        await pace.keep()
    return len(pauses)


async def test_a_flood_pauses_and_a_busy_client_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pauses_of(monkeypatch, 0.000_01, 64 * 10) == 9
    assert await pauses_of(monkeypatch, 0.001, 64 * 10) == 0, "a thousand requests a second are honest"
