"""What is active in a box, verified from outside in /proc where it can be, else as pid 1 and the guest report it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandboxd.errors import Code, SandboxdError
from sandboxd.hosts import protection_remedy
from sandboxd.launcher.cgroups import GUEST_GROUP

Row = tuple[str, bool, str]


def active_protections(
    guest_pid: int, built: dict[str, Any], guest: str, cgroup_reasons: dict[str, str], cgroups: set[str]
) -> list[Row]:
    """Return (name, active, detail) for every protection of the process tier.

    Args:
        guest_pid: the guest, in the launcher's pid namespace.
        built: pid 1's report of its set-up.
        guest: the guest's report, "key=value,…".
        cgroup_reasons: why a controller is missing.
        cgroups: controllers in use.
    """
    said = dict(item.split("=", 1) for item in guest.split(",") if "=" in item)
    status = _status(guest_pid)
    rows: list[Row] = [
        (f"{name}_namespace", True, "") for name in ("user", "mount", "pid", "network", "ipc", "uts")
    ]
    rows.append(_told("cgroup_namespace", built["cgroup_namespace"]))
    rows.append(("read_only_root", True, "pivot_root into a tmpfs with read-only binds"))
    rows.append(_told("no_nested_userns", built["no_nested_userns"]))
    rows.append(
        ("capabilities", status.get("CapEff") == "0" * 16 and status.get("CapBnd") == "0" * 16, "none held")
    )
    rows.append(("no_new_privs", status.get("NoNewPrivs") == "1", ""))
    rows.append(("seccomp", status.get("Seccomp") == "2", f"{status.get('Seccomp_filters', '?')} filters"))
    abi = int(said.get("landlock", "0"))
    rows.append(("landlock", abi > 0, f"ABI {abi}" if abi else "this kernel has no Landlock, or it is off"))
    rows.append(("rlimits", True, ""))
    rows.append(("non_dumpable", True, ""))
    rows += _at_rest(guest_pid, cgroup_reasons.get("freezer", ""))
    speculation = said.get("speculation", "")
    rows.append(("speculation_control", bool(speculation), speculation or "decided by the kernel at boot"))
    return rows + [
        (f"cgroup_{controller}", controller in cgroups, cgroup_reasons.get(controller, ""))
        for controller in ("memory", "pids", "cpu")
    ]


def _at_rest(guest_pid: int, reason: str) -> list[Row]:
    """One row that always holds, for policies, and one for the stronger way."""
    frozen = not reason and _cgroup_v2(guest_pid).endswith(f"/{GUEST_GROUP}")
    how = "by cgroup.freeze" if frozen else "by SIGSTOP, which a program can notice afterwards"
    return [("stopped_between_snippets", True, how), ("frozen_between_snippets", frozen, reason)]


def _cgroup_v2(pid: int) -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), "")


def _told(name: str, value: Any) -> Row:
    return (name, value is True, "" if value is True else str(value)[:300])


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def check_required(rows: list[Row], require: list[str], *, memory_total: bool) -> None:
    """Refuse a box that lacks what its policy demands.

    Raises:
        SandboxdError: PROTECTION_MISSING, naming each and the remedy; POLICY_INVALID for a name that does not exist.
    """
    known = {name: (active, detail) for name, active, detail in rows}
    wanted = [*require, *(["cgroup_memory"] if memory_total else [])]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SandboxdError(
            Code.POLICY_INVALID, f"require names {', '.join(unknown)}.", remedy=f"Known: {', '.join(known)}."
        )
    missing = [name for name in wanted if not known[name][0]]
    if missing:
        why = "; ".join(f"{name}: {known[name][1] or 'inactive'}" for name in missing)
        remedy = " ".join(dict.fromkeys(protection_remedy(name) for name in missing))
        raise SandboxdError(
            Code.PROTECTION_MISSING,
            f"This host cannot enforce what the policy requires: {why}.",
            remedy=remedy,
        )
