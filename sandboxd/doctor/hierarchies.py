"""Where this process stands in each cgroup hierarchy; many hosts have v1 and v2 side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from sandboxd.hosts import HostFiles
from sandboxd.launcher.cgroups.detect import V1_NAMES

V2 = 2
V2_CORE = frozenset({"cpu"})  # every v2 group measures CPU time, also without the controller


@dataclass(frozen=True, slots=True)
class Place:
    """This process's directory in one hierarchy, and what is offered there.

    Attributes:
        version: 1 or 2.
        directory: this process's own cgroup.
        top: the hierarchy's root, as far as it is mounted here.
        controllers: those of `directory` (v2: what its parent passes on).
        offered: those of `top`.
        read_only: whether the hierarchy is mounted read-only, as containers do it.
    """

    version: int
    directory: str
    top: str
    controllers: frozenset[str]
    offered: frozenset[str]
    read_only: bool = False

    def offers(self, controller: str) -> bool:
        """Tell whether the hierarchy has what is used of a controller, by its v2 name."""
        if self.version == V2:
            return controller in self.offered or controller in V2_CORE
        return V1_NAMES[controller] in self.offered


@dataclass(frozen=True, slots=True)
class _Mount:
    root: str
    point: str
    read_only: bool


def find_places(host: HostFiles) -> list[Place]:
    """Find this process in every mounted hierarchy, v2 first."""
    mounts = _mounts(host)
    places: list[Place] = []
    for line in (host.read("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        mount = mounts.get("cgroup2" if number == "0" else names)
        if mount is None:
            continue
        directory = _below(mount, path)
        if number == "0":
            own, top = (_controllers(host, where) for where in (directory, mount.point))
            places.insert(0, Place(V2, directory, mount.point, own, top, mount.read_only))
        else:
            found = frozenset(names.split(","))
            places.append(Place(1, directory, directory, found, found, mount.read_only))
    return places


def _controllers(host: HostFiles, directory: str) -> frozenset[str]:
    return frozenset((host.read(f"{directory}/cgroup.controllers") or "").split())


def _mounts(host: HostFiles) -> dict[str, _Mount]:
    """Map "cgroup2" or a v1 controller list to where it is mounted: proc_pid_mountinfo(5)."""
    found: dict[str, _Mount] = {}
    for line in (host.read("/proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(kind) < 3:  # noqa: PLR2004  # proc(5)
            continue
        mount = _Mount(fields[3], fields[4], "ro" in fields[5].split(","))
        if kind[0] == "cgroup2":
            found["cgroup2"] = mount
        elif kind[0] == "cgroup":
            words = {"rw", "ro", "xattr", "clone_children", "seclabel", "noprefix"}
            found[",".join(word for word in kind[2].split(",") if word not in words)] = mount
    return found


def _below(mount: _Mount, path: str) -> str:
    pure = PurePosixPath(path)
    inner = pure.relative_to(mount.root) if pure.is_relative_to(mount.root) else PurePosixPath()
    return str(PurePosixPath(mount.point) / str(inner).lstrip("/"))
