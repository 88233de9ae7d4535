from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxd.log import Intent, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_log(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Log]]:
    opened: list[Log] = []

    def open_it(**settings: object) -> Log:
        wanted = {
            "durability": "write",
            "rotate_bytes": 1 << 20,
            "max_total_bytes": 1 << 24,
            "clock": clock,
        } | settings
        opened.append(Log.open(tmp_path / "log", **wanted))  # type: ignore[arg-type]
        return opened[-1]

    yield open_it
    for log in opened:
        log.close()


@pytest.fixture
def intent() -> Callable[..., Intent]:
    def make(execution_id: str = "e-1", **changed: object) -> Intent:
        values = {
            "uid": 1000,
            "session": "s-aaaaaaaaaaaa",
            "source_sha256": "a" * 64,
            "policy": "default",
            "policy_digest": "b" * 64,
        }
        return Intent(execution_id, **(values | changed))  # type: ignore[arg-type]

    return make
