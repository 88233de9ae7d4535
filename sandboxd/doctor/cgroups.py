"""Which cgroup controllers a jail can get, asked per controller: many hosts have v1 and v2 side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sandboxd.doctor.model import Check, Status

if TYPE_CHECKING:
    from sandboxd.doctor.host import Host

_CONTROLLERS = (
    (
        "memory",
        "Limits of memory hold per process only (RLIMIT_AS); a policy with `enforce: total` is refused.",
    ),
    ("pids", "Limits of processes hold per user and jail only (RLIMIT_NPROC)."),
    ("cpu", "CPU time is limited per process, and measured by rusage."),
)
_DELEGATE = (
    "Run the daemon with a delegated cgroup: Delegate=yes in its unit, or "
    "`systemd-run --user --scope -p Delegate=yes sandboxd serve`."
)


@dataclass(frozen=True, slots=True)
class Place:
    """This process's directory in one hierarchy, and the controllers that a child could get there."""

    version: int
    directory: str
    controllers: frozenset[str]


def check_cgroups(host: Host) -> list[Check]:
    """Check memory, pids and cpu: the hierarchy that has it, and whether a child can be made there."""
    places = find_places(host)
    return [_check(host, places, name, consequence) for name, consequence in _CONTROLLERS]


def _check(host: Host, places: list[Place], controller: str, consequence: str) -> Check:
    name = f"cgroup {controller}"
    place = next((place for place in places if controller in place.controllers), None)
    if place is None:
        return Check(name, Status.WARNING, f"no hierarchy offers it here. {consequence}", _DELEGATE)
    fault = _try_child(host, place.directory)
    if fault:
        return Check(name, Status.WARNING, f"v{place.version}, but {fault}. {consequence}", _DELEGATE)
    return Check(name, Status.OK, f"v{place.version}")


def find_places(host: Host) -> list[Place]:
    """Find this process in every mounted hierarchy, v2 first."""
    mounts = _mounts(host)
    places: list[Place] = []
    for line in (host.read("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        key = "cgroup2" if number == "0" else names
        if key not in mounts:
            continue
        top, point = mounts[key]
        directory = _below(top, point, path)
        if number == "0":
            offered = host.read(f"{directory}/cgroup.controllers") or ""
            places.insert(0, Place(2, directory, frozenset(offered.split())))
        else:
            places.append(Place(1, directory, frozenset(names.split(","))))
    return places


def _mounts(host: Host) -> dict[str, tuple[str, str]]:
    """Map "cgroup2" or a v1 controller list to (root within the hierarchy, mount point)."""
    found: dict[str, tuple[str, str]] = {}
    for line in (host.read("/proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        if len(fields) < 5 or len(kind) < 3:  # noqa: PLR2004  # proc(5)
            continue
        if kind[0] == "cgroup2":
            found["cgroup2"] = (fields[3], fields[4])
        elif kind[0] == "cgroup":
            options = [
                option
                for option in kind[2].split(",")
                if option not in {"rw", "ro", "xattr", "clone_children"}
            ]
            found[",".join(options)] = (fields[3], fields[4])
    return found


def _below(top: str, point: str, path: str) -> str:
    pure = PurePosixPath(path)
    inner = pure.relative_to(top) if pure.is_relative_to(top) else PurePosixPath()
    return str(PurePosixPath(point) / str(inner).lstrip("/"))


def _try_child(host: Host, directory: str) -> str:
    child = host.path(directory) / f"sandboxd-doctor-{os.getpid()}"
    try:
        child.mkdir()
    except OSError as error:
        return f"no child can be made in {directory} ({error.strerror})"
    child.rmdir()
    return ""
