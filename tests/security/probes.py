"""What cannot be asked from inside a box: pid 1 as the host's /proc shows it. Each returns whether the control is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import traces

if TYPE_CHECKING:
    from rig import Rig

CAP_SYS_ADMIN = 21


def _pids_1(rig: Rig) -> list[int]:
    """Return every pid 1 whose box is checked out: an inmate is its child."""
    members = traces.family(rig.daemon.process.pid)
    parents = {process.parent for process in members if process.role == "inmate"}
    return [process.pid for process in members if process.role == "pid1" and process.pid in parents]


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def pid_1_is_filtered(rig: Rig) -> bool:
    """Its own seccomp filter."""
    return all(_status(pid)["Seccomp"] == "2" for pid in _pids_1(rig))


def pid_1_may_not_mount(rig: Rig) -> bool:
    """CAP_SYS_ADMIN was given up."""
    return not any(int(_status(pid)["CapPrm"], 16) >> CAP_SYS_ADMIN & 1 for pid in _pids_1(rig))


def pid_1_is_not_dumpable(rig: Rig) -> bool:
    """The kernel gives the /proc files of a process that is not dumpable to the host's root."""
    return all(os.stat(f"/proc/{pid}/mem").st_uid == 0 for pid in _pids_1(rig))


PROBES: dict[str, Callable[[Rig], bool]] = {
    probe.__name__: probe for probe in (pid_1_is_filtered, pid_1_may_not_mount, pid_1_is_not_dumpable)
}
