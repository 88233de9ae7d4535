"""How a screener process locks itself in, after its last import and before the first source. For good.

Whoever takes the parser over by a text finds one descriptor, memory that cannot be made code, and nothing to open, start
or signal. Two walls are the minimum, as in the jail: no_new_privs and the system-call filter; without them no source is
read. The others are tried, since a host may forbid them, and told. Standard library only, Python 3.9 and up.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from sandboxd.jail import kernel, landlock, lockdown

NOBODY = 65534  # the overflow id: no file and no process of any user of the host
ROOT_AT = "/tmp"  # noqa: S108  any directory that exists everywhere: the mount is visible to this process alone
_OURS = 0  # the socket to the daemon
_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_OOM_SCORE = 1000  # it is replaced within a second; nothing else of the daemon is


def confine(memory_bytes: int, filter_program: bytes) -> dict[str, str]:
    """Walk the checklist. Order is security here: what needs a right comes before that right goes.

    Args:
        memory_bytes: the bound of the address space.
        filter_program: the seccomp filter, compiled BPF.

    Returns:
        What could not be switched on, by name, with the reason.

    Raises:
        OSError: the minimum is not there; this process must read no source.
    """
    missing: dict[str, str] = {}
    _try(missing, "oom_score", lambda: lockdown.prefer_for_oom(_OOM_SCORE))
    # A terminal's Ctrl-C is not for it; the daemon ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_one_descriptor()
    _try(missing, "namespaces", _unshare)
    if "namespaces" not in missing:
        _try(missing, "empty_root", _enter_empty_root)
    _drop(missing)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of ids clears it, so after that
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    if not lockdown.speculation():
        missing["speculation"] = "decided by the kernel"
    if not landlock.forbid():
        missing["landlock"] = "not in this kernel"
    _limit(memory_bytes)
    kernel.load_seccomp(filter_program)
    return missing


def _try(missing: dict[str, str], name: str, step: Callable[[], Any]) -> None:
    try:
        step()
    except OSError as error:
        missing[name] = str(error)


def _keep_one_descriptor() -> None:
    """Standard output and error too: nothing here has anything to say to anybody but the daemon."""
    sys.stdin = sys.stdout = sys.stderr = sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None  # type: ignore[misc]
    kernel.close_from(_OURS + 1)


def _unshare() -> None:
    if os.geteuid() == 0:
        kernel.unshare(_NAMESPACES)
    else:
        kernel.unshare(_NAMESPACES | kernel.CLONE_NEWUSER)


def _enter_empty_root() -> None:
    """Make an empty, read-only file system the root; the old one is let go of."""
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("root", ROOT_AT, "tmpfs", flags, "size=4k,nr_inodes=2")
    os.chdir(ROOT_AT)
    kernel.pivot_root(".", ".")
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")


def _drop(missing: dict[str, str]) -> None:
    """Give up ids and capabilities; as root also into a user namespace, where no id of the host has a meaning."""
    lockdown.drop_bounding_set()
    if os.geteuid() == 0:
        _try(missing, "ids", lambda: lockdown.switch_to(NOBODY))
        _try(missing, "user_namespace", lambda: kernel.unshare(kernel.CLONE_NEWUSER))
        lockdown.drop_bounding_set()  # a user namespace begins with a full one
    lockdown.drop_capabilities()


def _limit(memory_bytes: int) -> None:
    for which, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, _OURS + 1),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        # As in the jail: a core_pattern that is a pipe ignores 0, and 1 keeps its handler from starting.
        (resource.RLIMIT_CORE, 1),
    ):
        lockdown.set_limit(0, which, value)
