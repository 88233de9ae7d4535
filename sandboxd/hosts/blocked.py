"""Why a host refuses what a jail is made of, and the exact way to get it.

`explain` turns a step and its errno into a reason and a remedy; the launcher's start errors and the doctor both say what it
says. It blames nothing that it did not read: a sysctl is named only where it stands at the value that blocks, AppArmor
only where its restriction is on and this process is not exempt.

Which errno means what: unshare(2), user_namespaces(7) "Availability"; ENOSPC is a user.max_*_namespaces limit. Ubuntu's
restriction creates the namespace and then refuses its capabilities, so that the first mount(2) answers EACCES.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

from sandboxd.hosts import remedies
from sandboxd.hosts.container import container_mark
from sandboxd.hosts.files import HostFiles

APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
APPARMOR_UNCONFINED = "kernel.apparmor_restrict_unprivileged_unconfined"
USERNS_CLONE = "kernel.unprivileged_userns_clone"
LIMITS = tuple(
    f"user.max_{kind}_namespaces" for kind in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
)
_REFUSED = frozenset({errno.EPERM, errno.EACCES})
_FULL = frozenset({errno.ENOSPC, errno.EUSERS})
_NUMBER = re.compile(r"\[Errno (\d+)\]")


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a step failed, what to do, and whether it is user namespaces that are blocked."""

    reason: str
    remedy: str
    is_userns: bool = True


def explain(host: HostFiles, step: str, number: int) -> Blocked:
    """Say why `step` answered with errno `number` on this host.

    Args:
        host: the files to look for reasons in.
        step: a step of the doctor's trial, or what pid 1 or the kernel call said.
        number: the errno; 0 where it is not known.
    """
    if number in _FULL:
        return _full(host)
    if number == errno.ENOSYS:
        reason = "This kernel does not have a system call that the jail is made with."
        return Blocked(reason, remedies.KERNEL, is_userns=False)
    if "proc" in step and "map" not in step and number in _REFUSED:
        return Blocked("A fresh /proc cannot be mounted: the one here is masked.", remedies.fresh_proc(host))
    if number in _REFUSED or _is_switched_off(host):
        return _refused(host, step, number)
    return Blocked(
        "The jail could not be set up.", "Run 'sandboxd doctor' to see what this host lacks.", is_userns=False
    )


def why_blocked(step: str, error: OSError | None, host: HostFiles | None = None) -> tuple[str, str, bool]:
    """Return (message, remedy, whether user namespaces are what is blocked) for a failed step of the launcher.

    Args:
        step: what was tried, or pid 1's own words, which name the errno.
        error: what the kernel said, where this process asked it.
        host: another host's files (tests).
    """
    named = _NUMBER.search(step)
    number = (error.errno or 0) if error is not None else int(named[1]) if named else 0
    blocked = explain(host or HostFiles(), step, number)
    text = f"{step}: {os.strerror(number)}" if error is not None else step
    return f"{blocked.reason.rstrip('.')} ({text}).", blocked.remedy, blocked.is_userns


def userns_remedy(host: HostFiles) -> str:
    """Say how to get user namespaces on a host where nothing is known but that they are blocked."""
    return explain(host, "unshare", errno.EPERM).remedy


def _is_switched_off(host: HostFiles) -> bool:
    return host.sysctl(USERNS_CLONE) == "0" and not host.is_admin


def is_restricted_by_apparmor(host: HostFiles) -> bool:
    """Tell whether Ubuntu's restriction applies to this process: it is on, and no profile or privilege exempts it."""
    return host.number(APPARMOR) not in {None, 0} and not host.is_admin and host.label in {"", "unconfined"}


def is_chroot(host: HostFiles) -> bool:
    """Tell whether this process was chrooted: its mount table then has no entry for its own root.

    A chroot into the top of a mount has one and is not told apart: then the remedy names what it could be.
    """
    table = host.read("/proc/self/mountinfo")
    return bool(table) and all(line.split(" ")[4:5] != ["/"] for line in (table or "").splitlines())


def _full(host: HostFiles) -> Blocked:
    for name in LIMITS:
        if host.number(name) == 0:
            return Blocked(
                f"{name} is 0: no such namespace may be made.", remedies.sysctl(name, remedies.NAMESPACES)
            )
    reason = "No further namespace is allowed: a user.max_*_namespaces limit is reached, or they are nested too deep."
    return Blocked(reason, remedies.sysctl(LIMITS[0], remedies.NAMESPACES))


def _refused(host: HostFiles, step: str, number: int) -> Blocked:  # noqa: PLR0911  one answer for each cause
    if _is_switched_off(host):
        return Blocked(
            f"{USERNS_CLONE} is 0: only root may make user namespaces.", remedies.sysctl(USERNS_CLONE, 1)
        )
    if "map" in step:
        return Blocked("The ids that a jail needs are not in this process's own id map.", remedies.ids(host))
    kind, mark = container_mark(host)
    if kind and (host.is_filtered is not False or host.label not in {"", "unconfined"}):
        reason = f"A seccomp filter or profile refuses it, as {kind} containers have them ({mark})."
        # A virtual machine made from an image has the mark too: then the filter is a unit's.
        return Blocked(
            reason, "\n".join([remedies.container(kind), *([remedies.FILTER] if host.is_virtual else [])])
        )
    if is_restricted_by_apparmor(host):
        return Blocked("AppArmor restricts user namespaces on this host.", remedies.apparmor(host))
    if is_chroot(host) and number == errno.EPERM:
        reason = "This process is in a chroot, where the kernel makes no user namespaces."
        return Blocked(reason, remedies.CHROOT)
    if host.is_filtered:
        return Blocked("A seccomp filter lies on this process and refuses it.", remedies.FILTER)
    if host.read("/sys/fs/selinux/enforce") == "1":
        return Blocked(f"SELinux may refuse it to {host.label or 'this process'}.", remedies.SELINUX)
    if kind:
        return Blocked(f"This looks like a {kind} container, which may refuse it.", remedies.container(kind))
    return Blocked("Something refuses it that leaves no trace in /proc.", remedies.UNKNOWN)
