"""The limits of a waiting guest, set from outside: who made a user namespace has every capability in it."""

from __future__ import annotations

import select
from typing import Any

from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import lockdown


def limit_guest(pid: int, pidfd: int, report: str, limits: dict[str, Any]) -> None:
    """Set a policy's limits on a guest that has run nothing yet.

    Args:
        pid: the guest, in this process's pid namespace.
        pidfd: the same, to see that it still was the guest.
        report: what it said of its lock-down, "key=value,…".
        limits: the session's effective limits.

    Raises:
        SandboxdError: JAIL_FAILED.
    """
    said = dict(item.split("=", 1) for item in report.split(",") if "=" in item)
    try:
        lockdown.set_policy_rlimits(pid, limits, int(said["mapped"]))
    except OSError as error:
        raise SandboxdError(Code.JAIL_FAILED, f"The waiting guest could not be limited ({error}).") from None
    poll = select.poll()  # not select(2): it knows descriptors below 1024 alone
    poll.register(pidfd, select.POLLIN)
    if poll.poll(0):
        raise SandboxdError(Code.JAIL_FAILED, "The waiting guest died at its check-out.")
