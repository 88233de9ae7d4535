"""Checks of Landlock: the ABI, why there is none, and which errata are fixed.

Source: linux/Documentation/userspace-api/landlock.rst, "Previous limitations" and "Landlock errata".
"""

from __future__ import annotations

import errno

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.hosts import HostFiles, remedies

ABI = Subject("landlock-abi", "kernel", "a second wall behind the mounts: files, TCP, signals")
ERRATA = Subject("landlock-errata", "kernel", "Landlock doing what its documentation says")

FULL_ABI = 6
# ABI, its kernel, what a jail has from it.
_GAINS = (
    (2, "5.19", "renames across directories"),
    (3, "6.2", "truncation"),
    (4, "6.7", "TCP"),
    (5, "6.10", "device ioctls"),
    (6, "6.12", "signals and abstract sockets to the outside"),
)
# Number, the first ABI that it concerns, what was wrong.
_ERRATA = (
    (1, 4, "TCP rules also hit SMC, MPTCP and SCTP"),
    (2, 6, "signals between threads of one process were refused"),
    (3, 1, "directories that were moved out of a bind mount were judged wrongly"),
)


def check_abi(facts: Facts) -> Check:
    """Tell the ABI, and where it is less than the jail can use, what the mounts and namespaces hold alone."""
    abi = facts.trial.report.get("landlock_abi")
    if abi is None:
        return ABI.unknown(facts.trial.fault or "it was not tried")
    if abi <= 0:
        return _absent(facts.host, -abi)
    lacks = ", ".join(f"{what} ({kernel})" for first, kernel, what in _GAINS if abi < first)
    if lacks:
        return ABI.degraded(
            f"ABI {abi} of {FULL_ABI}",
            Evidence.TRIED,
            why=f"not covered, so that mounts, namespaces and seccomp hold alone: {lacks}",
            remedy="A newer kernel; the version that brings each stands beside it.",
        )
    return ABI.ok(f"ABI {abi}", Evidence.TRIED)


def _absent(host: HostFiles, number: int) -> Check:
    order = host.read("/sys/kernel/security/lsm")
    if number == errno.EOPNOTSUPP:
        others = ",".join(
            name for name in (order or "").split(",") if name not in {"", "capability", "landlock"}
        )
        if order is None:
            others = "$(sed s/capability,// /sys/kernel/security/lsm)"
        return ABI.missing(
            "built in, switched off",
            Evidence.TRIED,
            why=f"it is not in the kernel's lsm= list ({order or host.fault('/sys/kernel/security/lsm')})",
            remedy=remedies.kernel_argument(host, f"lsm=landlock,{others}".rstrip(",")),
        )
    if number == errno.EPERM:
        why = "a seccomp filter that lies on this process refuses landlock_create_ruleset(2)"
        return ABI.missing("refused (EPERM)", Evidence.TRIED, why=why, remedy=remedies.FILTER)
    why = "the kernel is older than 5.13 or was built without CONFIG_SECURITY_LANDLOCK"
    found = f"not there ({errno.errorcode.get(number, 'no errno')})"
    return ABI.missing(found, Evidence.TRIED, why=why, remedy=remedies.KERNEL)


def check_errata(facts: Facts) -> Check:
    """Tell which known errors of Landlock this kernel has fixed; kernels before the query cannot say."""
    abi, fixed = (facts.trial.report.get(name) for name in ("landlock_abi", "landlock_errata"))
    if abi is None or fixed is None:
        return ERRATA.unknown(facts.trial.fault or "it was not tried")
    if abi <= 0:
        return ERRATA.ok("none: there is no Landlock here", Evidence.TRIED)
    if fixed < 0:
        return ERRATA.unknown(
            "this kernel cannot be asked (before 6.15 and its backports)",
            remedy="",
        )
    open_ones = [
        f"{number} ({what})"
        for number, first, what in _ERRATA
        if abi >= first and not fixed >> number - 1 & 1
    ]
    if open_ones:
        why = "not fixed: " + "; ".join(open_ones)
        return ERRATA.degraded(f"fixed: 0x{fixed:x}", Evidence.TRIED, why=why, remedy="Update the kernel.")
    return ERRATA.ok("all known ones fixed", Evidence.TRIED, f"the kernel's mask is 0x{fixed:x}")
