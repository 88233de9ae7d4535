"""Try what a jail needs, in a throw-away process. Executed with `-I -S` and the package's root, never imported; prints JSON.

Looking at sysctls is not enough: a container's seccomp filter, AppArmor and a masked /proc all say no without leaving a
trace in them. So the steps of the jail are made for real, in order, with the jail's own system calls, and each tells its
errno (0: it worked; absent: an earlier step failed). Whatever is made ends with this process.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from sandboxd.jail import kernel  # standard library alone, as this script

PR_SET_SECCOMP, SECCOMP_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL = 22, 2, 2
PR_GET_SPECULATION_CTRL, PR_SCHED_CORE, PR_SCHED_CORE_CREATE = 52, 62, 1
ACTIONS = {"kill_process": 0x80000000, "errno": 0x00050000, "allow": 0x7FFF0000}
NAMESPACES = {
    "user": kernel.CLONE_NEWUSER,
    "mount": kernel.CLONE_NEWNS,
    "pid": kernel.CLONE_NEWPID,
    "network": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
    "cgroup": kernel.CLONE_NEWCGROUP,
}
IN_THE_CLONE = ("user", "mount", "pid", "network", "ipc", "uts")  # as the zygote makes them, in one call
CLOCK_READINGS = 5000

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def errno_of(action: Callable[[], object]) -> int:
    """Do something and return its errno; 0 for success."""
    try:
        action()
    except OSError as error:
        return error.errno or -1
    return 0


def in_child(action: Callable[[], object]) -> int:
    """Do something in a child of its own and return its errno: what it changed is gone with the child."""
    child = os.fork()
    if child == 0:
        os._exit(errno_of(action) & 0xFF)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def raw(number: int, *arguments: int) -> int:
    """Make a system call with integers and return its errno, 0 for success."""
    words = [ctypes.c_long(word) for word in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    return ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *words) < 0 else 0


def write(path: str, text: str) -> None:
    """Write a file in one call: the kernel takes an id map in no other way."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def calls() -> dict[str, int]:
    """Make the newer system calls with arguments that cannot work: ENOSYS says that the kernel has no such call."""
    nowhere = -1
    answers = {
        "openat2": raw(kernel.number("openat2"), nowhere),
        "close_range": raw(kernel.number("close_range"), 3, 2),
        "mount_setattr": raw(kernel.number("mount_setattr"), nowhere),
        "pidfd_open": errno_of(lambda: os.pidfd_open(0)),
        "memfd_create": errno_of(lambda: os.memfd_create("doctor", 0x4000_0000)),
    }
    return {f"call_{name}": number for name, number in answers.items()}


def landlock() -> dict[str, int]:
    """Ask for the Landlock ABI and the errata that are fixed; negative: the errno."""
    answers = {}
    for name, flag in (("landlock_abi", 1), ("landlock_errata", 2)):
        zero = ctypes.c_long(0)
        number = ctypes.c_long(kernel.number("landlock_create_ruleset"))
        answer = int(libc.syscall(number, zero, zero, ctypes.c_uint(flag)))
        answers[name] = -ctypes.get_errno() if answer < 0 else answer
    return answers


def seccomp() -> dict[str, int]:
    """Offer the kernel no filter at all (EFAULT: it would have read one), and ask for each action that the jail uses."""
    answers = {"seccomp_filter": errno_of(lambda: kernel.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER))}
    if kernel.supported_machine():
        for name, action in ACTIONS.items():
            word = ctypes.c_uint32(action)
            place = ctypes.addressof(word)
            answers[f"action_{name}"] = raw(kernel.number("seccomp"), SECCOMP_GET_ACTION_AVAIL, 0, place)
    return answers


