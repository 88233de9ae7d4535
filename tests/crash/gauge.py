"""What a daemon holds at a moment: memory, heaps, descriptors and threads of each of its parts, and the size of its log."""

from __future__ import annotations

import itertools
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from traces import Process, family

from crash.house import VISITORS, House

PARTS = ("front", "launcher", "undertaker", "zygote", "screener", "pid1", "waiting")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a quiet house. Memory is the proportional share, bytes, by part; several of a part are added up."""

    executions: int
    heaps: dict[str, float]
    memory_bytes: dict[str, int]
    descriptors: Counter[str]
    threads: Counter[str]
    processes: Counter[str]
    cgroups: int
    mounts: int
    network_namespaces: int
    log_bytes: int


def take(house: House, executions: int) -> Sample:
    """Look at a house after so many executions."""
    members = [process for process in family() if process.pid not in VISITORS and process.role in PARTS]
    rows = house.snapshot().rows
    memory: Counter[str] = Counter()
    descriptors: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    for process in members:
        memory[process.role] += _memory_bytes(process)
        descriptors[process.role] += _count(process, "fd")
        threads[process.role] += _count(process, "task")
    return Sample(
        executions,
        house.heaps(),
        {role: size for role, size in memory.items() if size},
        Counter({role: count for role, count in descriptors.items() if count}),
        threads,
        Counter(process.role for process in members),
        sum(rows["cgroups"].values()),
        sum(rows["mounts"].values()),
        rows["namespaces"]["net"],
        sum(path.stat().st_size for path in (house.state / "log").iterdir()),
    )


def _memory_bytes(process: Process) -> int:
    """Return the proportional set size; 0 where a process does not show it (an ordinary user's jails)."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _count(process: Process, what: str) -> int:
    try:
        return len(os.listdir(f"/proc/{process.pid}/{what}"))
    except OSError:
        return 0


# ---- flat or not ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: its median in the second quarter of the run, in the last one, and how much more is allowed there."""

    name: str
    early: float
    late: float
    allowed: float

    @property
    def flat(self) -> bool:
        return self.late <= self.early + self.allowed


def rows(samples: Sequence[Sample], memory_allowed_bytes: int, heap_allowed: float = 0.01) -> list[Row]:
    """Compare the last quarter with the second one: the first is the warm-up, in which caches fill.

    Counts may not grow at all, what is in use of a heap by `heap_allowed`. Resident memory may by 2 % and a fixed amount for each part:
    allocators keep free memory, now more, now less, and whose a shared page is depends on all other processes of the host.
    """
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter] or samples[:1], samples[-quarter:]

    def row(name: str, value: object, allowed: float = 0.0, share: float = 0.0) -> Row:
        first = statistics.median(value(sample) for sample in early)  # type: ignore[operator]
        return Row(name, first, statistics.median(value(sample) for sample in late), allowed + share * first)  # type: ignore[operator]

    found = [
        row(f"memory of {part}, KiB", lambda s, part=part: s.memory_bytes.get(part, 0) / 1024, memory_allowed_bytes / 1024, 0.02)
        for part in samples[-1].memory_bytes
    ]  # fmt: skip
    found += [row(name, lambda s, name=name: s.heaps[name], share=heap_allowed) for name in samples[-1].heaps]
    for kind in ("descriptors", "threads", "processes"):
        found += [
            row(f"{kind} of {part}", lambda s, kind=kind, part=part: getattr(s, kind)[part])
            for part in sorted(getattr(samples[-1], kind))
        ]
    for kind in ("cgroups", "mounts", "network_namespaces"):
        found.append(row(kind, lambda s, kind=kind: getattr(s, kind)))
    per_execution = [
        (after.log_bytes - before.log_bytes) / max(1, after.executions - before.executions)
        for before, after in itertools.pairwise(samples)
    ]
    half = max(1, len(per_execution) // 2)
    first, last = statistics.median(per_execution[:half]), statistics.median(per_execution[-half:])
    return [*found, Row("log bytes an execution", first, last, 0.1 * first)]


def table(found: Sequence[Row]) -> str:
    """Return the rows as text."""
    head = f"{'figure':<32} {'second quarter':>15} {'last quarter':>15} {'allowed':>10}"
    lines = [
        f"{row.name:<32} {row.early:15.1f} {row.late:15.1f} {'+' + format(row.allowed, '.1f'):>10}"
        + ("" if row.flat else "  GROWS")
        for row in found
    ]
    return "\n".join([head, "-" * len(head), *lines])
