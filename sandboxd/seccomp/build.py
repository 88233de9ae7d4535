"""Build the filters with libseccomp and export them as BPF."""

from __future__ import annotations

import errno
import functools
import mmap
import os
import resource
import termios
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandboxd.errors import Code, StartError
from sandboxd.seccomp import names

# All CLONE_NEW* that clone(2) can carry (NEWTIME is not among them): namespaces are ours to make, not the guest's.
CLONE_NAMESPACES = 0x7E020000

AF_UNIX = 1
UNKNOWN_CALL = -1
SCREENER_FD = 0
RLIMITS = 16  # RLIM_NLIMITS
TERMINAL_IOCTLS = (
    termios.TCGETS, termios.TIOCGWINSZ, termios.TIOCGPGRP,
    termios.FIONREAD, termios.FIONBIO, termios.FIOCLEX, termios.FIONCLEX,
)  # fmt: skip
# Descriptors, flags, record locks, pipe sizes, seals. Not F_SETSIG and F_NOTIFY (any signal on any event: SIGCONT would
# wake a stopped box), not F_SETLEASE (it tells who opens a shared file).
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 36, 37, 38, 1030, 1031, 1032, 1033, 1034)
# Names, child-death signal reads, timer slack, THP. Not 1 (parent-death signal), 4 (dumpable), 22 (seccomp).
PRCTL_OPTIONS = (2, 3, 15, 16, 21, 23, 30, 38, 39, 40, 42, 0x53564D41)


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter: BPF bytes (struct sock_filter[]) and the names that this libseccomp did not know."""

    program: bytes
    unknown: tuple[str, ...]

    @property
    def instructions(self) -> int:
        """Return the number of BPF instructions."""
        return len(self.program) // 8


def build_filters() -> dict[str, Filter]:
    """Build the filters "guest" and "supervisor".

    Raises:
        StartError: EXECUTOR_UNAVAILABLE when libseccomp cannot be loaded.
    """
    lib = _library()
    return {"guest": _guest(lib), "supervisor": _supervisor(lib)}


def build_screener_filter() -> Filter:
    """Build the filter of a process that only parses: one descriptor, memory that is never code, and an end.

    Raises:
        StartError: EXECUTOR_UNAVAILABLE when libseccomp cannot be loaded.
    """
    lib = _library()
    # EPERM for all else: such a process starts nothing and probes for nothing, so no library needs ENOSYS to fall back on.
    rules = _Rules(lib, lib.ERRNO(errno.EPERM))
    rules.add(lib.ALLOW, names.SCREENER)
    for call in ("read", "write"):
        rules.add(lib.ALLOW, [call], lib.Arg(0, lib.EQ, SCREENER_FD))
    for call in ("mmap", "mprotect"):
        rules.add(lib.ALLOW, [call], lib.Arg(2, lib.MASKED_EQ, mmap.PROT_EXEC, 0))
    # The limit that ends a check, of itself alone: moved on before each one, below a hard limit that stays.
    rules.add(lib.ALLOW, ["prlimit64"], lib.Arg(0, lib.EQ, 0), lib.Arg(1, lib.EQ, resource.RLIMIT_CPU))
    return rules.export()


def _library() -> Any:
    try:
        import pyseccomp  # noqa: PLC0415  loads libseccomp.so.2 at import
    except (ImportError, OSError, RuntimeError) as error:
        raise StartError(
            Code.EXECUTOR_UNAVAILABLE,
            f"libseccomp cannot be loaded ({error}).",
            remedy="Install it: apt-get install libseccomp2 (dnf install libseccomp), and pip install 'sandboxd[daemon]'.",
        ) from None
    return pyseccomp


def _guest(lib: Any) -> Filter:
    rules = _Rules(lib, lib.ERRNO(errno.ENOSYS))
    rules.add(lib.ALLOW, names.ALLOWED)
    rules.add(lib.ERRNO(errno.EPERM), names.DENIED)
    # Threads and forks, without any new namespace. clone3 hides its flags in memory: ENOSYS, and libc falls back to clone.
    rules.add(lib.ALLOW, ["clone"], lib.Arg(0, lib.MASKED_EQ, CLONE_NAMESPACES, 0))
    rules.add(lib.ALLOW, ["socketpair"], lib.Arg(0, lib.EQ, AF_UNIX))
    # Comparisons are of 64 bits while the kernel uses 32: as an allow-list an odd high half fails safe (CVE-2019-10063).
    for request in TERMINAL_IOCTLS:
        rules.add(lib.ALLOW, ["ioctl"], lib.Arg(1, lib.EQ, request))
    for command in FCNTL_COMMANDS:
        rules.add(lib.ALLOW, ["fcntl"], lib.Arg(1, lib.EQ, command))
    # Its own limits alone: as an ordinary user pid 1 has the guest's id, and must keep its limits. That of core dumps can be
    # read and not set: 1 is what keeps a piped core_pattern's handler away, and 0, which is less, does not.
    for limit in range(RLIMITS):
        if limit != resource.RLIMIT_CORE:
            rules.add(lib.ALLOW, ["prlimit64"], lib.Arg(0, lib.EQ, 0), lib.Arg(1, lib.EQ, limit))
            rules.add(lib.ALLOW, ["setrlimit"], lib.Arg(0, lib.EQ, limit))
    reading = lib.Arg(2, lib.EQ, 0)
    rules.add(
        lib.ALLOW, ["prlimit64"], lib.Arg(0, lib.EQ, 0), lib.Arg(1, lib.EQ, resource.RLIMIT_CORE), reading
    )
    for option in PRCTL_OPTIONS:
        rules.add(lib.ALLOW, ["prctl"], lib.Arg(0, lib.EQ, option))
    # A clone of a session takes rights away from itself, and nobody gives itself any by it: landlock(7). Version and rules
    # of paths alone; no flags, of which later kernels have some that keep refusals out of the audit log.
    for flags in (0, 1):
        rules.add(lib.ALLOW, ["landlock_create_ruleset"], lib.Arg(2, lib.EQ, flags))
    rules.add(lib.ALLOW, ["landlock_add_rule"], lib.Arg(1, lib.EQ, 1), lib.Arg(3, lib.EQ, 0))
    rules.add(lib.ALLOW, ["landlock_restrict_self"], lib.Arg(1, lib.EQ, 0))
    return rules.export()


def _supervisor(lib: Any) -> Filter:
    rules = _Rules(lib, lib.ALLOW)
    rules.add(lib.ERRNO(errno.EPERM), names.SUPERVISOR_DENIED)
    return rules.export()


class _Rules:
    def __init__(self, lib: Any, default: Any) -> None:
        self._filter = lib.SyscallFilter(default)
        self._resolve = functools.partial(lib.resolve_syscall, lib.Arch.NATIVE)
        # libseccomp's own default kills one thread; a guest that probes x32 or int 0x80 is not to live on.
        self._filter.set_attr(lib.Attr.ACT_BADARCH, lib.KILL_PROCESS)
        self._set_optional(lib.Attr, "CTL_OPTIMIZE", 2)
        self._unknown: list[str] = []

    def _set_optional(self, attributes: Any, name: str, value: int) -> None:
        set_attr: Callable[[Any, int], None] = self._filter.set_attr
        if hasattr(attributes, name):
            set_attr(getattr(attributes, name), value)

    def add(self, action: Any, calls: Iterable[str], *arguments: Any) -> None:
        for name in calls:
            number = self._resolve(name)
            if number == UNKNOWN_CALL:
                self._unknown.append(name)
            else:
                self._filter.add_rule(action, number, *arguments)

    def export(self) -> Filter:
        fd = os.memfd_create("bpf", os.MFD_CLOEXEC)
        with os.fdopen(fd, "w+b") as file:
            self._filter.export_bpf(file)
            file.seek(0)
            return Filter(file.read(), tuple(self._unknown))
