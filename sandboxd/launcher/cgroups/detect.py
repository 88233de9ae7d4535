"""Find, for each thing we use of cgroups, a directory in which this daemon may make groups; or say why there is none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# What we use -> v1's name of the controller that has it.
V1_NAMES = {"memory": "memory", "pids": "pids", "cpu": "cpuacct"}
# In v2 these two have to be enabled; CPU time and the freezer are in every group, also where v1 has the controllers.
V2_CONTROLLERS = ("memory", "pids")
V2_CORE = ("cpu", "freezer")
LEAF = "sandboxd-supervisor"
MOVE_ROUNDS = 10

_NOT_DELEGATED = (
    "cgroup v2 is not delegated to this process: run it as a systemd unit with Delegate=yes, "
    "or under systemd-run --user --scope -p Delegate=yes"
)


@dataclass(frozen=True, slots=True)
class Home:
    """Where one controller's cgroups can be made. `version` is 1 or 2."""

    controller: str
    version: int
    path: Path


def find_homes(
    mount: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc"), *, own: frozenset[int] = frozenset()
) -> tuple[dict[str, Home], dict[str, str]]:
    """Return the homes by use (memory, pids, cpu, freezer) and, for those without, the reason.

    Args:
        mount: the cgroup file systems' mount point (another one in tests).
        proc: procfs (another one in tests).
        own: processes of this daemon; a v2 cgroup that holds others is not ours to divide.
    """
    memberships = _memberships(proc / "self" / "cgroup")
    homes: dict[str, Home] = {}
    reasons: dict[str, str] = {}
    unified = _unified_root(mount)
    if unified is None:
        reasons["freezer"] = "no cgroup v2 hierarchy is mounted"
    else:
        _find_v2(unified, memberships.get("", "/"), own, homes, reasons)
    for controller, v1_name in V1_NAMES.items():
        if controller in homes:
            continue
        found = _find_v1(mount, v1_name, memberships.get(v1_name), reasons, controller)
        if found is not None:
            homes[controller] = Home(controller, 1, found)
            reasons.pop(controller, None)
    return homes, reasons


def household(front: int, proc: Path = Path("/proc")) -> frozenset[int]:
    """Return a process and all its descendants: with the front, the screener and whatever else it started."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it ended meanwhile
            parent = int(stat.rpartition(")")[2].split()[1])  # the name before it may hold anything
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = {front}, [front]
    while todo:
        below = children.get(todo.pop(), [])
        found.update(below)
        todo += below
    return frozenset(found)


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
    if mine.name == LEAF:
        mine = mine.parent  # an earlier launcher of this daemon divided it
    divisible = next((place for place in (mine, root) if _divisible(place, own)), None)
    for controller in V2_CONTROLLERS:
        if controller not in available:
            continue
        if divisible is None:
            reasons[controller] = _NOT_DELEGATED
        elif _enable(divisible, controller, own):
            homes[controller] = Home(controller, 2, divisible)
        else:
            name = divisible.name or "the root cgroup"
            reasons[controller] = f"controller {controller} cannot be enabled in {name}"
    passed_on = any(controller in homes for controller in V2_CONTROLLERS)
    # Without a controller nothing has to be divided: the daemon stays in its own group, whoever else is in it.
    _find_core([divisible] if divisible is not None and passed_on else [mine, root], homes, reasons)


def _find_core(places: Iterable[Path], homes: dict[str, Home], reasons: dict[str, str]) -> None:
    """What every v2 group has needs a place for groups, and no controller: other processes may stand beside them."""
    place = next((place for place in places if _writable(place) and _is_domain(place)), None)
    for name in V2_CORE:
        if place is not None:
            homes[name] = Home(name, 2, place)
        else:
            reasons[name] = _NOT_DELEGATED


def _is_domain(path: Path) -> bool:
    kind = path / "cgroup.type"  # the root has none
    return not kind.exists() or kind.read_text().strip() == "domain"


def _divisible(path: Path, own: frozenset[int]) -> bool:
    """Tell whether controllers can be passed on here: in the real root at once, elsewhere once our own made room."""
    if not _writable(path) or not os.access(path / "cgroup.subtree_control", os.W_OK) or not _is_domain(path):
        return False
    if not (path / "cgroup.type").exists():
        return True  # the root of the hierarchy, not of a container: it may hold processes beside groups
    return _processes(path) <= own


def _processes(path: Path) -> set[int]:
    return {int(pid) for pid in (path / "cgroup.procs").read_text().split()}


def _enable(home: Path, controller: str, own: frozenset[int]) -> bool:
    control = home / "cgroup.subtree_control"
    try:
        if controller in control.read_text().split():
            return True
        if (home / "cgroup.type").exists():  # not the root: no inner processes are allowed
            _make_room(home, own)
        control.write_text(f"+{controller}")
    except OSError:
        return False
    return True


def _make_room(home: Path, own: frozenset[int]) -> None:
    leaf = home / LEAF
    leaf.mkdir(exist_ok=True)
    for _ in range(MOVE_ROUNDS):  # what a process of ours starts meanwhile is born beside it
        for pid in _processes(home) & own:
            try:
                (leaf / "cgroup.procs").write_text(str(pid))
            except ProcessLookupError:
                continue
        if not _processes(home):
            return
