"""The cgroups of one daemon: a parent per hierarchy, a leaf per box; limits in, evidence out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxd.launcher.cgroups.detect import Home

REMOVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counters of one leaf; None where no controller counts them."""

    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    oom_kills: int | None = None
    pids_refused: int | None = None


class CgroupTree:
    """Makes and removes leaves. Not thread-safe: the launcher is single-threaded."""

    def __init__(self, homes: Mapping[str, Home], instance: str, memory_total_bytes: int | None) -> None:
        self.homes = dict(homes)
        self._parents: dict[str, Path] = {}
        for controller, home in self.homes.items():
            parent = home.path / f"sandboxd-{instance}"
            parent.mkdir(exist_ok=True)
            self._parents[controller] = parent
        self._enable_below()
        if memory_total_bytes is not None and "memory" in self._parents:
            _limit_memory(self._parents["memory"], self.homes["memory"].version, memory_total_bytes)

    def _enable_below(self) -> None:
        for controller, parent in self._parents.items():
            if self.homes[controller].version == 2:  # noqa: PLR2004
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")

    @property
    def roots(self) -> list[str]:
        """Return the directories this tree made, for whoever has to clean up after a crash."""
        return sorted({str(parent) for parent in self._parents.values()})

    def create(self, name: str) -> Cgroup:
        """Make a leaf in every hierarchy."""
        paths = {controller: parent / name for controller, parent in self._parents.items()}
        for path in set(paths.values()):
            path.mkdir()
        return Cgroup(paths, {controller: home.version for controller, home in self.homes.items()})

    def close(self) -> None:
        """Remove the parents; leaves must be gone."""
        for parent in set(self._parents.values()):
            _remove(parent)


class Cgroup:
    """One box's leaf: the same name in each hierarchy."""

    def __init__(self, paths: dict[str, Path], versions: dict[str, int]) -> None:
        self._paths = paths
        self._versions = versions
        self._open: dict[Path, Any] = {}

    def add(self, pid: int) -> None:
        """Move a process into the leaf."""
        for path in set(self._paths.values()):
            (path / "cgroup.procs").write_text(str(pid))

    def limit(self, *, memory_bytes: int, pids: int) -> None:
        """Set the limits. Swap counts as memory."""
        if "memory" in self._paths:
            _limit_memory(self._paths["memory"], self._versions["memory"], memory_bytes)
        if "pids" in self._paths:
            (self._paths["pids"] / "pids.max").write_text(str(pids))

    def reset_peak(self) -> None:
        """Start the memory peak anew where the kernel can (v1; v2 only from 6.12, and per descriptor)."""
        path = self._paths.get("memory")
        if path is not None and self._versions["memory"] == 1:
            with contextlib.suppress(OSError):
                self._write(path / "memory.max_usage_in_bytes", "0")

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of everything that ever ran in the leaf."""
        path = self._paths.get("cpu")
        if path is None:
            return None
        if self._versions["cpu"] == 1:
            return int(self._read(path / "cpuacct.usage")) / 1e9
        return _counters(self._read(path / "cpu.stat")).get("usage_usec", 0) / 1e6

    def task_count(self) -> int | None:
        """Return the number of tasks in the leaf, threads included."""
        path = self._paths.get("pids")
        return int(self._read(path / "pids.current")) if path is not None else None

    def evidence(self) -> Evidence:
        """Return the leaf's counters."""
        peak = kills = refused = None
        memory, pids = self._paths.get("memory"), self._paths.get("pids")
        if memory is not None:
            first = self._versions["memory"] == 1
            peak_file = memory / ("memory.max_usage_in_bytes" if first else "memory.peak")
            with contextlib.suppress(OSError, ValueError):
                peak = int(self._read(peak_file))
            events = self._read(memory / ("memory.oom_control" if first else "memory.events"))
            kills = _counters(events).get("oom_kill")
        if pids is not None:
            refused = _counters(self._read(pids / "pids.events")).get("max")
        return Evidence(self.cpu_seconds(), peak, kills, refused)

    def _handle(self, path: Path, mode: str) -> Any:
        # Kept open and re-read: opening a cgroup file costs several times a read of it.
        if path not in self._open:
            self._open[path] = path.open(mode, buffering=0)
        return self._open[path]

    def _read(self, path: Path) -> str:
        file = self._handle(path, "r+b" if path.name == "memory.max_usage_in_bytes" else "rb")
        file.seek(0)
        raw: bytes = file.read(4096)
        return raw.decode("ascii")

    def _write(self, path: Path, text: str) -> None:
        file = self._handle(path, "r+b")
        file.seek(0)
        file.write(text.encode())

    def remove(self) -> None:
        """Remove the leaf; its processes must be dead."""
        for file in self._open.values():
            file.close()
        self._open.clear()
        for path in set(self._paths.values()):
            _remove(path)


def _limit_memory(path: Path, version: int, limit_bytes: int) -> None:
    if version == 1:
        swap = path / "memory.memsw.limit_in_bytes"
        if swap.exists():  # memsw must never be below the limit, in whichever direction the limit moves
            with contextlib.suppress(OSError):
                swap.write_text("-1")
        (path / "memory.limit_in_bytes").write_text(str(limit_bytes))
        if swap.exists():
            swap.write_text(str(limit_bytes))
        return
    (path / "memory.max").write_text(str(limit_bytes))
    with contextlib.suppress(FileNotFoundError):
        (path / "memory.swap.max").write_text("0")


def _counters(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004


def _remove(path: Path) -> None:
    """Remove a cgroup directory; the kernel says EBUSY until its last dead process is accounted for."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return
