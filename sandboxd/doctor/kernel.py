"""Checks of the kernel and of what stands around it: version, Landlock, seccomp, swap, core dumps."""

from __future__ import annotations

import ctypes
import errno
import importlib
import re
from typing import TYPE_CHECKING

from sandboxd.doctor.model import Check, Status

if TYPE_CHECKING:
    from sandboxd.doctor.host import Host
    from sandboxd.doctor.probe import Trial

_MINIMUM_KERNEL = (5, 13)
_FULL_LANDLOCK_ABI = 5  # truncate (3), network (4), device ioctls (5)


def check_kernel(host: Host) -> Check:
    """Check that the kernel is new enough for Landlock."""
    release = host.read("/proc/sys/kernel/osrelease") or ""
    match = re.match(r"(\d+)\.(\d+)", release)
    if match is None:
        return Check(
            "kernel", Status.WARNING, f"unknown release {release!r}", "Linux 5.13 or newer is needed."
        )
    if (int(match[1]), int(match[2])) < _MINIMUM_KERNEL:
        return Check(
            "kernel", Status.WARNING, release, "Run Linux 5.13 or newer (Landlock); 6.1 or newer is better."
        )
    return Check("kernel", Status.OK, release)


def check_landlock(trial: Trial) -> Check:
    """Check the Landlock ABI that the kernel offers to this process."""
    abi = trial.landlock_abi
    if abi == 0:
        remedy = "Add `landlock` to the kernel's `lsm=`; policies that require it are refused until then."
        return Check("landlock", Status.WARNING, "not available", remedy)
    if abi < _FULL_LANDLOCK_ABI:
        remedy = "A newer kernel (6.10) lets Landlock cover truncation, TCP and device ioctls too."
        return Check("landlock", Status.WARNING, f"ABI {abi}, less than {_FULL_LANDLOCK_ABI}", remedy)
    return Check("landlock", Status.OK, f"ABI {abi}")


def check_seccomp(host: Host, trial: Trial) -> Check:
    """Check that a filter can be loaded and that the kernel knows the actions that the jail's filter uses."""
    if trial.errnos.get("seccomp_filter") != errno.EFAULT:
        remedy = "Run a kernel with CONFIG_SECCOMP_FILTER; every distribution's own kernel has it."
        return Check("seccomp", Status.FAILED, "no filter can be loaded", remedy)
    actions = (host.read("/proc/sys/kernel/seccomp/actions_avail") or "").split()
    if actions and not {"kill_process", "errno", "allow"} <= set(actions):
        return Check("seccomp", Status.FAILED, "actions: " + " ".join(actions), "Run Linux 5.13 or newer.")
    return Check("seccomp", Status.OK, "filters, actions: " + (" ".join(actions) or "unknown"))


def check_libseccomp() -> Check:
    """Check that libseccomp can be loaded: the jail's filter is compiled with it when the daemon starts."""
    try:
        binding = importlib.import_module("pyseccomp")  # loads the library
        version = ".".join(str(part) for part in _version(binding._libseccomp))  # noqa: SLF001
    except ModuleNotFoundError:
        return Check(
            "libseccomp", Status.FAILED, "pyseccomp is not installed", "pip install 'sandboxd[daemon]'"
        )
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        remedy = "Debian, Ubuntu: `sudo apt install libseccomp2`; Fedora: `sudo dnf install libseccomp`."
        return Check("libseccomp", Status.FAILED, f"cannot be loaded: {error}", remedy)
    return Check("libseccomp", Status.OK, version)


class _LibraryVersion(ctypes.Structure):
    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


def _version(library: ctypes.CDLL) -> tuple[int, int, int]:
    library.seccomp_version.restype = ctypes.POINTER(_LibraryVersion)
    found = library.seccomp_version().contents
    return (found.major, found.minor, found.micro)


def check_swap(host: Host) -> Check:
    """Check for swap: memory limits can be exceeded there, and secrets reach the disk."""
    rows = (host.read("/proc/swaps") or "").splitlines()[1:]
    if not rows:
        return Check("swap", Status.OK, "none")
    remedy = "Memory limits need the swap controller then; `sudo swapoff -a`, or encrypt it."
    return Check("swap", Status.WARNING, f"{len(rows)} active", remedy)


def check_core_pattern(host: Host) -> Check:
    """Check where core dumps go: a piped handler runs as root on data that a sandbox controls."""
    pattern = host.read("/proc/sys/kernel/core_pattern") or ""
    if pattern.startswith("|"):
        remedy = "Jails set their core limit to 0; to be surer: `sudo sysctl -w kernel.core_pattern=core`."
        return Check("core dumps", Status.WARNING, f"piped to {pattern[1:].split(' ')[0]}", remedy)
    return Check("core dumps", Status.OK, pattern or "none")
