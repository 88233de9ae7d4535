"""What a box used, from the kernel's own counters; each figure with its source, and absent where nothing counted it.

The counters are descriptors, opened once: opening a cgroup's file costs several times a read of it. The launcher opens
them and hands copies to the front, which reads them when a guest answers: a round trip less for every execution. They
let their holder read (and begin a new memory peak), and open nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCRATCH = "scratch"  # the name of the descriptor for statfs(2); the others are named after the cgroup's files
PEAKS = ("memory.peak", "memory.max_usage_in_bytes")
KILLS = ("memory.events", "memory.oom_control")
CPU_V1, CPU_V2, PIDS = "cpuacct.usage", "cpu.stat", "pids.events"
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

    def counters(self) -> dict[str, float]:
        """Return what grows, for whoever is to tell the growth later."""
        known = {
            "cpu_seconds": self.cpu_seconds,
            "oom_kills": self.oom_kills,
            "pids_refused": self.pids_refused,
        }
        return {name: value for name, value in known.items() if value is not None}

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
            sources={**self.sources, "wall_seconds": "daemon clock"},
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
        """Return the limits that refused something; memory's did by killing a process, which need not be the guest."""
        hits = [
            ("pids", bool(self.pids_refused)),
            ("disk", self.disk_full),
            ("memory", (self.oom_kills or 0) > 0),
        ]
        return [name for name, hit in hits if hit]


def _minus(after: Any, before: Any) -> Any:
    return None if after is None or before is None else after - before


class Meter:
    """Reads one member of a box. Without a cgroup of its own CPU is the guest process's clock, its children not included.

    Args:
        files: descriptors by name (`SCRATCH` and the names of cgroup files); the owner closes them.
    """

    def __init__(self, files: Mapping[str, int]) -> None:
        self.guest_pid = 0  # in this process's pid namespace
        self._last: Reading | None = None
        self._scratch = files.get(SCRATCH)
        self._cpu_v1, self._cpu_v2 = files.get(CPU_V1), files.get(CPU_V2)
        self._pids = files.get(PIDS)
        self._peak = next((files[name] for name in PEAKS if name in files), None)
        # v1 resets a peak that is written to; v2 from 6.12, for that open file, which the holders of copies share. An older
        # kernel's file cannot be opened for writing, and holds one peak of all times.
        self._peak_resets = self._peak is not None and _writable(self._peak)
        self._peak_before = -1
        self._kills = next((files[name] for name in KILLS if name in files), None)
        self._last_cpu: float | None = None  # in this execution, for a guest that is dead when asked
        self.oom_of_others = (
            0  # processes of other members that the memory limit killed, of those that the cgroup counts
        )
        self._shared = False
        self._sources = self._name_sources()

    def _name_sources(self) -> dict[str, str]:
        in_cgroup = self._cpu_v1 is not None or self._cpu_v2 is not None
        of_tree = " of the session tree" if self._shared else ""
        return {
            "cpu_seconds": "cgroup" if in_cgroup and not self._shared else "clock of the guest process",
            "memory_peak_bytes": "cgroup" + of_tree,
            "disk_bytes": "statvfs of the scratch file system" + of_tree,
        }

    @property
    def shared(self) -> bool:
        """Tell whether other live members are counted by the same cgroup."""
        return self._shared

    def share(self, *, shared: bool) -> None:
        """Say whether other live members are counted by the same cgroup: then CPU is the guest process's own clock."""
        if shared != self._shared:
            self._shared = shared
            self._sources = self._name_sources()
            self._last = None

    def watch(self, guest_pid: int) -> None:
        """Take a guest, the first one or the next."""
        self.guest_pid = guest_pid
        self._last = None

    def begin(self) -> Reading:
        """Return the counters at the start of an execution, and begin a new memory peak where the kernel can.

        They are those at the last one's end: between executions nothing runs but what the last one left until it is stopped,
        and that is nobody else's.
        """
        self._last_cpu = None
        if self._peak is not None and self._peak_resets:
            os.pwrite(self._peak, b"0", 0)
        self.note_peak()
        return self._last or self.read()

    def note_peak(self) -> None:
        """Remember a peak that does not begin anew: it is an execution's own only if it grows meanwhile."""
        if self._peak is not None and not self._peak_resets:
            self._peak_before = int(_text(self._peak))

    def cpu_seconds(self) -> float | None:
        """Return CPU seconds so far; for a dead guest what was last seen of it in this execution."""
        if self._cpu_v1 is not None and not self._shared:
            return int(_text(self._cpu_v1)) / 1e9
        if self._cpu_v2 is not None and not self._shared:
            used = _counter(self._cpu_v2, b"usage_usec")
            return None if used is None else used / 1e6
        try:
            self._last_cpu = time.clock_gettime((~self.guest_pid << 3) | _CPUCLOCK_SCHED)
        except OSError:
            return self._last_cpu
        return self._last_cpu

    def read(self) -> Reading:
        """Read all counters."""
        used, full = (None, False) if self._scratch is None else _filled(self._scratch)
        self._last = Reading(
            cpu_seconds=self.cpu_seconds(),
            memory_peak_bytes=self._own_peak(),
            oom_kills=self._oom_kills(),
            pids_refused=None if self._pids is None else _counter(self._pids, b"max"),
            disk_bytes=used,
            disk_full=full,
            sources=self._sources,
        )
        return self._last

    def _oom_kills(self) -> int | None:
        kills = None if self._kills is None else _counter(self._kills, b"oom_kill")
        return None if kills is None else kills - self.oom_of_others

    def _own_peak(self) -> int | None:
        peak = -1 if self._peak is None else int(_text(self._peak))
        return peak if peak > self._peak_before else None


def _writable(fd: int) -> bool:
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


def _text(fd: int) -> bytes:
    return os.pread(fd, 4096, 0)


def _counter(fd: int, key: bytes) -> int | None:
    for line in _text(fd).splitlines():
        found, _, value = line.partition(b" ")
        if found == key:
            return int(value)
    return None


def _filled(fd: int) -> tuple[int, bool]:
    statistics = os.fstatvfs(fd)
    used = (statistics.f_blocks - statistics.f_bfree) * statistics.f_frsize
    return used, statistics.f_blocks > 0 and (statistics.f_bavail == 0 or statistics.f_ffree == 0)
