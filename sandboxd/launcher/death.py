"""Why a guest died, by the evidence that the kernel and the launcher hold. The guest itself is not asked."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from sandboxd.launcher import protocol
from sandboxd.launcher.execution import Execution
from sandboxd.launcher.meter import Reading

_CAUSE_SOURCES = {"timeout_wall": "deadline", "timeout_cpu": "cpu clock", "output_limit": "output"}


@dataclass(frozen=True, slots=True)
class GuestDeath:
    """`cause` is an outcome's name, "" for a program that ended its own interpreter (`code` is then "exit:N")."""

    cause: str
    source: str
    code: str
    detail: str = ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names in between
        return f"SIG{number}"


def _is_kill(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def explain(
    status: int, execution: Execution | None, used: Reading | None, *, shared: bool = False
) -> GuestDeath:
    """Return the cause of a guest's death from its wait status, the launcher's own acts, and the cgroup.

    Where other members share the cgroup, it may have counted a process of theirs: only a kill can then be the limit's.
    """
    if execution is not None and execution.cause:
        source = _CAUSE_SOURCES.get(execution.cause, "request")
        return GuestDeath(execution.cause, source, execution.code, "killed after the grace")
    if used is not None and (used.oom_kills or 0) > 0 and (not shared or _is_kill(status)):
        return GuestDeath(
            "oom", "cgroup", "oom_kill", f"{used.oom_kills} processes killed by the memory limit"
        )
    if os.WIFSIGNALED(status):
        name = _name(os.WTERMSIG(status))
        cause = "killed" if name == "SIGKILL" else "crashed"
        return GuestDeath(cause, "waitpid", name)
    return GuestDeath("", "waitpid", f"exit:{os.WEXITSTATUS(status)}")


def tell_death(
    box: int, status: int, execution: Execution | None, *, shared: bool = False
) -> protocol.GuestDied:
    """Stop the clocks of the execution in which a guest died, if any, and say why it died and what was used."""
    if execution is None:
        number, used = 0, None
    else:
        execution.stop()
        number, used = execution.number, execution.used()
    death = explain(status, execution, used, shared=shared)
    usage, hits = (used.usage(), used.limits_hit()) if used is not None else ({}, [])
    return protocol.GuestDied(box, number, death.cause, death.source, death.code, death.detail, usage, hits)
