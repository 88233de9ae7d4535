"""The report: its schema is stable, its verdicts follow from the rows, and its exit code answers what was asked."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import make_schema
import pytest
from other_hosts import NAMES, other_host
from pydantic import TypeAdapter

from sandboxd.doctor import (
    EngineTrial,
    Facts,
    JailTrial,
    Report,
    Status,
    known_names,
    make_report,
    read_setup,
    report,
)
from sandboxd.events import Protection
from sandboxd.hosts import PROTECTIONS, ProtectionName
from sandboxd.policy import Policy

POLICIES = {policy.name: policy for policy in read_setup()[1]}


def strict(policy: str, *require: str, memory: str = "per_process") -> Policy:
    made = POLICIES[policy]
    return replace(made, require=require, limits=replace(made.limits, memory_enforce=memory))


def jail(*missing: str) -> JailTrial:
    rows = tuple(Protection(fact.name, fact.name not in missing, "as the jail said") for fact in PROTECTIONS)
    return JailTrial(rows, 0.2)


# ---- the form -----------------------------------------------------------------------------------------------------


def test_the_schema_that_ships_is_that_of_the_types() -> None:
    assert make_schema.PLACE.read_text() == make_schema.schema(), (
        "run python tests/unit/doctor/make_schema.py"
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_is_read_back_by_the_types(tmp_path: Path, name: str) -> None:
    made = make_report(other_host(tmp_path, name), tuple(POLICIES.values()), require=["seccomp"])
    printed = json.dumps(asdict(made), default=str)
    assert TypeAdapter(Report).validate_json(printed) == made
    wanted = json.loads(make_schema.PLACE.read_text())
    assert set(json.loads(printed)) == set(wanted["required"])


def test_ids_are_one_name_space_and_pinned() -> None:
    """Scripts use them: one may be added, none renamed."""
    names = known_names()
    assert len(names) == len(set(names))
    pinned = {
        "kernel", "kernel-calls", "seccomp-filter", "libseccomp", "landlock-abi", "landlock-errata", "user-namespaces",
        "userns-sysctl", "namespace-limits", "fresh-proc", "ids", "apparmor", "selinux", "cgroup-memory", "cgroup-pids",
        "cgroup-cpu", "cgroup-freeze", "cgroup-kill", "cpu-vulnerabilities", "speculation-control", "smt", "clock-source",
        "platform", "swap", "core-dumps", "address-layout", "ptrace-scope", "terminal-injection", "io-uring",
        "unprivileged-bpf", "devices", "state-dir", "environments", "open-files", "tasks", "random", "clock-sync",
    }  # fmt: skip
    assert pinned <= set(names)


def test_every_check_answers_under_its_own_id_and_says_what_it_is_for(tmp_path: Path) -> None:
    facts = replace(other_host(tmp_path, "debian-12"), engine=EngineTrial("/no", "/no"))
    found = make_report(facts)
    assert [one.id for one in found.checks] == list(known_names())[len(PROTECTIONS) :]
    assert all(one.protects for one in (*found.checks, *found.protections))


def test_what_policies_may_require_is_in_the_table() -> None:
    assert set(get_args(ProtectionName)) == {fact.name for fact in PROTECTIONS}


def test_a_check_that_breaks_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Facts) -> None:
        raise RuntimeError("odd host")

    facts = other_host(tmp_path, "debian-12")
    first, *rest = report._CHECKS
    monkeypatch.setattr(report, "_CHECKS", ((first[0], broken), *rest))
    found = make_report(facts)
    assert found.checks[0].status is Status.UNKNOWN
    assert "RuntimeError: odd host" in found.checks[0].why
    assert len(found.checks) == len(rest) + 1


# ---- the verdict --------------------------------------------------------------------------------------------------


def test_a_jail_that_was_built_has_the_last_word(tmp_path: Path) -> None:
    """A check may be wrong about what is needed; the jail that stands is not."""
    facts = other_host(tmp_path, "debian-11", jail=jail())
    found = make_report(facts)
    assert (found.exit_code, found.process_tier.evidence, found.process_tier.seconds) == (0, "tried", 0.2)
    assert {row.evidence.value for row in found.protections} == {"tried"}
    freeze = next(one for one in found.checks if one.id == "cgroup-freeze")
    assert freeze.found == "used by the jail that was built"


def test_a_jail_that_cannot_be_built_is_no_tier_whatever_the_checks_say(tmp_path: Path) -> None:
    failed = JailTrial(code="JAIL_FAILED", message="pid 1 ended", remedy="look")
    found = make_report(other_host(tmp_path, "debian-12", jail=failed))
    assert found.exit_code == 3
    assert (found.process_tier.why, found.process_tier.remedy, found.process_tier.code) == (
        "pid 1 ended", "look", "JAIL_FAILED",
    )  # fmt: skip


def test_what_the_jail_lacks_is_missing_with_its_reason(tmp_path: Path) -> None:
    found = make_report(
        other_host(tmp_path, "debian-12", jail=jail("cgroup_memory", "landlock")), require=["landlock"]
    )
    rows = {row.name: row for row in found.protections}
    assert rows["landlock"].status is Status.MISSING
    assert rows["landlock"].why == "as the jail said"
    assert rows["cgroup_memory"].remedy
    assert (found.exit_code, found.asked.lacks) == (1, ("landlock",))


def test_a_protection_that_the_jail_does_not_speak_of_is_unknown_and_lacking(tmp_path: Path) -> None:
    rows = tuple(row for row in jail().protections if row.name != "seccomp")
    found = make_report(other_host(tmp_path, "debian-12", jail=JailTrial(rows, 0.2)), require=["seccomp"])
    assert next(row for row in found.protections if row.name == "seccomp").status is Status.UNKNOWN
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("host", "require", "code"),
    [
        ("debian-12", ["landlock", "cgroup_memory"], 0),
        ("debian-12", ["landlock-abi"], 1),  # degraded is not ok
        ("debian-12", ["landlock-errata"], 1),  # nor is unknown
        ("rhel-9", ["landlock"], 1),
        ("rhel-9", ["seccomp"], 0),
        ("ubuntu-24.04", ["seccomp"], 3),  # no tier weighs more
    ],
)
def test_exit_codes_of_require(tmp_path: Path, host: str, require: list[str], code: int) -> None:
    assert make_report(other_host(tmp_path, host), require=require).exit_code == code


@pytest.mark.parametrize(
    ("host", "policy", "lacks"),
    [
        ("debian-12", strict("default", "seccomp", "landlock"), ()),
        ("debian-12", strict("default", memory="total"), ()),
        ("rhel-9", strict("default", "landlock", memory="total"), ("landlock", "cgroup_memory")),
        ("debian-12", strict("data-science"), ("environment data-science",)),
        ("ubuntu-24.04", strict("default"), ("process tier",)),
        ("debian-12", strict("default", "own_hash_seed"), ("own_hash_seed",)),  # without isolate.fresh
        ("debian-12", replace(strict("default", "own_hash_seed", "own_address_layout"), fresh=True), ()),
        ("debian-12", replace(strict("default"), executor="runsc"), ("executor runsc",)),
        ("debian-11", strict("default"), ("process tier",)),
        ("debian-12", strict("default", "no_such_protection"), ("no_such_protection",)),
    ],
)
def test_policies_that_a_host_can_and_cannot_enforce(
    tmp_path: Path, host: str, policy: Policy, lacks: tuple[str, ...]
) -> None:
    found = make_report(other_host(tmp_path, host), [policy], ask=[policy.name])
    (verdict,) = found.policies
    assert verdict.lacks == lacks
    assert (verdict.status is Status.OK) == (not lacks)
    assert found.exit_code == (3 if lacks == ("process tier",) else 1 if lacks else 0)
    assert make_report(other_host(tmp_path, host), [policy]).exit_code in {0, 3}  # not asked for
