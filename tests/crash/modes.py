"""The kinds of host that a daemon is killed on: what it has of cgroups, made so by leaving out what it finds."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mutants import Edit

CGROUPS = Path("/sys/fs/cgroup")


def _has_v1() -> bool:
    return os.geteuid() == 0 and (CGROUPS / "memory" / "cgroup.procs").exists()


def _has_v2() -> bool:
    roots = (CGROUPS, CGROUPS / "unified")
    return os.geteuid() == 0 and any((root / "cgroup.controllers").exists() for root in roots)


@dataclass(frozen=True, slots=True)
class Mode:
    """One kind of host: its name, what to change for it, and whether this machine can be it."""

    name: str
    edits: tuple[Edit, ...]
    available: Callable[[], bool]


MODES = {
    mode.name: mode
    for mode in (
        # All that this host gives: the freezer of v2, the controllers where they are.
        Mode("v2", (), _has_v2),
        Mode(
            "v1",
            (Edit("launcher/cgroups/detect.py", 'V2_CORE = ("cpu", "freezer")', "V2_CORE = ()"),),
            _has_v1,
        ),
        Mode(
            "none",
            (
                Edit(
                    "launcher/host.py",
                    "homes, self.cgroup_reasons = find_homes(own=own)",
                    "homes, self.cgroup_reasons = {}, dict.fromkeys('memory pids cpu freezer'.split(), '-')",
                ),
            ),
            lambda: True,
        ),
    )
}


def make_cages() -> list[Path]:
    """Make a cgroup below this process's own in each hierarchy that a daemon may use; none for an ordinary user.

    A daemon that is started in them makes its own below, so that nothing of another one on this host is seen.
    """
    if not _has_v1() and not _has_v2():
        return []
    name = f"crash-{secrets.token_hex(4)}"
    cages = [place / name for place in _own_cgroups()]
    for cage in cages:
        cage.mkdir()
    return cages


def _own_cgroups() -> list[Path]:
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, where = line.split(":", 2)
        place = CGROUPS / (controllers or "unified") / where.lstrip("/")
        if (
            controllers in {"memory", "pids", "cpuacct", "cpu,cpuacct", ""}
            and (place / "cgroup.procs").exists()
        ):
            found.append(place)
    return found


def remove_cages(cages: Iterable[Path]) -> None:
    """Remove the cages, and what a failed test left in them."""
    for cage in cages:
        for path, below, _ in os.walk(cage, topdown=False):
            for name in below:
                Path(path, name).rmdir()
        cage.rmdir()
