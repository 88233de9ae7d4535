"""Whether a jail here gets each protection, by the names that policies require.

Where a jail was built, it is asked: what the launcher read back from /proc is the answer. Where none could be built, what
each protection needs was tried alone, and the answer says that it is a conclusion.
"""

from __future__ import annotations

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Check, Evidence, ProtectionCheck, Status
from sandboxd.hosts import PROTECTIONS, protection_remedy

_CHECKS = {
    "seccomp": "seccomp-filter",
    "landlock": "landlock-abi",
    "frozen_between_snippets": "cgroup-freeze",
    "speculation_control": "speculation-control",
    "own_address_layout": "address-layout",
    "cgroup_memory": "cgroup-memory",
    "cgroup_pids": "cgroup-pids",
    "cgroup_cpu": "cgroup-cpu",
}
_ALSO_WEAKER = frozenset({"landlock"})  # an older ABI is Landlock all the same
_STEPS = {"cgroup_namespace": "cgroup_namespace", "no_nested_userns": "no_nested_userns"}
# Made with the namespaces or by the process itself: nothing on a host withholds them once those are there.
_WITH_THE_JAIL = "user-namespaces"


def protection_checks(facts: Facts, checks: list[Check]) -> tuple[ProtectionCheck, ...]:
    """Answer for every protection of the table."""
    by_id = {check.id: check for check in checks}
    if facts.jail is not None and facts.jail.protections:
        return tuple(_asked(facts, fact.name, fact.stops, by_id) for fact in PROTECTIONS)
    return tuple(_concluded(facts, fact.name, fact.stops, by_id) for fact in PROTECTIONS)


def _asked(facts: Facts, name: str, stops: str, checks: dict[str, Check]) -> ProtectionCheck:
    row = facts.active(name)
    if row is None:
        return _row(name, stops, Status.UNKNOWN, Evidence.NONE, "the jail that was built did not say")
    if row.active:
        return _row(name, stops, Status.OK, Evidence.TRIED, row.detail)
    check = checks.get(_CHECKS.get(name, ""))
    remedy = check.remedy if check is not None else ""
    return _row(
        name,
        stops,
        Status.MISSING,
        Evidence.TRIED,
        row.detail or "inactive in the jail that was built",
        remedy,
    )


def _concluded(facts: Facts, name: str, stops: str, checks: dict[str, Check]) -> ProtectionCheck:
    needed = checks[_CHECKS.get(name, _WITH_THE_JAIL)]
    step = facts.trial.report.get(_STEPS.get(name, ""))
    if name in _STEPS and needed.status is Status.OK:
        if step is None:
            return _row(name, stops, Status.UNKNOWN, Evidence.NONE, "it was not reached")
        return _row(
            name,
            stops,
            Status.MISSING if step else Status.OK,
            Evidence.INFERRED,
            f"errno {step}" if step else "",
        )
    if needed.status is Status.OK or (needed.status is Status.DEGRADED and name in _ALSO_WEAKER):
        return _row(name, stops, Status.OK, Evidence.INFERRED, "")
    status = Status.UNKNOWN if needed.status is Status.UNKNOWN else Status.MISSING
    evidence = Evidence.NONE if status is Status.UNKNOWN else Evidence.INFERRED
    return _row(name, stops, status, evidence, f"{needed.id}: {needed.found}", needed.remedy)


def _row(  # noqa: PLR0917  # one line a row reads better
    name: str, stops: str, status: Status, evidence: Evidence, why: str, remedy: str = ""
) -> ProtectionCheck:
    if status is Status.OK:
        remedy = ""
    elif not remedy:
        remedy = protection_remedy(name)
    return ProtectionCheck(
        name=name, status=status, evidence=evidence, protects=stops, why=why, remedy=remedy
    )
