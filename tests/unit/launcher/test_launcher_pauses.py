"""The wall clock of an execution stands still while its client runs a tool, for so long in all; no other clock does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from sandboxd.launcher.execution import Execution, Reins
from sandboxd.launcher.meter import Reading


@dataclass
class Seen:
    causes: list[str] = field(default_factory=list)
    used: float = 0.0

    def cpu_seconds(self) -> float:
        return self.used


def execution(seen: Seen, *, deadline: float = 0.1, wait: float = 1.0, cpu: float = 60.0) -> Execution:
    return Execution(
        1, deadline_seconds=deadline, grace_seconds=0.0, cpu_seconds=cpu, wait_seconds=wait, before=Reading(cpu_seconds=0.0),
        meter=seen, reins=Reins(lambda cause, _: seen.causes.append(cause), lambda: None, lambda: None),  # type: ignore[arg-type]
    )  # fmt: skip


async def slept(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def test_it_stands_still_and_goes_on_with_what_was_left() -> None:
    seen = Seen()
    one = execution(seen, deadline=0.15)
    await slept(0.05)
    one.pause()
    await slept(0.3)
    assert seen.causes == []
    one.resume()
    await slept(0.02)
    assert seen.causes == [], "0.1 s was left"
    await slept(0.3)
    assert seen.causes == ["timeout_wall"]
    one.stop()


async def test_all_waiting_together_is_bounded_whatever_the_front_says() -> None:
    seen = Seen()
    one = execution(seen, deadline=0.1, wait=0.2)
    for _ in range(3):
        one.pause()
        await slept(0.05)
        one.resume()
    one.pause()
    await slept(0.5)  # no `resume`: 0.05 s were left of the waiting, then 0.1 s of the deadline
    assert seen.causes == ["timeout_wall"]
    one.stop()


async def test_none_is_granted_where_there_is_none() -> None:
    seen = Seen()
    one = execution(seen, deadline=0.05, wait=0.0)
    one.pause()
    await slept(0.2)
    assert seen.causes == ["timeout_wall"]
    one.stop()


async def test_the_processor_s_limit_holds_while_it_stands() -> None:
    seen = Seen(used=5.0)
    one = execution(seen, cpu=0.01)
    one.pause()
    await slept(0.2)
    assert seen.causes == ["timeout_cpu"]
    one.stop()


async def test_an_end_is_an_end_and_repeats_change_nothing() -> None:
    seen = Seen()
    one = execution(seen, deadline=0.1)
    one.resume()
    one.pause()
    one.pause()
    one.end("cancelled", "client")
    one.resume()
    one.pause()
    await slept(0.25)
    assert seen.causes == ["cancelled"]
    one.stop()
    after: Any = seen.causes.copy()
    await slept(0.05)
    assert seen.causes == after
