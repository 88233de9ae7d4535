"""What a policy requires and the host lacks is refused by name, with the reason and the remedy."""

from __future__ import annotations

import pytest

from sandboxd.errors import Code
from sandboxd.launcher.protections import check_required

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
