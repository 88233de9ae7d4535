"""The kernel's counters of a container, and what /proc says of its init: opened here, where the engine's pid is known."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sandboxd.launcher.meter import PEAKS, SCRATCH

_V1 = {
    "cpuacct": ("cpuacct.usage",),
    "memory": ("memory.max_usage_in_bytes", "memory.oom_control"),
    "pids": ("pids.events",),
}
_V2 = ("cpu.stat", "memory.peak", "memory.events", "pids.events")
_MOUNTS = "/proc/self/mountinfo"


def open_counters(pid: int) -> dict[str, int]:
    """Open what counts for the cgroups of a process, by name; a kernel may lack some. The caller's to close.

    Raises:
        OSError: the process is gone.
    """
    opened: dict[str, int] = {}
    mounts = _hierarchies()
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            names = _V1.get(controller, ()) if controller else _V2
            root = mounts.get(controller)
            for name in names:
                # The container's own cgroup namespace may hide the path above it; ours is the host's.
                if root is not None and name not in opened:
                    with contextlib.suppress(OSError):
                        opened[name] = _open(root / path.lstrip("/") / name)
    return opened


def _open(path: Path) -> int:
    writable = path.name in PEAKS and os.access(path, os.W_OK)  # to begin a new peak; nothing else is written
    return os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)


def _hierarchies() -> dict[str, Path]:
    """Return where each controller is mounted; "" is version 2."""
    found: dict[str, Path] = {}
    for line in Path(_MOUNTS).read_text().splitlines():
        before, _, after = line.partition(" - ")
        place, (kind, _, options) = before.split()[4], after.split(" ", 2)
        if kind == "cgroup2":
            found[""] = Path(place)
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option, Path(place))
    return found


def open_scratch(pid: int) -> dict[str, int]:
    """Open the work directory for statfs(2), by the root of a container in which no guest runs yet; where this user may."""
    try:
        fd = os.open(f"/proc/{pid}/root/work", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {}
    return {SCRATCH: fd}


def has_own_user_namespace(pid: int) -> bool:
    """Tell whether a process is in another user namespace than this one; not when this user may not look."""
    try:
        return os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino  # noqa: PTH116
    except OSError:
        return False


def status(pid: int) -> dict[str, str]:
    """Return the lines of /proc/<pid>/status.

    Raises:
        OSError: the process is gone.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