def processor() -> dict[str, int]:
    """Ask for what the kernel does about speculation, and try what the jail does: prctl(2) PR_SET_SPECULATION_CTRL."""
    report = {}
    for name, which in (("store_bypass", 0), ("indirect_branch", 1)):
        answer = libc.prctl(PR_GET_SPECULATION_CTRL, *map(ctypes.c_ulong, (which, 0, 0, 0)))
        report[f"speculation_{name}"] = -ctypes.get_errno() if answer < 0 else int(answer)
        report[f"set_{name}"] = in_child(
            partial(kernel.prctl, kernel.PR_SET_SPECULATION_CTRL, which, kernel.PR_SPEC_FORCE_DISABLE)
        )
    report["core_scheduling"] = in_child(lambda: kernel.prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE))
    start = time.perf_counter_ns()
    for _ in range(CLOCK_READINGS):
        time.perf_counter_ns()
    report["clock_ns"] = (time.perf_counter_ns() - start) // CLOCK_READINGS
    return report


def daemon() -> dict[str, int]:
    """Tell the limits that a daemon would inherit from here, and whether clock and random numbers are ready."""
    report = {"uid": os.geteuid(), "gid": os.getegid()}
    for name in ("NOFILE", "NPROC", "CORE"):
        soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
        report[f"{name.lower()}_soft"], report[f"{name.lower()}_hard"] = soft, hard
    # struct timex, all zero: read only. The answer is the clock's state, 5 (TIME_ERROR) for "not synchronised".
    answer = libc.adjtimex(ctypes.create_string_buffer(512))
    report["clock_state"] = -ctypes.get_errno() if answer < 0 else int(answer)
    report["random"] = errno_of(lambda: os.getrandom(1, os.GRND_NONBLOCK))
    return report


def bind_read_only() -> None:
    """Bind a directory and make it read-only with everything below, as the root of a jail is made."""
    Path("/tmp/bound").mkdir()  # noqa: S108  # the tmpfs that was mounted a step before
    kernel.mount("/tmp", "/tmp/bound", "", kernel.MS_BIND | kernel.MS_REC)  # noqa: S108
    kernel.set_mount_flags("/tmp/bound", kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)  # noqa: S108


def mount_proc() -> None:
    """Mount a fresh /proc as the jail does; works in pid 1 of a new pid namespace only."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    Path("/tmp/proc").mkdir()  # noqa: S108
    kernel.mount("proc", "/tmp/proc", "proc", flags, "hidepid=invisible,subset=pid")  # noqa: S108


def jail_steps(uid: int, gid: int) -> list[tuple[str, Callable[[], object]]]:
    """List what must work for there to be a jail at all, in order."""
    together = sum(NAMESPACES[name] for name in IN_THE_CLONE)
    private = kernel.MS_REC | kernel.MS_PRIVATE
    return [
        ("unshare", lambda: kernel.unshare(together)),
        ("uid_map", lambda: write("/proc/self/uid_map", f"0 {uid} 1")),
        ("gid_map", lambda: write("/proc/self/gid_map", f"0 {gid} 1")),
        ("private", lambda: kernel.mount("", "/", "", private)),
        ("tmpfs", lambda: kernel.mount("root", "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV)),  # noqa: S108
        ("bind_read_only", bind_read_only),
    ]


def jail() -> dict[str, int]:
    """Make the steps up to the first that fails; where it is the first, tell which namespace is refused."""
    report = {}
    for name, step in jail_steps(os.geteuid(), os.getegid()):
        report[name] = errno_of(step)
        if name == "unshare":
            errno_of(lambda: write("/proc/self/setgroups", "deny"))
        if report[name]:
            return report
    report["cgroup_namespace"] = errno_of(lambda: kernel.unshare(kernel.CLONE_NEWCGROUP))
    report["no_nested_userns"] = errno_of(lambda: write("/proc/sys/user/max_user_namespaces", "0"))
    report["fresh_proc"] = in_child(
        mount_proc
    )  # as pid 1 of the new namespace; with its end no other child can be made
    return report


def namespaces() -> dict[str, int]:
    """Try each namespace alone, with the user namespace that an ordinary user needs for it."""
    report = {}
    for name, flag in NAMESPACES.items():
        report[f"namespace_{name}"] = in_child(partial(kernel.unshare, flag | kernel.CLONE_NEWUSER))
    return report


def main() -> None:
    """Report everything that could be tried."""
    report = {**daemon(), **calls(), **landlock(), **seccomp(), **processor()}
    report |= jail()  # last: from here on this process is in namespaces of its own
    if report["unshare"]:
        report |= namespaces()
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
