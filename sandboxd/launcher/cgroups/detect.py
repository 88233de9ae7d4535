"""Find, for each controller, a directory in which this daemon may make cgroups; or say why there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

WANTED = {"memory": "memory", "pids": "pids", "cpu": "cpuacct"}  # v2 name -> v1 name of what we use of it
LEAF = "sandboxd-supervisor"


@dataclass(frozen=True, slots=True)
class Home:
    """Where one controller's cgroups can be made. `version` is 1 or 2."""

    controller: str
    version: int
    path: Path


def find_homes(
    mount: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc"), *, own: frozenset[int] = frozenset()
) -> tuple[dict[str, Home], dict[str, str]]:
    """Return the homes by controller (memory, pids, cpu) and, for those without, the reason.

    Args:
        mount: the cgroup file systems' mount point (another one in tests).
        proc: procfs (another one in tests).
        own: processes of this daemon; a v2 cgroup that holds others is not ours to divide.
    """
    memberships = _memberships(proc / "self" / "cgroup")
    homes: dict[str, Home] = {}
    reasons: dict[str, str] = {}
    unified = _unified_root(mount)
    if unified is not None:
        _find_v2(unified, memberships.get("", "/"), own, homes, reasons)
    for controller, v1_name in WANTED.items():
        if controller in homes:
            continue
        found = _find_v1(mount, v1_name, memberships.get(v1_name), reasons, controller)
        if found is not None:
            homes[controller] = Home(controller, 1, found)
            reasons.pop(controller, None)
    return homes, reasons


def _memberships(path: Path) -> dict[str, str]:
    """Return controller -> own cgroup path; "" is the unified hierarchy."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, where = line.split(":", 2)
        for name in controllers.split(","):
            found[name] = where
    return found


def _unified_root(mount: Path) -> Path | None:
    for candidate in (mount, mount / "unified"):
        if (candidate / "cgroup.controllers").is_file():
            return candidate
    return None


def _writable(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK) and os.access(path / "cgroup.procs", os.W_OK)


def _find_v1(
    mount: Path, name: str, where: str | None, reasons: dict[str, str], controller: str
) -> Path | None:
    if where is None:
        reasons.setdefault(controller, f"no cgroup controller {name!r} on this host")
        return None
    directories = [mount / name, *([mount / "cpu,cpuacct"] if name == "cpuacct" else [])]
    for directory in directories:
        home = directory / where.lstrip("/")
        if (directory / "cgroup.procs").exists() and home.is_dir():
            if _writable(home):
                return home
            reasons[controller] = f"the {name} cgroup of this process is not writable by this user"
            return None
    reasons.setdefault(controller, f"the {name} hierarchy is not mounted")
    return None


def _find_v2(
    root: Path, where: str, own: frozenset[int], homes: dict[str, Home], reasons: dict[str, str]
) -> None:
    """Prefer our own cgroup if it was delegated to us (systemd Delegate=yes); as root fall back to the top."""
    available = set((root / "cgroup.controllers").read_text().split())
    mine = root / where.lstrip("/")
    home = next((place for place in (mine, root) if _usable(place, own)), None)
    for controller in WANTED:
        if controller not in available:
            continue
        if home is None:
            reasons[controller] = (
                "cgroup v2 is not delegated to this process: run it as a systemd unit with Delegate=yes, "
                "or under systemd-run --user --scope -p Delegate=yes"
            )
        elif _enable(home, controller):
            homes[controller] = Home(controller, 2, home)
        else:
            reasons[controller] = (
                f"controller {controller} cannot be enabled in {home.name or 'the root cgroup'}"
            )


def _usable(path: Path, own: frozenset[int]) -> bool:
    """Tell whether leaves can be made here: in the real root at once, elsewhere once our own processes made room."""
    if not _writable(path) or not os.access(path / "cgroup.subtree_control", os.W_OK):
        return False
    if not (path / "cgroup.type").exists():
        return True  # the root of the hierarchy, not of a container: it may hold processes beside groups
    return {int(pid) for pid in (path / "cgroup.procs").read_text().split()} <= own


def _enable(home: Path, controller: str) -> bool:
    control = home / "cgroup.subtree_control"
    if controller in control.read_text().split():
        return True
    try:
        if (home / "cgroup.type").exists():  # not the root: no inner processes are allowed
            leaf = home / LEAF
            leaf.mkdir(exist_ok=True)
            for pid in (home / "cgroup.procs").read_text().split():
                (leaf / "cgroup.procs").write_text(pid)
        control.write_text(f"+{controller}")
    except OSError:
        return False
    return True
