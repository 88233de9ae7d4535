"""What follows from the checks: does the process tier run, can a policy be enforced, how does the command end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sandboxd.doctor import engine
from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Asked, Check, Evidence, PolicyCheck, ProtectionCheck, Status, Tier
from sandboxd.environments import BASE
from sandboxd.hosts import protection_remedy
from sandboxd.policy import Policy

_FRESH_ONLY = frozenset({"own_address_layout", "own_hash_seed"})
_TIER = "process"
OK, LACKING, CANNOT_START = 0, 1, 3
"""Exit codes, as in the table of the command line: all required is there, something is lacking, no tier."""


def tier(facts: Facts, checks: Sequence[Check]) -> Tier:
    """Say whether the process tier runs: a jail that was built is the proof, else the required checks decide."""
    jail = facts.jail
    if jail is not None and jail.protections:
        return Tier(status=Status.OK, evidence=Evidence.TRIED, seconds=jail.seconds)
    if jail is not None:
        return Tier(
            status=Status.MISSING,
            evidence=Evidence.TRIED,
            why=jail.message,
            remedy=jail.remedy,
            code=jail.code,
        )
    bad = [check for check in checks if check.required and check.status in {Status.MISSING, Status.UNKNOWN}]
    if not bad:
        return Tier(
            status=Status.OK,
            evidence=Evidence.INFERRED,
            why="no jail was built; nothing that it needs is missing",
        )
    worst = next((check for check in bad if check.status is Status.MISSING), bad[0])
    evidence = Evidence.INFERRED if worst.status is Status.MISSING else Evidence.NONE
    why = f"{worst.id}: {worst.why or worst.found}"
    return Tier(status=worst.status, evidence=evidence, why=why, remedy=worst.remedy)


def policy_check(
    policy: Policy, runs: Tier, protections: Iterable[ProtectionCheck], facts: Facts
) -> PolicyCheck:
    """Say whether this host can enforce a policy: the tier, all that it requires, and its environment."""
    if runs.status is not Status.OK:
        why = "the process tier does not run here" if runs.status is Status.MISSING else "nobody can tell"
        return PolicyCheck(name=policy.name, status=runs.status, lacks=("process tier",), why=why)
    if policy.executor != _TIER:
        return _container_verdict(policy, facts)
    needs = [*policy.require, *(["cgroup_memory"] if policy.limits.memory_enforce == "total" else [])]
    rows = {row.name: row for row in protections}
    lacks = [name for name in dict.fromkeys(needs) if name not in rows or rows[name].status is not Status.OK]
    remedies = [rows[name].remedy if name in rows else protection_remedy(name) for name in lacks]
    reasons = [f"{name}: {rows[name].why or rows[name].status}" for name in lacks if name in rows]
    for name in [name for name in needs if name in _FRESH_ONLY and name not in lacks and not policy.fresh]:
        lacks.append(name)
        reasons.append(f"{name}: this host can give it, but only to what isolate.fresh starts")
        remedies.append(protection_remedy(name))
    fault = _environment_fault(policy.environment, facts)
    if fault:
        lacks.append(f"environment {policy.environment}")
        reasons.append(f"environment {policy.environment}: {fault}")
        remedies.append(f"sandboxd env create {policy.environment}")
    return PolicyCheck(
        name=policy.name,
        status=Status.MISSING if lacks else Status.OK,
        lacks=tuple(lacks),
        why="; ".join(reasons),
        remedy="\n".join(dict.fromkeys(remedies)),
    )


def _container_verdict(policy: Policy, facts: Facts) -> PolicyCheck:
    found = engine.lacks(policy, facts)
    return PolicyCheck(
        name=policy.name,
        status=Status.MISSING if found else Status.OK,
        lacks=tuple(name for name, _, _ in found),
        why="; ".join(f"{name}: {why}" for name, why, _ in found),
        remedy="\n".join(dict.fromkeys(remedy for _, _, remedy in found if remedy)),
    )


def _environment_fault(name: str, facts: Facts) -> str:
    if name == BASE and name not in facts.setup.environments:
        return ""  # always there; the jail that was built is of it
    return facts.setup.environments.get(name, "was not made")


def asked(
    require: Sequence[str],
    policies: Sequence[str],
    protections: Iterable[ProtectionCheck],
    checks: Iterable[Check],
    verdicts: Iterable[PolicyCheck],
) -> Asked:
    """Say what is lacking of what was asked for: all that is not wholly there, the unknown included."""
    states = {row.name: row.status for row in protections} | {check.id: check.status for check in checks}
    lacks = [name for name in require if states.get(name) is not Status.OK]
    lacks += [
        f"policy {one.name}" for one in verdicts if one.name in policies and one.status is not Status.OK
    ]
    return Asked(require=tuple(require), policies=tuple(policies), lacks=tuple(lacks))


def exit_code(runs: Tier, wanted: Asked) -> int:
    """Return the code for scripts: no tier weighs more than a lacking part."""
    if runs.status is not Status.OK:
        return CANNOT_START
    return LACKING if wanted.lacks else OK
