"""The wall clock of an execution stands still while its client runs a tool, for so long in all; no other clock does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandboxd.launcher import execution as module
from sandboxd.launcher.execution import Execution, Reins
from sandboxd.launcher.meter import Reading


@dataclass
class Handle:
    at: float
    run: Callable[[], Any]
    cancelled: bool = False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Loop:
    """A loop whose time a test turns."""

    now: float = 100.0
    waiting: list[Handle] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Handle:
        handle = Handle(self.now + delay, lambda: callback(*arguments))
        self.waiting.append(handle)
        return handle

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            due = [one for one in self.waiting if not one.cancelled and one.at <= end]
            if not due:
                break
            first = min(due, key=Handle.when)
            self.waiting.remove(first)
            self.now = max(self.now, first.at)
            first.run()
        self.now = end


@dataclass
class Watched:
    """An execution, its time, and what made it end."""

    monkeypatch: pytest.MonkeyPatch
    loop: Loop = field(default_factory=Loop)
    causes: list[str] = field(default_factory=list)
    used: float = 0.0

    def cpu_seconds(self) -> float:
        return self.used

    def begin(self, *, deadline: float, wait: float, cpu: float = 1e6) -> Execution:
        self.monkeypatch.setattr(module.asyncio, "get_running_loop", lambda: self.loop)
        return Execution(
            1, deadline_seconds=deadline, grace_seconds=0.0, cpu_seconds=cpu, wait_seconds=wait, before=Reading(cpu_seconds=0.0),
            meter=self, reins=Reins(lambda cause, _: self.causes.append(cause), lambda: None, lambda: None),  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_it_stands_still_and_goes_on_with_what_was_left(watched: Watched) -> None:
    one = watched.begin(deadline=10, wait=1000)
    watched.loop.pass_(4)
    one.pause()
    watched.loop.pass_(500)
    assert watched.causes == []
    one.resume()
    watched.loop.pass_(5.9)
    assert watched.causes == [], "6 s were left"
    watched.loop.pass_(0.2)
    assert watched.causes == ["timeout_wall"]


def test_all_waiting_together_is_bounded_whatever_the_front_says(watched: Watched) -> None:
    one = watched.begin(deadline=10, wait=20)
    for _ in range(3):
        one.pause()
        watched.loop.pass_(5)
        one.resume()
    one.pause()  # and no `resume`: 5 s are left of the waiting, then 10 s of the deadline
    watched.loop.pass_(14.9)
    assert watched.causes == []
    one.pause()  # too late to be granted anything
    watched.loop.pass_(0.2)
    assert watched.causes == ["timeout_wall"]


def test_none_is_granted_where_there_is_none(watched: Watched) -> None:
    one = watched.begin(deadline=10, wait=0)
    one.pause()
    watched.loop.pass_(10)
    assert watched.causes == ["timeout_wall"]


def test_the_processor_s_limit_holds_while_it_stands(watched: Watched) -> None:
    one = watched.begin(deadline=10, wait=1000, cpu=2)
    one.pause()
    watched.loop.pass_(20)
    assert watched.causes == []
    watched.used = 2.5
    watched.loop.pass_(20)
    assert watched.causes == ["timeout_cpu"]


def test_an_end_is_an_end_and_repeats_change_nothing(watched: Watched) -> None:
    one = watched.begin(deadline=10, wait=1000)
    one.resume()
    one.pause()
    one.pause()
    one.end("cancelled", "client")
    one.resume()
    one.pause()
    watched.loop.pass_(2000)
    assert watched.causes == ["cancelled"]


def test_stopping_stops_a_clock_that_stands(watched: Watched) -> None:
    one = watched.begin(deadline=10, wait=20)
    one.pause()
    one.stop()
    watched.loop.pass_(100)
    assert watched.causes == []
