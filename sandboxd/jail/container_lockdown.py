"""The steps of a container's guest between fork and the first line of untrusted code, on Linux's kernel and on gVisor's.

The engine has taken ids, capabilities, mounts and namespaces away already; these lie on top, so that none of them rests on
the engine alone. gVisor's kernel knows some of them not: what it refuses is only accepted where it holds all the same.
"""

from __future__ import annotations

import base64
import errno
import os
import resource
from typing import Any, Dict, List

from sandboxd.jail import kernel, landlock, lockdown, mounts

_LIMITS = (
    (resource.RLIMIT_NOFILE, 1024),
    (resource.RLIMIT_CORE, 1),  # not 0: see `lockdown.set_fixed_rlimits`
    (resource.RLIMIT_STACK, 8 * lockdown.MIB),
    (resource.RLIMIT_MEMLOCK, 0),
    (resource.RLIMIT_MSGQUEUE, 0),
    (resource.RLIMIT_NICE, 0),
    (resource.RLIMIT_RTPRIO, 0),
    (resource.RLIMIT_SIGPENDING, 64),
)


def lock_down(config: Dict[str, Any], fds: List[int], report: int) -> Dict[str, Any]:
    """Walk the checklist and return what is active. `fds` are stdout, stderr and the control socket.

    Raises:
        OSError: a step failed: nothing may run in a box that is less than it was announced to be.
    """
    steps: Dict[str, Any] = {}
    guest_filter = base64.b64decode(config["guest_filter"])
    lockdown.reset_signals()
    lockdown.prefer_for_oom(1000)  # when the container runs out of memory the guest dies, never its init
    lockdown.arrange_descriptors([*fds, report])
    os.nice(lockdown.GUEST_NICE)
    for which, value in _LIMITS:
        _limit(which, value)
    # No RLIMIT_NPROC: the kernel counts by user for the whole host. The container's cgroup counts processes.
    lockdown.set_limit(0, resource.RLIMIT_AS, lockdown.mapped_bytes() + int(config["memory_bytes"]))
    lockdown.set_limit(0, resource.RLIMIT_FSIZE, int(config["disk_bytes"]))
    lockdown.drop_bounding_set()
    _clear_ambient()
    kernel.capset(0, 0, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    # Not dumpable: /proc/self/mem would let the guest patch read-only pages, and core dumps would leave the box.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    steps["speculation"] = lockdown.speculation()
    devices = tuple("/dev/" + name for name in mounts.DEVICES)
    steps["landlock"] = landlock.restrict((mounts.WORK, *mounts.SHARED), devices)
    kernel.load_seccomp(guest_filter)  # last: it need not allow any of the above
    return steps


def _limit(which: int, value: int) -> None:
    """Set a limit; where the kernel refuses to set that kind (gVisor: all but a few), the engine must have set it."""
    try:
        lockdown.set_limit(0, which, value)
    except PermissionError:
        hard = resource.getrlimit(which)[1]
        if hard == resource.RLIM_INFINITY or hard > value:
            raise


def _clear_ambient() -> None:
    """Clear the ambient set; a kernel that does not know the option has no such set (prctl(2): EINVAL)."""
    try:
        kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
