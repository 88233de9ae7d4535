"""The guest's own steps between fork and the first line of untrusted code. Order is security here: see each line.

A step that fails ends the guest: nothing runs in a box that is less than it was announced to be.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes enums of answers, which touches a hundred pages
import contextlib
import fcntl
import os
import resource
from typing import Any, Dict, List

from sandboxd.jail import groups, kernel, landlock, mounts

GUEST_UID = 1000
CONTROL_FD = 3
NURSERY_FD = 4  # to pid 1: see `sandboxd.jail.cradle`
GUEST_NICE = 10  # the launcher's timers must get the processor also while a fork bomb runs
LAST_CAP = 63
MIB = 1024 * 1024


def arrange_descriptors(fds: List[int]) -> None:
    """Leave exactly 0 (null) and `fds` (stdout, stderr, control, nursery, report) as 1, 2, CONTROL_FD and those above it.

    Every other descriptor is closed for good, not marked close-on-exec: there is no exec to come, and one leaked
    directory descriptor is a way out (CVE-2024-21626).
    """
    null = os.open("/dev/null", os.O_RDONLY)
    parked = [_above(fd) for fd in (null, *fds)]
    for target, fd in enumerate(parked):
        os.dup2(fd, target, inheritable=target < CONTROL_FD)
    kernel.close_from(len(parked))


def _above(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64)


def set_fixed_rlimits() -> None:
    """Set the limits that are the same in every box."""
    for which, value in (
        (resource.RLIMIT_NOFILE, 1024),
        # Not 0: a core_pattern that is a pipe ignores every limit but 1, and its handler runs as the host's root. Files
        # are not written either: no core fits. core(5); fs/coredump.c.
        (resource.RLIMIT_CORE, 1),
        (resource.RLIMIT_STACK, 8 * MIB),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_SIGPENDING, 64),
    ):
        set_limit(0, which, value)


def set_policy_rlimits(pid: int, limits: Dict[str, Any], inherited_bytes: int) -> None:
    """Set the limits that a policy gives; `pid` 0 is this process.

    Args:
        pid: the guest.
        limits: the session's effective limits.
        inherited_bytes: the zygote's own mappings: no use of the guest's, memory counts from there.
    """
    set_limit(pid, resource.RLIMIT_AS, inherited_bytes + int(limits["memory_bytes"]))
    # Above the cgroup's limit, which counts refusals where it is there; pid 1 may share the id. Nobody may raise it later,
    # so the tree's other members have their room from the start: without a cgroup it is the program's too.
    set_limit(pid, resource.RLIMIT_NPROC, int(limits["pids"]) + 2 + int(limits.get("forks", 0)))
    set_limit(pid, resource.RLIMIT_FSIZE, int(limits["disk_bytes"]))


def set_limit(pid: int, which: int, value: int) -> None:
    """Set hard = soft: lowering needs no capability, and raising is then impossible."""
    hard = resource.prlimit(pid, which)[1]
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.prlimit(pid, which, (bound, bound))


def mapped_bytes() -> int:
    """Return the size of this process's address space."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def drop_privileges(*, switch_ids: bool) -> None:
    """Give up ids and capabilities: bounding set first (it needs CAP_SETPCAP), ids before capabilities."""
    drop_bounding_set()
    if switch_ids:
        switch_to(GUEST_UID)
    drop_capabilities()


def drop_bounding_set() -> None:
    """Take every capability out of what an exec could give."""
    for cap in range(LAST_CAP + 1):
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, cap)
        except OSError:
            break  # past the kernel's last capability


def switch_to(identity: int) -> None:
    """Become this user and group, real, effective and saved, in no other group."""
    os.setgroups([])
    os.setresgid(identity, identity, identity)
    os.setresuid(identity, identity, identity)


def drop_capabilities() -> None:
    """Give up every capability that this process has."""
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    kernel.capset(0, 0, 0)


def speculation() -> str:
    """Turn off speculative store bypass and indirect branches where the kernel lets a process do so."""
    states = []
    for name, which in (
        ("store_bypass", kernel.PR_SPEC_STORE_BYPASS),
        ("indirect", kernel.PR_SPEC_INDIRECT_BRANCH),
    ):
        try:
            kernel.prctl(kernel.PR_SET_SPECULATION_CTRL, which, kernel.PR_SPEC_FORCE_DISABLE)
            states.append(name)
        except OSError:
            continue  # not there, or decided at boot: reported as inactive
    return ",".join(states)


def prefer_for_oom(score: int) -> None:
    """Raise this process's OOM score. Raising needs no capability; the file is ours only while dumpable is on."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    file = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(file, b"%d" % score)
    os.close(file)


def reset_signals() -> None:
    """Give every signal its default and unblock them: the supervisor's handlers are not the guest's."""
    _signal.set_wakeup_fd(-1)
    for number in (_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _unlock(workdir: str) -> None:
    """Let the next guest into a work directory whose mode the last one's program changed: it could not even start there."""
    if not os.access(workdir, os.R_OK | os.W_OK | os.X_OK):
        with contextlib.suppress(OSError):  # removed: `lock_down` makes it anew
            os.chmod(workdir, 0o755)  # noqa: S103  as it was made


def lock_down(order: Dict[str, Any], fds: List[int], report: int) -> Dict[str, Any]:
    """Walk the checklist and return what is active. `fds` are stdout, stderr, the control socket and the nursery.

    A guest that waits in the pool knows no policy yet: `order["limits"]` is None, and the launcher sets those limits on it
    from outside, before the first cell can reach it.
    """
    steps: Dict[str, Any] = {}
    if order["group"] is not None:
        steps["group"] = groups.try_to_join(order["group"])  # whatever it starts is born there
    reset_signals()
    prefer_for_oom(1000)  # when the box runs out of memory the guest dies, never pid 1
    writable = tuple(target for _, target in mounts.WRITABLE)
    devices = tuple("/dev/" + name for name in mounts.DEVICES)
    arrange_descriptors([*fds, report])
    os.nice(GUEST_NICE)
    set_fixed_rlimits()
    steps["mapped"] = mapped_bytes()
    if order["limits"] is not None:
        set_policy_rlimits(0, order["limits"], steps["mapped"])
    drop_privileges(switch_ids=order["switch_ids"])
    _unlock(order["workdir"])
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    # Not dumpable: /proc/self/mem would let the guest patch read-only pages, and core dumps would leave the box.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    steps["speculation"] = speculation()
    steps["landlock"] = landlock.restrict(
        writable, devices
    )  # after the mounts: it forbids mount(2) from here on
    if order["home"] != mounts.CLONES:  # the next guest of a clone, whose program may have removed its place
        os.setsid()  # as its clone did: see `family.Family.put`
        os.makedirs(order["workdir"], exist_ok=True)
        landlock.confine(order["home"], mounts.SHARED, devices, order["roots"])
    kernel.load_seccomp(order["guest_filter"])  # last: it need not allow any of the above
    return steps
