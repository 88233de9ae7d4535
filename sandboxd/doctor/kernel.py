"""Checks of the kernel itself: its version, its calls, seccomp."""

from __future__ import annotations

import errno
import os
import re

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.hosts import remedies

KERNEL = Subject("kernel", "kernel", "all below: each feature has a first version")
CALLS = Subject("kernel-calls", "kernel", "how the jail is built", required=True)
FILTER = Subject("seccomp-filter", "kernel", "the guest's allow-list of system calls", required=True)
LIBRARY = Subject("libseccomp", "kernel", "compiling the allow-list when the daemon starts", required=True)

# First versions: the "VERSIONS" or "HISTORY" sections of each call's manual page; proc(5) for subset=pid; landlock(7).
FEATURES = (
    ((5, 3), "pidfd_open"),
    ((5, 6), "openat2"),
    ((5, 8), "proc subset=pid"),
    ((5, 9), "close_range"),
    ((5, 12), "mount_setattr"),
    ((5, 13), "Landlock"),
    ((5, 14), "cgroup.kill"),
    ((6, 12), "all of Landlock that the jail uses"),
)
NEEDED, LANDLOCK = (5, 12), (5, 13)
_CALLS = ("openat2", "close_range", "mount_setattr", "pidfd_open", "memfd_create")
_NOT_THERE = frozenset({errno.ENOSYS, errno.EPERM})
_FIRST_API_LEVEL = 3  # KILL_PROCESS: seccomp_api_get(3); libseccomp 2.4, Linux 4.14


def check_kernel(facts: Facts) -> Check:
    """Read the version. Distributions backport: what counts is what `kernel-calls` tried."""
    release = facts.host.read("/proc/sys/kernel/osrelease")
    match = re.match(r"(\d+)\.(\d+)", release or "")
    if release is None or match is None:
        return KERNEL.unknown(
            facts.host.fault("/proc/sys/kernel/osrelease") or f"release {release!r} is no version"
        )
    version = (int(match[1]), int(match[2]))
    lacks = ", ".join(f"{name} ({first[0]}.{first[1]})" for first, name in FEATURES if version < first)
    if version < LANDLOCK:
        return KERNEL.degraded(
            release, Evidence.READ, why=f"by its version it lacks {lacks}", remedy=remedies.KERNEL
        )
    return KERNEL.ok(release, Evidence.READ, f"newer kernels add {lacks}" if lacks else "")


def check_calls(facts: Facts) -> Check:
    """Tell whether the kernel knows the newer system calls that the jail is made with, on a machine that we know."""
    report = facts.trial.report
    if facts.trial.fault:
        return CALLS.unknown(facts.trial.fault)
    absent = {name: report.get(f"call_{name}", -1) for name in _CALLS}
    absent = {name: number for name, number in absent.items() if number in _NOT_THERE}
    if not absent:
        return CALLS.ok(", ".join(_CALLS), Evidence.TRIED)
    found = ", ".join(f"{name}: {errno.errorcode[number]}" for name, number in absent.items())
    if errno.EPERM in absent.values():
        why, remedy = "a seccomp filter that lies on this process refuses it", remedies.FILTER
    else:
        why, remedy = "the kernel is too old, or a seccomp filter hides the call", remedies.KERNEL
    return CALLS.missing(found, Evidence.TRIED, why=why, remedy=remedy)


def check_filter(facts: Facts) -> Check:
    """Tell whether a filter can be loaded and the kernel knows the actions that the jail's filter uses."""
    report = facts.trial.report
    answer = report.get("seccomp_filter")
    if answer is None:
        return FILTER.unknown(facts.trial.fault or "it was not tried")
    if answer != errno.EFAULT:
        return FILTER.missing(
            f"no filter can be loaded ({_name(answer)})",
            Evidence.TRIED,
            why="the kernel has no CONFIG_SECCOMP_FILTER, or somebody's filter refuses prctl(2)",
            remedy="Run a kernel with CONFIG_SECCOMP_FILTER (every distribution's own kernel has it), outside that filter.",
        )
    lacking = [name for name in ("kill_process", "errno", "allow") if report.get(f"action_{name}", 0) != 0]
    if lacking:
        return FILTER.missing(
            "no action " + ", ".join(lacking),
            Evidence.TRIED,
            why="a foreign architecture's call must end the process",
            remedy=remedies.KERNEL,
        )
    count = facts.host.status("Seccomp_filters") or "some"
    why = (
        f"{count} of somebody else's lie on this process already: theirs hold too"
        if facts.host.is_filtered
        else ""
    )
    return FILTER.ok("filters, with every action that the jail uses", Evidence.TRIED, why)


def check_library(facts: Facts) -> Check:
    """Tell whether libseccomp can be loaded, and which calls it is too old to name."""
    library = facts.trial.library
    if library.fault:
        remedy = remedies.package(facts.host, debian="libseccomp2", fedora="libseccomp")
        if library.is_binding_missing:
            remedy = "pip install 'sandboxd[daemon]'"
        return LIBRARY.missing(
            library.fault, Evidence.TRIED, why="the jail's filter cannot be compiled", remedy=remedy
        )
    found = f"{'.'.join(map(str, library.version))}, API level {library.api_level}"
    if library.api_level < _FIRST_API_LEVEL:
        return LIBRARY.missing(
            found,
            Evidence.TRIED,
            why=f"API level {_FIRST_API_LEVEL} is needed to kill a process instead of one thread",
            remedy=remedies.package(facts.host, debian="libseccomp2", fedora="libseccomp")
            + "   # 2.4 or newer",
        )
    if library.unknown:
        names = ", ".join(library.unknown[:6]) + (" …" if len(library.unknown) > 6 else "")  # noqa: PLR2004
        return LIBRARY.ok(
            found,
            Evidence.TRIED,
            f"cannot name {names} for {facts.trial.machine}: they answer ENOSYS in a jail",
        )
    return LIBRARY.ok(found, Evidence.TRIED)


def _name(number: int) -> str:
    return errno.errorcode.get(number) or os.strerror(max(number, 0))
