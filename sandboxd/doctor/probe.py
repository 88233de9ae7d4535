"""What this process can find out only by trying or asking the kernel, gathered as plain values that tests replace."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandboxd.doctor.hierarchies import V2, find_places
from sandboxd.errors import SandboxdError
from sandboxd.hosts import HostFiles
from sandboxd.launcher.cgroups.detect import V1_NAMES
from sandboxd.seccomp import build_filters

_SCRIPT = str(Path(__file__).with_name("trial.py"))
_ROOT = str(Path(__file__).resolve().parents[2])
_TIMEOUT_SECONDS = 30.0
JAIL_STEPS = ("unshare", "uid_map", "gid_map", "private", "tmpfs", "bind_read_only")
"""What must work before there can be a jail at all, in order."""


@dataclass(frozen=True, slots=True)
class Child:
    """What came of making a cgroup: the errno (0: it was made, and removed again) and the files that stood in it."""

    errno: int
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Library:
    """libseccomp as the daemon would load it. `fault` says why it cannot; empty otherwise."""

    version: tuple[int, ...] = ()
    api_level: int = 0
    unknown: tuple[str, ...] = ()
    fault: str = ""
    is_binding_missing: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying gave.

    Attributes:
        report: what `trial.py` printed: steps to errnos, and values by name; what was not reached is absent.
        cgroups: directory -> what making a child there gave.
        library: libseccomp.
        machine: the processor's architecture.
        fault: why nothing could be tried; empty otherwise.
    """

    report: Mapping[str, int] = field(default_factory=dict)
    cgroups: Mapping[str, Child] = field(default_factory=dict)
    library: Library = field(default_factory=Library)
    machine: str = ""
    fault: str = ""

    def first_failure(self) -> tuple[str, int] | None:
        """Name the first step of a jail that failed, with its errno."""
        for step in JAIL_STEPS:
            if self.report.get(step, -1) != 0:
                return step, self.report.get(step, -1)
        return None


def run_trial() -> Trial:
    """Try on this kernel, in a child; never raises."""
    cgroups, library, machine = _try_cgroups(HostFiles()), probe_library(), os.uname().machine
    command = [sys.executable, "-I", "-S", "-B", _SCRIPT, _ROOT]
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=_TIMEOUT_SECONDS
        )
        report = {str(key): int(value) for key, value in json.loads(answer.stdout).items()}
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, AttributeError) as error:
        fault = f"the trial did not answer: {type(error).__name__}"
        return Trial(cgroups=cgroups, library=library, machine=machine, fault=fault)
    return Trial(report, cgroups, library, machine)


def _try_cgroups(host: HostFiles) -> dict[str, Child]:
    """Make a cgroup in each directory where the daemon would, and remove it."""
    places = [place for place in find_places(host) if place.version == V2 or any(map(place.offers, V1_NAMES))]
    directories = {name for place in places for name in (place.directory, place.top)}
    return {name: _try_child(host.path(name)) for name in sorted(directories)}


def _try_child(directory: Path) -> Child:
    child = directory / f"sandboxd-doctor-{os.getpid()}"
    try:
        child.mkdir()
        try:
            return Child(0, frozenset(entry.name for entry in child.iterdir()))
        finally:
            child.rmdir()
    except OSError as error:
        return Child(error.errno or -1)


def probe_library() -> Library:
    """Load libseccomp and build the jail's filters with it; never raises."""
    try:
        binding = importlib.import_module("pyseccomp")  # loads the library
        library = binding._libseccomp  # noqa: SLF001  # the binding does not wrap its version
        unknown = build_filters()["guest"].unknown
        library.seccomp_api_get.restype = ctypes.c_uint
        return Library(_version(library), int(library.seccomp_api_get()), unknown)
    except ModuleNotFoundError:
        return Library(fault="pyseccomp is not installed", is_binding_missing=True)
    except (ImportError, OSError, RuntimeError, AttributeError, SandboxdError) as error:
        return Library(fault=f"cannot be loaded: {error}")


class _LibraryVersion(ctypes.Structure):
    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


def _version(library: ctypes.CDLL) -> tuple[int, int, int]:
    library.seccomp_version.restype = ctypes.POINTER(_LibraryVersion)
    found = library.seccomp_version().contents
    return (found.major, found.minor, found.micro)
