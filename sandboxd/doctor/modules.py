"""Checks of who else has a say on this host: AppArmor, SELinux, a container, Windows."""

from __future__ import annotations

import re

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.hosts import container_mark, remedies
from sandboxd.hosts.blocked import APPARMOR, APPARMOR_UNCONFINED, is_restricted_by_apparmor

PROFILE = Subject("apparmor", "namespaces", "user namespaces, which AppArmor may withhold")
SELINUX = Subject("selinux", "namespaces", "namespaces and mounts, which SELinux may withhold")
PLATFORM = Subject(
    "platform", "host", "knowing on which side of a container a fault is mended", required=True
)
_PROFILES = "/sys/kernel/security/apparmor/profiles"


def check_apparmor(facts: Facts) -> Check:
    """Tell whether AppArmor confines this process, and whether Ubuntu's restriction of user namespaces applies to it."""
    host = facts.host
    if host.read("/sys/module/apparmor/parameters/enabled") != "Y":
        return PROFILE.ok("not active", Evidence.READ)
    label = host.label or "no label"
    if host.number(APPARMOR) in {None, 0}:
        return PROFILE.ok(f"{label}; user namespaces are not restricted", Evidence.READ)
    if host.is_admin:
        return PROFILE.ok(
            f"{label}; user namespaces are restricted, which does not concern root", Evidence.READ
        )
    if not is_restricted_by_apparmor(host):
        return PROFILE.ok(f"{label}: user namespaces are as its own rules say", Evidence.READ)
    if facts.trial.first_failure() is None and not facts.trial.fault:
        return PROFILE.ok(f"{label}; {APPARMOR} is on, yet it worked", Evidence.TRIED)
    return PROFILE.missing(
        f"{label}; {APPARMOR} is on",
        Evidence.READ,
        why="user namespaces are made, but without capabilities in them. " + _state(facts),
        remedy=remedies.apparmor(host),
    )


def _state(facts: Facts) -> str:
    host = facts.host
    loaded = re.search(r"^sandboxd \(", host.read(_PROFILES) or "", re.MULTILINE)
    if loaded:
        state = "The profile is loaded, but this process was not started under it."
    elif host.exists("/etc/apparmor.d/sandboxd"):
        state = "The profile is installed; whether it is loaded only root can read."
    else:
        state = "The profile that ships with sandboxd is not installed."
    if host.number(APPARMOR_UNCONFINED):
        state += f" {APPARMOR_UNCONFINED} is on: aa-exec by an ordinary user does not help."
    return state


def check_selinux(facts: Facts) -> Check:
    """Tell whether SELinux enforces, and as what this process runs."""
    host = facts.host
    mode = host.read("/sys/fs/selinux/enforce")
    if mode is None:
        return SELINUX.ok("not active", Evidence.READ)
    if mode != "1":
        return SELINUX.ok("permissive", Evidence.READ)
    found = f"enforcing, as {host.label or 'an unknown label'}"
    if facts.trial.fault or facts.trial.first_failure() is None:
        return SELINUX.ok(found, Evidence.READ)
    why = "it may be what refuses user namespaces here; its log tells"
    return SELINUX.degraded(found, Evidence.READ, why=why, remedy=remedies.SELINUX)


def check_platform(facts: Facts) -> Check:
    """Tell whether this is a container, or Windows with a Linux kernel (WSL 2) or without one (WSL 1)."""
    host = facts.host
    release = host.read("/proc/sys/kernel/osrelease") or ""
    if release.endswith("-Microsoft"):
        return PLATFORM.missing(
            "WSL 1",
            Evidence.READ,
            why="it translates system calls: there are no namespaces and no seccomp",
            remedy="In Windows: wsl --set-version <distribution> 2",
        )
    kind, mark = container_mark(host)
    if kind:
        what = f"virtual machine made from a {kind} image, or" if host.is_virtual else "in"
        return PLATFORM.ok(f"{what} a {kind} container ({mark})", Evidence.READ)
    if "microsoft" in release.lower():
        why = (
            ""
            if host.exists("/run/systemd/system")
            else "without systemd nobody delegates cgroups: see cgroup-memory"
        )
        return PLATFORM.ok("WSL 2", Evidence.READ, why)
    what = "virtual machine" if host.is_virtual else "no container"
    return PLATFORM.ok(what, Evidence.READ)
