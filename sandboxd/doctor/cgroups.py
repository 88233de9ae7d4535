"""Checks of cgroups, asked per controller: whether the daemon can make groups that have it, and what gives it."""

from __future__ import annotations

import errno
import os

from sandboxd.doctor import delegation
from sandboxd.doctor.facts import Facts
from sandboxd.doctor.hierarchies import V2, V2_CORE, Place, find_places
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.hosts import HostFiles, remedies

MEMORY = Subject("cgroup-memory", "cgroups", "one memory limit for all processes of a jail")
PIDS = Subject("cgroup-pids", "cgroups", "one count of processes and threads for a jail")
CPU = Subject("cgroup-cpu", "cgroups", "CPU time measured over all processes of a jail")
FREEZE = Subject("cgroup-freeze", "cgroups", "stopping a jail between snippets without its noticing")
KILL = Subject("cgroup-kill", "cgroups", "ending all of a jail at once, fork bombs included")


def check_memory(facts: Facts) -> Check:
    """Check the memory controller."""
    why = "memory is limited per process only (RLIMIT_AS); a policy with `enforce: total` is refused"
    return _check(facts, MEMORY, "memory", why)


def check_pids(facts: Facts) -> Check:
    """Check the pids controller."""
    return _check(facts, PIDS, "pids", "processes are limited per user id only (RLIMIT_NPROC)")


def check_cpu(facts: Facts) -> Check:
    """Check what measures CPU time: cpu.stat of v2, cpuacct of v1."""
    return _check(facts, CPU, "cpu", "CPU time is that of the guest process, its children not included")


def _check(facts: Facts, subject: Subject, controller: str, consequence: str) -> Check:
    places = find_places(facts.host)
    proven = facts.active(f"cgroup_{controller}")
    found, fault = _find(facts, places, controller)
    if proven is not None and proven.active:
        return subject.ok(found or "used by the jail that was built", Evidence.TRIED)
    if proven is not None:
        fault = proven.detail or fault or "the launcher found none"
    if not fault:
        return subject.ok(found, Evidence.TRIED)
    if not places and facts.host.read("/proc/self/cgroup") is None:
        return subject.unknown(facts.host.fault("/proc/self/cgroup"))
    remedy = delegation.remedy(facts, places, controller)
    return subject.missing(fault, Evidence.TRIED, why=consequence, remedy=remedy)


def _find(facts: Facts, places: list[Place], controller: str) -> tuple[str, str]:
    """Return (what there is, "") or ("", why there is nothing): v2 where it has the controller, v1 otherwise."""
    fault = ""
    for place in places:
        if not place.offers(controller):
            continue
        found, fault = _find_v2(facts, place, controller) if place.version == V2 else _find_v1(facts, place)
        if not fault:
            return found, ""
    return "", fault or f"no hierarchy offers the {controller} controller here"


def _find_v1(facts: Facts, place: Place) -> tuple[str, str]:
    refused = _refusal(facts, place.directory)
    return ("", f"v1, but {refused}") if refused else (f"v1, a group was made in {place.directory}", "")


def _find_v2(facts: Facts, place: Place, controller: str) -> tuple[str, str]:
    """The root of the hierarchy takes groups from root; else this process's own must be delegated and its alone."""
    host = facts.host
    if not host.exists(f"{place.top}/cgroup.type") and not _refusal(facts, place.top):
        return f"v2, a group was made in {place.top}", ""
    refused = _refusal(facts, place.directory)
    if refused:
        return "", f"v2, but {refused}"
    if controller in V2_CORE:
        return f"v2, a group was made in {place.directory}", ""
    if controller not in place.controllers:
        return "", f"v2, but {place.directory} was not given the {controller} controller"
    others = _others(host, place.directory)
    if others:
        return (
            "",
            f"v2, but {others} other processes share {place.directory}: it can be divided by none of them",
        )
    return f"v2, a group was made in {place.directory}", ""


def _refusal(facts: Facts, directory: str) -> str:
    child = facts.trial.cgroups.get(directory)
    if child is None:
        return f"no group was tried in {directory}"
    if child.errno == 0:
        return ""
    text = os.strerror(child.errno) if child.errno > 0 else "unknown error"
    return f"no group can be made in {directory} ({errno.errorcode.get(child.errno, '?')}: {text})"


def _others(host: HostFiles, directory: str) -> int:
    """Count processes that are neither this one nor its parent: `systemd-run` and `sh -c` leave no more than these."""
    listed = {int(word) for word in (host.read(f"{directory}/cgroup.procs") or "").split() if word.isdigit()}
    return len(listed - {os.getpid(), os.getppid()} - {0})


def check_freeze(facts: Facts) -> Check:
    """Tell whether groups that are made here can be frozen: cgroup.freeze, v2 since Linux 5.2."""
    why = "jails are stopped by SIGSTOP, which a program notices"
    proven = facts.active("frozen_between_snippets")
    if proven is not None and not proven.active:
        remedy = delegation.remedy(facts, find_places(facts.host), "memory")
        return FREEZE.degraded(proven.detail or "not used", Evidence.TRIED, why=why, remedy=remedy)
    if proven is not None:
        return FREEZE.ok("used by the jail that was built", Evidence.TRIED)
    switch = remedies.kernel_argument(facts.host, "systemd.unified_cgroup_hierarchy=1")
    return _check_file(facts, FREEZE, "cgroup.freeze", f"Boot with cgroup v2:\n{switch}", why)


def check_kill(facts: Facts) -> Check:
    """Tell whether groups that are made here can be killed whole: cgroup.kill, v2 since Linux 5.14."""
    why = "pid 1 of a jail kills what is in it, which takes longer under a fork bomb"
    return _check_file(facts, KILL, "cgroup.kill", "Run Linux 5.14 or newer with cgroup v2.", why)


def _check_file(facts: Facts, subject: Subject, name: str, remedy: str, why: str) -> Check:
    place = next((place for place in find_places(facts.host) if place.version == V2), None)
    if place is None:
        return subject.degraded("no cgroup v2 here", Evidence.READ, why=why, remedy=remedy)
    refused = ""
    for directory in dict.fromkeys((place.directory, place.top)):
        child = facts.trial.cgroups.get(directory)
        if child is not None and name in child.files:
            return subject.ok(f"in a group that was made in {directory}", Evidence.TRIED)
        refused = refused or _refusal(facts, directory)
    if refused:
        remedy = delegation.remedy(facts, find_places(facts.host), "memory")
    return subject.degraded(refused or "this kernel has none", Evidence.TRIED, why=why, remedy=remedy)
