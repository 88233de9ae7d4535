"""Checks of what the process tier cannot do without: namespaces, a fresh /proc, and ids to map."""

from __future__ import annotations

import errno
import os

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.hosts import explain, remedies
from sandboxd.hosts.blocked import LIMITS, USERNS_CLONE
from sandboxd.launcher import idmaps

USERNS = Subject("user-namespaces", "namespaces", "the jail: without them there is none", required=True)
CLONE = Subject("userns-sysctl", "namespaces", "user namespaces of ordinary users (Debian's switch)")
COUNT = Subject("namespace-limits", "namespaces", "enough namespaces for all jails at once")
PROC = Subject("fresh-proc", "namespaces", "a /proc that shows the jail's own processes alone", required=True)
IDS = Subject("ids", "namespaces", "jails that are nobody on the host", required=True)


def check_user_namespaces(facts: Facts) -> Check:
    """Tell whether the namespaces of a jail can be made and mounting works in them, as found by doing so."""
    trial = facts.trial
    if trial.fault:
        return USERNS.unknown(trial.fault)
    failure = trial.first_failure()
    if failure is None:
        return USERNS.ok("made all six in one call, mounted in them", Evidence.TRIED)
    step, number = failure
    blocked = explain(facts.host, step, number)
    refused = [name.removeprefix("namespace_") for name in trial.report if name.startswith("namespace_")]
    refused = [name for name in refused if trial.report[f"namespace_{name}"]]
    alone = f" Refused when tried alone: {', '.join(refused)}." if refused else ""
    return USERNS.missing(
        f"{step}: {errno_name(number)}", Evidence.TRIED, why=blocked.reason + alone, remedy=blocked.remedy
    )


def check_userns_sysctl(facts: Facts) -> Check:
    """Read Debian's switch; a kernel without it allows."""
    value = facts.host.sysctl(USERNS_CLONE)
    if value is None:
        return CLONE.ok("no such switch in this kernel", Evidence.READ)
    if value != "0":
        return CLONE.ok(f"{USERNS_CLONE} is {value}", Evidence.READ)
    if facts.host.is_admin:
        return CLONE.ok("off, which does not concern root", Evidence.READ)
    return CLONE.missing(
        f"{USERNS_CLONE} is 0",
        Evidence.READ,
        why="only root may make user namespaces",
        remedy=remedies.sysctl(USERNS_CLONE, 1),
    )


def check_limits(facts: Facts) -> Check:
    """Read user.max_*_namespaces: namespaces(7). They count per user, and a jail takes one of each kind."""
    found = {name: facts.host.number(name) for name in LIMITS}
    known = {name: value for name, value in found.items() if value is not None}
    if not known:
        return COUNT.unknown(facts.host.fault("/proc/sys/user/max_user_namespaces"))
    name, least = min(known.items(), key=lambda item: item[1])
    if least == 0:
        zeros = [name for name, value in known.items() if value == 0]
        return COUNT.missing(
            ", ".join(f"{name} is 0" for name in zeros),
            Evidence.READ,
            why="no jail can be made",
            remedy="\n".join(remedies.sysctl(name, remedies.NAMESPACES) for name in zeros),
        )
    if least < facts.setup.jails:
        why = f"{facts.setup.jails} jails (max_sessions and pool_size) need as many"
        remedy = remedies.sysctl(name, remedies.NAMESPACES)
        return COUNT.degraded(f"{name} is {least}", Evidence.READ, why=why, remedy=remedy)
    return COUNT.ok(f"{least} or more of each kind", Evidence.READ)


def check_fresh_proc(facts: Facts) -> Check:
    """Tell whether a jail can mount a /proc of its own: refused where the host's is masked."""
    number = facts.trial.report.get("fresh_proc")
    covers = _covers(facts)
    if number is None:
        return PROC.unknown("not reached: see user-namespaces", remedy="")
    if number == 0:
        return PROC.ok("mounted with subset=pid", Evidence.TRIED)
    blocked = explain(facts.host, "proc", number)
    why = f"{blocked.reason} Over it lie: {covers}." if covers else blocked.reason
    return PROC.missing(errno_name(number), Evidence.TRIED, why=why, remedy=blocked.remedy)


def _covers(facts: Facts) -> str:
    table = (facts.host.read("/proc/self/mountinfo") or "").splitlines()
    points = [line.split(" ")[4] for line in table if line.count(" ") > 4]  # noqa: PLR2004  # proc_pid_mountinfo(5)
    covers = sorted(
        {point for point in points if point.startswith("/proc/") and point != "/proc/sys/fs/binfmt_misc"}
    )
    return ", ".join(covers[:5]) + (" …" if len(covers) > 5 else "")  # noqa: PLR2004


def check_ids(facts: Facts) -> Check:
    """Tell whether the ids that jails get can be mapped from here: user_namespaces(7), "ID mappings"."""
    if facts.uid is None:
        return IDS.unknown(facts.trial.fault or "it is not known as whom the daemon would run")
    if facts.uid != 0:
        return IDS.ok("its own id; no subordinate ids are needed", Evidence.READ)
    table = facts.host.read("/proc/self/uid_map")
    if table is None:
        return IDS.unknown(facts.host.fault("/proc/self/uid_map"))
    last = idmaps.FIRST_ID + 2 * idmaps.RANGES * idmaps.SLOTS - 1
    rows = [tuple(map(int, line.split())) for line in table.splitlines() if line.split()]
    if not any(inside <= idmaps.FIRST_ID and last < inside + count for inside, _, count in rows):
        why = (
            f"as root a jail gets two ids from {idmaps.FIRST_ID} on, which this user namespace does not have"
        )
        return IDS.missing(
            f"{len(rows)} mapped ranges", Evidence.READ, why=why, remedy=remedies.ids(facts.host)
        )
    return IDS.ok(f"two unused ids a jail, from {idmaps.FIRST_ID} on", Evidence.READ)


def errno_name(number: int) -> str:
    """Return an errno as people look it up, with its text."""
    return (
        f"{errno.errorcode.get(number, 'no errno')} ({os.strerror(number)})" if number > 0 else "not reached"
    )
