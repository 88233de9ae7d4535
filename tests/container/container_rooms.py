"""Opening containers and running cells in them, without a daemon around them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

from sandboxd.events import Display, Limits, Output, Result
from sandboxd.executors.base import BoxSpec, Job
from sandboxd.executors.container import ContainerExecutor, ContainerYard
from sandboxd.executors.container_box import ContainerBox

MIB = 1 << 20
LIMITS = Limits(
    wall_seconds=20.0, grace_seconds=0.25, cpu_seconds=20.0, memory_bytes=256 * MIB, disk_bytes=16 * MIB,
    output_bytes=MIB, pids=32, files=1024, memory_enforce="total",
)  # fmt: skip
_numbers = itertools.count(1)


@dataclass
class Room:
    """A box, and what its last cell printed."""

    box: ContainerBox
    printed: list[Output | Display] = field(default_factory=list)

    async def run(self, code: str, *, seconds: float = 20.0) -> Result:
        self.printed.clear()
        return await self.box.execute(Job(f"cell-{next(_numbers)}", code, seconds), self.printed.append)

    async def value(self, code: str) -> str:
        result = await self.run(code)
        assert result.outcome == "ok", (result.outcome, result.evidence, result.error)
        return result.text or ""

    def output(self, stream: str = "stdout") -> bytes:
        return b"".join(one.data for one in self.printed if isinstance(one, Output) and one.stream == stream)


@dataclass
class Tier:
    """A tier on the test engine."""

    yard: ContainerYard
    executor: ContainerExecutor
    limits: Limits

    async def open(self, **limits: Any) -> Room:
        number = next(_numbers)
        spec = BoxSpec(f"session-{number}", "base", replace(self.limits, **limits))
        return Room(await self.executor.open(spec))

    @property
    def containers(self) -> list[str]:
        return sorted(self.yard.held)
