"""What a box used, from the kernel's own counters; each figure with its source, and absent where nothing counted it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from sandboxd.launcher.cgroups import Cgroup

_CPUCLOCK_SCHED = 2  # linux/include/linux/posix-timers.h: a process's CPU clock id is (~pid << 3) | 2


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment, or (after `since`) their growth over an execution."""

    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    oom_kills: int | None = None
    pids_refused: int | None = None
    disk_bytes: int | None = None
    disk_full: bool = False
    wall_seconds: float | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def since(self, before: Reading, wall_seconds: float) -> Reading:
        """Return the growth from `before` to this reading (peaks and levels as they are)."""
        return Reading(
            cpu_seconds=_minus(self.cpu_seconds, before.cpu_seconds),
            memory_peak_bytes=self.memory_peak_bytes,
            oom_kills=_minus(self.oom_kills, before.oom_kills),
            pids_refused=_minus(self.pids_refused, before.pids_refused),
            disk_bytes=self.disk_bytes,
            disk_full=self.disk_full,
            wall_seconds=wall_seconds,
            sources={**self.sources, "wall_seconds": "launcher clock"},
        )

    def usage(self) -> dict[str, Any]:
        """Return the fields of `sandboxd.events.Usage` that were measured."""
        fields = {
            "cpu_seconds": self.cpu_seconds,
            "wall_seconds": self.wall_seconds,
            "memory_peak_bytes": self.memory_peak_bytes,
            "disk_bytes": self.disk_bytes,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        return {**known, "sources": {name: text for name, text in self.sources.items() if name in known}}

    def limits_hit(self) -> list[str]:
        """Return the limits that refused something without ending the program."""
        hits = [("pids", bool(self.pids_refused)), ("disk", self.disk_full)]
        return [name for name, hit in hits if hit]


def _minus(after: Any, before: Any) -> Any:
    return None if after is None or before is None else after - before


class Meter:
    """Reads one box. Without a cgroup CPU is the guest process's own clock, its children not included."""

    def __init__(self, cgroup: Cgroup | None, work_fd: int) -> None:
        self._cgroup = cgroup
        self._work_fd = work_fd
        self.guest_pid = 0  # in the launcher's pid namespace
        self._last_cpu: float | None = (
            None  # since the execution's start, for a guest that is dead when asked
        )

    def cpu_seconds(self) -> float | None:
        """Return CPU seconds so far; for a dead guest what was last seen of it in this execution."""
        if self._cgroup is not None and (used := self._cgroup.cpu_seconds()) is not None:
            return used
        try:
            self._last_cpu = time.clock_gettime((~self.guest_pid << 3) | _CPUCLOCK_SCHED)
        except OSError:
            return self._last_cpu
        return self._last_cpu

    def read(self, *, start: bool) -> Reading:
        """Read all counters. `start` also begins a new memory peak where the kernel can."""
        statistics = os.fstatvfs(self._work_fd)
        used = (statistics.f_blocks - statistics.f_bfree) * statistics.f_frsize
        full = statistics.f_blocks > 0 and (statistics.f_bavail == 0 or statistics.f_ffree == 0)
        sources = {
            "disk_bytes": "statvfs of the scratch file system",
            "cpu_seconds": "clock of the guest process",
        }
        if self._cgroup is None:
            cpu = self.cpu_seconds()
            if start:
                self._last_cpu = None
            return Reading(cpu_seconds=cpu, disk_bytes=used, disk_full=full, sources=sources)
        if start:
            self._cgroup.reset_peak()
        seen = self._cgroup.evidence()
        if seen.cpu_seconds is not None:
            sources["cpu_seconds"] = "cgroup"
        return Reading(
            cpu_seconds=seen.cpu_seconds if seen.cpu_seconds is not None else self.cpu_seconds(),
            memory_peak_bytes=seen.memory_peak_bytes,
            oom_kills=seen.oom_kills,
            pids_refused=seen.pids_refused,
            disk_bytes=used,
            disk_full=full,
            sources={**sources, "memory_peak_bytes": "cgroup"},
        )
