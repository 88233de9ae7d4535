"""The cgroups of one daemon: a parent per hierarchy, a leaf per box; limits in, evidence out."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sandboxd.launcher.cgroups.detect import V2_CONTROLLERS, Home
from sandboxd.launcher.cgroups.guest_group import GuestGroup

REMOVE_SECONDS = 2.0
TASKS = "pids.current"
PEAKS = ("memory.max_usage_in_bytes", "memory.peak")  # writing to one begins a new one


# The files in which each controller counts: those of v1, those of v2.
_COUNTERS = {
    "cpu": (("cpuacct.usage",), ("cpu.stat",)),
    "memory": (("memory.max_usage_in_bytes", "memory.oom_control"), ("memory.peak", "memory.events")),
    "pids": (("pids.events",), ("pids.events",)),
}


class CgroupTree:
    """Makes and removes leaves. Not thread-safe: the launcher is single-threaded."""

    def __init__(
        self,
        homes: Mapping[str, Home],
        instance: str,
        memory_total_bytes: int | None,
        announce: Callable[[list[str]], None],
    ) -> None:
        self.homes = dict(homes)
        self._parents = {use: home.path / f"sandboxd-{instance}" for use, home in self.homes.items()}
        announce(self.roots)  # before they are made: a kill in between must not leave one that nobody knows
        for parent in set(self._parents.values()):
            parent.mkdir(exist_ok=True)
        self._enable_below()
        if memory_total_bytes is not None and "memory" in self._parents:
            _limit_memory(self._parents["memory"], self.homes["memory"].version, memory_total_bytes)

    def _enable_below(self) -> None:
        for controller in V2_CONTROLLERS:
            if controller in self.homes and self.homes[controller].version == 2:  # noqa: PLR2004
                (self._parents[controller] / "cgroup.subtree_control").write_text(f"+{controller}")

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
    """One box's leaf: the same name in each hierarchy, and in v2 the guest's group below it.

    memory.oom.group stays 0: it would take pid 1 too, and with it the session. The guest's score makes it the victim, and
    when it dies pid 1 kills all that it started. Setting it for the guest alone needs the controller below, so a third group
    for pid 1 and three times the memory of the kernel's books, for no other end.
    """

    def __init__(self, paths: dict[str, Path], versions: dict[str, int]) -> None:
        self._paths = paths
        self._versions = versions
        self._counters: dict[str, int] = {}
        self._v2 = next((paths[use] for use, version in versions.items() if version == 2), None)  # noqa: PLR2004
        self.guest = GuestGroup(paths["freezer"]) if "freezer" in paths else None

    @contextlib.contextmanager
    def birthplace(self) -> Iterator[int | None]:
        """Open the directory in which pid 1 is to be born; None without v2."""
        if self._v2 is None:
            yield None
            return
        fd = os.open(self._v2, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def add(self, pid: int) -> None:
        """Move a process into the v2 leaf, which could not be born there."""
        if self._v2 is not None:
            (self._v2 / "cgroup.procs").write_text(str(pid))

    @contextlib.contextmanager
    def doors(self) -> Iterator[list[int]]:
        """Open the files through which pid 1 enters its v1 leaves, and last the one of the guest's group, if any."""
        leaves = {self._paths[use] for use, version in self._versions.items() if version == 1}
        fds = [os.open(leaf / "tasks", os.O_WRONLY | os.O_CLOEXEC) for leaf in sorted(leaves)]
        if self.guest is not None:
            fds.append(self.guest.open_door())
        try:
            yield fds
        finally:
            for fd in fds:
                os.close(fd)

    def kill(self) -> None:
        """Kill pid 1 and everything else in the v2 leaf at once, where the kernel can (5.14)."""
        if self._v2 is not None:
            with contextlib.suppress(OSError):
                (self._v2 / "cgroup.kill").write_text("1")

    def limit(self, *, memory_bytes: int, pids: int) -> None:
        """Set the limits. Swap counts as memory."""
        if "memory" in self._paths:
            _limit_memory(self._paths["memory"], self._versions["memory"], memory_bytes)
        if "pids" in self._paths:
            (self._paths["pids"] / "pids.max").write_text(str(pids))

    def task_count(self) -> int | None:
        """Return the number of tasks in the leaf, threads included."""
        path = self._paths.get("pids")
        if path is None:
            return None
        if TASKS not in self._counters:
            self._counters[TASKS] = os.open(path / TASKS, os.O_RDONLY | os.O_CLOEXEC)
        return int(os.pread(self._counters[TASKS], 64, 0))

    def counters(self) -> dict[str, int]:
        """Return open descriptors of the files that count, by name; a kernel may lack some. Ours to close."""
        for use, names in _COUNTERS.items():
            if use not in self._paths:
                continue
            for name in names[self._versions[use] - 1]:
                with contextlib.suppress(FileNotFoundError):
                    self._counters[name] = _open(self._paths[use], name)
        return self._counters

    def remove(self) -> None:
        """Remove the leaf; its processes must be dead."""
        for fd in self._counters.values():
            os.close(fd)
        self._counters.clear()
        if self.guest is not None:
            self.kill()  # a pid 1 that was born while its maker gave up is known by its group alone
            self.guest.close()
            _remove(self.guest.path)
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


def _open(directory: Path, name: str) -> int:
    path = directory / name
    # A peak alone: writing to other files (memory.oom_control) would change what holds for the box. By its mode: root can
    # open for writing also what an older kernel does not let anybody write.
    writable = name in PEAKS and path.stat().st_mode & stat.S_IWUSR and os.access(path, os.W_OK)
    return os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)


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
