"""The memory of processes, from the kernel's own books: smaps_rollup and the memory cgroup."""

from __future__ import annotations

from pathlib import Path

import psutil


def tree(pid: int) -> list[int]:
    """Return a process and all that it started."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _rollup(pid: int) -> dict[str, int] | None:
    """Return the sums of a process's mappings in bytes, None where it is gone or may not be read."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    pairs = (line.split() for line in text.splitlines()[1:])
    return {pair[0].rstrip(":"): int(pair[1]) * 1024 for pair in pairs}


def private_bytes(pid: int) -> int | None:
    """Return what nobody else shares with the process."""
    sums = _rollup(pid)
    return None if sums is None else sums["Private_Clean"] + sums["Private_Dirty"]


def proportional_bytes(pids: list[int]) -> float | None:
    """Return the processes' memory with each shared page divided among its users."""
    parts = [sums["Pss"] for pid in pids if (sums := _rollup(pid)) is not None]
    readable = len(parts) == len([pid for pid in pids if psutil.pid_exists(pid)])
    return float(sum(parts)) if readable else None


def page_table_bytes(pid: int) -> int:
    """Return the size of a process's page tables. A clone's are charged to the zygote's cgroup, not to the box's."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmPTE:"):
            return int(line.split()[1]) * 1024
    return 0


def kernel_bytes(pid: int) -> int | None:
    """Return what the kernel itself holds for the process's memory cgroup: stacks, page tables, slab, namespaces."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            file = Path(f"/sys/fs/cgroup/memory{path}/memory.kmem.usage_in_bytes")
            return int(file.read_text()) if file.exists() else None
        stat = Path(f"/sys/fs/cgroup{path}/memory.stat")
        if not controllers and stat.exists():
            figures = dict(one.split() for one in stat.read_text().splitlines())
            return int(figures["kernel"]) if "kernel" in figures else int(figures["slab"])
    return None


def available_bytes() -> int:
    """Return what the machine could still give."""
    return int(psutil.virtual_memory().available)
