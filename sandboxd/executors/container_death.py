"""What ended a whole container: read from counters that go with it, or told by the engine."""

from __future__ import annotations

from sandboxd.launcher import protocol
from sandboxd.launcher.execution import Execution
from sandboxd.launcher.meter import Reading


def reading(execution: Execution, last: Reading) -> Reading:
    """Return what was used, or what was last seen of it where the counters are gone."""
    try:
        return execution.used()
    except OSError:
        return last


def death_with(execution: Execution, used: Reading, *, oom: bool) -> protocol.GuestDied | None:
    """Tell a limit that ended a whole container: gVisor's kernel is a process of the host's, in the same groups."""
    hits = used.limits_hit()
    if oom or used.oom_kills:
        cause, code = "oom", "oom_kill"
        hits = sorted({*hits, "memory"})
    elif used.pids_refused:
        cause, code = "killed", "pids"
    else:
        return None
    source = "cgroup" if hits == used.limits_hit() else "engine"
    detail = "the limit ended the whole container"
    return protocol.GuestDied(0, execution.number, cause, source, code, detail, used.usage(), hits)
