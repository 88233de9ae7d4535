"""What is said, and what is to be done, when the host refuses a step."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sandboxd.errors import Code
from sandboxd.launcher import remedy
from sandboxd.launcher.protections import check_required


@pytest.fixture
def sysctl(tmp_path, monkeypatch):
    monkeypatch.setattr(remedy, "_PROC", tmp_path)

    def write(name: str, value: str) -> None:
        path: Path = tmp_path / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")

    return write


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


CASES = [
    (
        {"kernel.apparmor_restrict_unprivileged_userns": "1"},
        refused(errno.EACCES),
        "AppArmor",
        "apparmor_parser",
        True,
    ),
    (
        {"kernel.unprivileged_userns_clone": "0"},
        refused(errno.EPERM),
        "are off",
        "sysctl -w kernel.unprivileged_userns_clone=1",
        True,
    ),
    (
        {"user.max_user_namespaces": "0"},
        refused(errno.ENOSPC),
        "No user namespaces",
        "sysctl -w user.max_user_namespaces",
        True,
    ),
    (
        {"user.max_user_namespaces": "3000"},
        refused(errno.ENOSPC),
        "No user namespaces",
        "sysctl -w user.max_user_namespaces",
        True,
    ),
    ({}, refused(errno.EPERM), "Docker", "seccomp=unconfined", True),
    ({}, refused(errno.EIO), "could not be set up", "doctor", False),
]


@pytest.mark.parametrize("case", CASES)
def test_each_cause_has_its_own_remedy(sysctl, case):
    settings, error, message, what_to_do, is_userns = case
    for name, value in settings.items():
        sysctl(name, value)
    said, remedy_text, userns = remedy.why_blocked("clone", error)
    assert message in said
    assert "clone" in said
    assert what_to_do in remedy_text
    assert userns is is_userns


def test_a_masked_proc_is_told_from_a_blocked_namespace(sysctl):
    said, remedy_text, _ = remedy.why_blocked(
        "PermissionError: [Errno 1] mount /tmp/proc: Operation not permitted", None
    )
    assert "/proc" in said
    assert "systempaths=unconfined" in remedy_text


def test_sysctls_that_allow_everything_are_not_blamed(sysctl):
    for name, value in (
        ("kernel.apparmor_restrict_unprivileged_userns", "0"),
        ("kernel.unprivileged_userns_clone", "1"),
    ):
        sysctl(name, value)
    said, _, _ = remedy.why_blocked("clone", refused(errno.EAGAIN))
    assert "AppArmor" not in said
    assert "are off" not in said


ROWS = [("seccomp", True, ""), ("landlock", False, "no Landlock"), ("cgroup_memory", False, "not delegated")]


def test_what_is_active_satisfies():
    check_required(ROWS, ["seccomp"], memory_total=False)


@pytest.mark.parametrize("wanted", [["landlock"], ["landlock", "cgroup_memory"]])
def test_what_is_missing_is_named_with_reason_and_remedy(wanted):
    with pytest.raises(Exception, match="cannot enforce") as raised:
        check_required(ROWS, wanted, memory_total=False)
    assert raised.value.code is Code.PROTECTION_MISSING
    assert all(name in raised.value.message for name in wanted)
    assert "lsm=" in raised.value.remedy


def test_a_memory_limit_over_all_processes_needs_the_cgroup():
    with pytest.raises(Exception, match="cgroup_memory") as raised:
        check_required(ROWS, [], memory_total=True)
    assert raised.value.code is Code.PROTECTION_MISSING


def test_a_name_that_does_not_exist_is_never_ignored():
    with pytest.raises(Exception, match="seccmop") as raised:
        check_required(ROWS, ["seccmop"], memory_total=False)
    assert raised.value.code is Code.POLICY_INVALID
