"""Whole hosts that this machine is not: what the doctor says of each, and what it says to do.

Fixtures: the trees in `hosts/`, and the answers of `trial.py` and mkdir(2) that stand in them, injected. Real: every check,
and all that is made of them. What can be driven for real on this machine is in `tests/integration/test_doctor.py`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from other_hosts import NAMES, other_host

from sandboxd.doctor import Check, Facts, Report, Setup, Status, Trial, make_report
from sandboxd.hosts import HostFiles

NO_CGROUPS = {
    "cgroup-memory": "missing", "cgroup-pids": "missing", "cgroup-cpu": "missing",
    "cgroup-freeze": "degraded", "cgroup-kill": "degraded",
}  # fmt: skip
OLD_LANDLOCK = {"landlock-abi": "degraded", "landlock-errata": "unknown"}
BLOCKED = {"user-namespaces": "missing", "fresh-proc": "unknown"}
# All that is not ok; what is not named must be ok.
EXPECTED: dict[str, tuple[int, dict[str, str]]] = {
    "ubuntu-24.04": (3, {**OLD_LANDLOCK, **BLOCKED, "apparmor": "missing", **NO_CGROUPS, "swap": "degraded"}),
    "rhel-9": (0, {"landlock-abi": "missing", **NO_CGROUPS, "smt": "degraded", "swap": "degraded"}),
    "docker": (3, {**OLD_LANDLOCK, **BLOCKED, **NO_CGROUPS, "state-dir": "degraded"}),
    "kubernetes": (
        3,
        {**OLD_LANDLOCK, **BLOCKED, **NO_CGROUPS, "smt": "degraded", "state-dir": "degraded", "tasks": "degraded"},
    ),
    "wsl2": (0, {"landlock-abi": "missing", **NO_CGROUPS, "smt": "degraded", "swap": "degraded"}),
    "fedora-delegated": (0, {"landlock-errata": "unknown"}),
    "debian-12": (0, OLD_LANDLOCK),
    "debian-11": (
        3,
        {"kernel": "degraded", "kernel-calls": "missing", "landlock-abi": "missing", **BLOCKED,
         "cgroup-kill": "degraded", "cpu-vulnerabilities": "degraded", "clock-source": "degraded",
         "address-layout": "degraded"},
    ),
    "hardened": (3, {**OLD_LANDLOCK, **BLOCKED, "userns-sysctl": "missing", **NO_CGROUPS, "core-dumps": "degraded"}),
}  # fmt: skip


def report(tmp_path: Path, name: str, *args, **kwargs) -> Report:
    return make_report(other_host(tmp_path, name, *args, **kwargs))


def check(found: Report, name: str) -> Check:
    return next(one for one in found.checks if one.id == name)


def protections(found: Report) -> dict[str, Status]:
    return {row.name: row.status for row in found.protections}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_ok_on_each_host(tmp_path: Path, name: str) -> None:
    exit_code, not_ok = EXPECTED[name]
    found = report(tmp_path, name)
    assert {one.id: one.status.value for one in found.checks if one.status is not Status.OK} == not_ok
    assert found.exit_code == exit_code


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_ok_has_a_reason_and_what_is_missing_a_remedy(tmp_path: Path, name: str) -> None:
    found = report(tmp_path, name)
    for row in (*found.checks, *found.protections):
        assert row.why or row.status is Status.OK, row
        assert row.remedy or row.status in {Status.OK, Status.UNKNOWN}, row
        assert not (row.remedy and row.status is Status.OK), row


def test_every_fixture_is_expected_to_be_something() -> None:
    assert set(NAMES) == set(EXPECTED)


# ---- Ubuntu -------------------------------------------------------------------------------------------------------


def test_ubuntu_is_given_the_profile_and_the_commands(tmp_path: Path) -> None:
    found = report(tmp_path, "ubuntu-24.04")
    userns = check(found, "user-namespaces")
    assert userns.found.startswith("private: EACCES")
    assert "AppArmor restricts" in userns.why
    assert "profile sandboxd flags=(unconfined)" in userns.remedy
    assert "not installed" in check(found, "apparmor").why
    assert found.process_tier.remedy == userns.remedy == check(found, "apparmor").remedy
    assert protections(found)["user_namespace"] is Status.MISSING
    assert protections(found)["seccomp"] is Status.OK


def test_ubuntu_with_the_profile_installed_but_not_used(tmp_path: Path) -> None:
    loaded = {"sys/kernel/security/apparmor/profiles": "snap.lxd (complain)\nsandboxd (unconfined)"}
    found = report(tmp_path, "ubuntu-24.04", {"etc/apparmor.d/sandboxd": "profile", **loaded})
    assert "not started under it" in check(found, "apparmor").why
    assert "install -m" not in check(found, "apparmor").remedy


@pytest.mark.parametrize("exempt", ["profile", "root"])
def test_ubuntu_where_the_restriction_does_not_apply(tmp_path: Path, exempt: str) -> None:
    files = {
        "profile": {"proc/self/attr/current": "sandboxd (unconfined)"},
        "root": {"proc/self/status": "CapEff:\t000001ffffffffff\nSeccomp:\t0"},
    }[exempt]
    works = {
        "private": 0,
        "tmpfs": 0,
        "bind_read_only": 0,
        "fresh_proc": 0,
        "no_nested_userns": 0,
        "cgroup_namespace": 0,
    }
    found = report(tmp_path, "ubuntu-24.04", files, works)
    assert check(found, "apparmor").status is Status.OK
    assert found.exit_code == 0


# ---- RHEL ---------------------------------------------------------------------------------------------------------


def test_rhel_gets_landlock_by_its_own_tool(tmp_path: Path) -> None:
    landlock = check(report(tmp_path, "rhel-9"), "landlock-abi")
    assert landlock.found == "built in, switched off"
    assert (
        'sudo grubby --update-kernel=ALL --args="lsm=landlock,lockdown,yama,selinux,bpf"' in landlock.remedy
    )


def test_rhel_with_max_user_namespaces_0(tmp_path: Path) -> None:
    """As hardening guides for RHEL (CIS, STIG) set it."""
    report_changes = {
        "unshare": 28,
        **dict.fromkeys(("uid_map", "gid_map", "private", "tmpfs", "bind_read_only", "fresh_proc")),
    }
    found = report(tmp_path, "rhel-9", {"proc/sys/user/max_user_namespaces": "0"}, report_changes)
    assert found.exit_code == 3
    assert check(found, "namespace-limits").found == "user.max_user_namespaces is 0"
    assert check(found, "user-namespaces").found.startswith("unshare: ENOSPC")
    for name in ("user-namespaces", "namespace-limits"):
        assert check(found, name).remedy.splitlines()[0] == "sudo sysctl -w user.max_user_namespaces=15000"
        assert "60-sandboxd.conf" in check(found, name).remedy
    assert check(found, "selinux").status is Status.DEGRADED


# ---- containers ---------------------------------------------------------------------------------------------------


def test_in_docker_the_remedy_is_dockers_flags(tmp_path: Path) -> None:
    found = report(tmp_path, "docker")
    assert "--security-opt seccomp=unconfined" in check(found, "user-namespaces").remedy
    assert check(found, "platform").found == "in a docker container (/.dockerenv)"
    assert "EROFS" in check(found, "cgroup-memory").found
    assert "enforce: per_process" in check(found, "cgroup-memory").remedy


def test_in_docker_a_masked_proc_is_told_apart_from_blocked_namespaces(tmp_path: Path) -> None:
    """`--security-opt seccomp=unconfined` alone: namespaces work, but runc's covers still lie over /proc."""
    works = {
        "unshare": 0,
        "uid_map": 0,
        "gid_map": 0,
        "private": 0,
        "tmpfs": 0,
        "bind_read_only": 0,
        "fresh_proc": 1,
    }
    found = report(tmp_path, "docker", {"proc/self/status": "CapEff:\t00000000a80425fb\nSeccomp:\t0"}, works)
    assert check(found, "user-namespaces").status is Status.OK
    assert check(found, "fresh-proc").status is Status.MISSING
    assert "Over it lie: /proc/acpi, /proc/bus, /proc/fs" in check(found, "fresh-proc").why
    assert "systempaths=unconfined" in check(found, "fresh-proc").remedy
    assert found.exit_code == 3


def test_root_in_a_rootless_container_has_no_ids_to_give(tmp_path: Path) -> None:
    found = report(tmp_path, "docker", {"proc/self/uid_map": "0 1000 1\n1 100000 65536"})
    assert check(found, "ids").status is Status.MISSING
    assert "ordinary user" in check(found, "ids").remedy


def test_a_pod_is_told_its_security_context_and_its_limit_of_tasks(tmp_path: Path) -> None:
    found = report(tmp_path, "kubernetes")
    assert "procMount: Unmasked" in check(found, "user-namespaces").remedy
    assert check(found, "tasks").found == "pids.max of /sys/fs/cgroup is 100, 196 needed"


# ---- Windows, old, hardened ---------------------------------------------------------------------------------------


def test_wsl_is_mended_from_windows(tmp_path: Path) -> None:
    found = report(tmp_path, "wsl2")
    assert check(found, "platform").found == "WSL 2"
    assert "kernelCommandLine=cgroup_no_v1=all" in check(found, "cgroup-memory").remedy
    only_v2 = {
        "proc/self/cgroup": "0::/",
        "proc/self/mountinfo": "68 52 8:32 / / rw - ext4 /dev/sdc rw\n97 68 0:36 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory pids",
    }
    found = report(tmp_path / "v2", "wsl2", only_v2, cgroups={"/sys/fs/cgroup": 13})
    assert "systemd=true" in check(found, "cgroup-memory").remedy


def test_wsl_1_has_no_linux_kernel(tmp_path: Path) -> None:
    found = report(tmp_path, "wsl2", {"proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft"})
    assert check(found, "platform").status is Status.MISSING
    assert "wsl --set-version" in check(found, "platform").remedy
    assert found.exit_code == 3


def test_an_old_kernel_is_named_as_what_it_lacks(tmp_path: Path) -> None:
    found = report(tmp_path, "debian-11")
    assert "mount_setattr (5.12), Landlock (5.13)" in check(found, "kernel").why
    assert check(found, "kernel-calls").found == "mount_setattr: ENOSYS"
    assert "mitigations=off" in check(found, "cpu-vulnerabilities").remedy


def test_a_hardened_kernel_concerns_ordinary_users_alone(tmp_path: Path) -> None:
    found = report(tmp_path, "hardened")
    assert "sudo sysctl -w kernel.unprivileged_userns_clone=1" in check(found, "user-namespaces").remedy
    assert "Refused when tried alone: user." in check(found, "user-namespaces").why
    root = {"proc/self/status": "CapEff:\t000001ffffffffff\nSeccomp:\t0"}
    assert check(report(tmp_path / "root", "hardened", root), "userns-sysctl").status is Status.OK


# ---- cgroups ------------------------------------------------------------------------------------------------------

SCOPE = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-p2301-i2601.scope"


def test_a_delegated_scope_has_all(tmp_path: Path) -> None:
    found = report(tmp_path, "fedora-delegated")
    assert check(found, "cgroup-memory").found == f"v2, a group was made in {SCOPE}"
    assert check(found, "swap").status is Status.OK


def test_the_same_scope_without_delegation(tmp_path: Path) -> None:
    found = report(tmp_path, "fedora-delegated", cgroups={SCOPE: 13})
    assert {name: check(found, name).status.value for name in NO_CGROUPS} == NO_CGROUPS
    remedy = check(found, "cgroup-memory").remedy
    assert "systemd-run --user --scope -p Delegate=yes sandboxd serve" in remedy
    assert "systemctl edit sandboxd" in remedy
    assert found.exit_code == 0  # policies with enforce: per_process still hold
    assert protections(found)["cgroup_memory"] is Status.MISSING


def test_a_user_manager_that_passes_no_memory_on_is_told_so(tmp_path: Path) -> None:
    found = report(tmp_path, "fedora-delegated", {f"{SCOPE}/cgroup.controllers": "pids"})
    assert check(found, "cgroup-pids").status is Status.OK
    assert check(found, "cgroup-cpu").status is Status.OK  # measured in every v2 group
    assert "was not given the memory controller" in check(found, "cgroup-memory").found
    assert "Delegate=cpu memory pids" in check(found, "cgroup-memory").remedy


def test_a_scope_that_others_share_cannot_be_divided(tmp_path: Path) -> None:
    found = report(tmp_path, "fedora-delegated", {f"{SCOPE}/cgroup.procs": "999991\n999992"})
    assert "2 other processes share" in check(found, "cgroup-memory").found


def test_without_systemd_the_cgroup_is_made_by_hand(tmp_path: Path) -> None:
    files = {"run/systemd/system/keep": None}
    found = report(tmp_path, "fedora-delegated", files, cgroups={SCOPE: 13})
    assert "mkdir /sys/fs/cgroup/sandboxd" in check(found, "cgroup-memory").remedy


def test_a_container_is_blamed_only_where_it_mounted_cgroups_read_only(tmp_path: Path) -> None:
    """A virtual machine made from an image has /.dockerenv, and cgroups that only root may use."""
    found = report(tmp_path, "wsl2", {".dockerenv": "", "proc/sys/kernel/osrelease": "6.1.0"})
    assert "Docker" not in check(found, "cgroup-memory").remedy
    assert "Run sandboxd as root, or boot with cgroup v2" in check(found, "cgroup-memory").remedy


def test_v1_is_asked_per_controller(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/box/one\n8:pids:/\n1:cpu:/\n0::/",
        "proc/self/mountinfo": (
            "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
            "35 31 0:31 /box /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
            "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
            "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
            "a line that is no mount"
        ),
        "sys/fs/cgroup/unified/cgroup.controllers": "",
    }
    groups = {"/sys/fs/cgroup/memory/one": ["memory.memsw.limit_in_bytes"], "/sys/fs/cgroup/pids": 13}
    found = report(
        tmp_path, "debian-12", files, cgroups={**groups, "/sys/fs/cgroup/unified": ["cgroup.kill"]}
    )
    assert check(found, "cgroup-memory").found == "v1, a group was made in /sys/fs/cgroup/memory/one"
    assert "no group can be made in /sys/fs/cgroup/pids (EACCES" in check(found, "cgroup-pids").found
    assert check(found, "cgroup-cpu").found == "v2, a group was made in /sys/fs/cgroup/unified"
    assert check(found, "cgroup-kill").status is Status.OK
    assert check(found, "cgroup-freeze").found == "this kernel has none"


# ---- odd hosts ----------------------------------------------------------------------------------------------------


def test_a_host_without_any_file_is_answered_and_nothing_is_made_up(tmp_path: Path) -> None:
    facts = other_host(tmp_path / "other", "debian-12")
    found = make_report(
        Facts(HostFiles(tmp_path / "nothing"), Trial(fault="the trial did not answer: OSError"))
    )
    assert found.exit_code == 3
    assert len(found.checks) == len(make_report(facts).checks)
    assert check(found, "user-namespaces").status is Status.UNKNOWN
    assert check(found, "kernel").status is Status.UNKNOWN
    assert found.process_tier.status in {Status.UNKNOWN, Status.MISSING}
    assert {one.id for one in found.checks if one.evidence == "tried" and one.status is Status.OK} <= {
        "environments"
    }


def test_unreadable_and_nonsensical_files_are_answered(tmp_path: Path) -> None:
    facts = other_host(
        tmp_path,
        "debian-12",
        {
            "proc/sys/user/max_user_namespaces": "many",
            "proc/sys/kernel/osrelease": "\x1b]0;owned\x07",
            "proc/self/mountinfo": "x",
            "proc/self/cgroup": "1\n\n::::",
            "proc/self/status": "CapEff:\tzz",
            "proc/self/uid_map": "a b c",
            "etc/os-release": "PRETTY_NAME\n=\n",
        },
    )
    (tmp_path / "proc" / "swaps").unlink()
    (tmp_path / "proc" / "swaps").symlink_to("swaps")
    found = make_report(facts)
    assert check(found, "swap").status is Status.UNKNOWN
    assert "Too many levels" in check(found, "swap").why
    assert check(found, "kernel").status is Status.UNKNOWN
    assert check(found, "namespace-limits").status is Status.UNKNOWN
    assert check(found, "ids").why.startswith("the check itself failed: ValueError")


def test_numbers_follow_the_settings(tmp_path: Path) -> None:
    setup = Setup(
        max_sessions=100_000, environments={"base": ""}, state_writable=False, state_dir="/var/lib/sandboxd"
    )
    found = report(tmp_path, "debian-12", setup=setup)
    assert check(found, "open-files").status is Status.DEGRADED
    assert "LimitNOFILE=" in check(found, "open-files").remedy
    assert check(found, "namespace-limits").status is Status.OK
    assert check(found, "state-dir").status is Status.MISSING
    few = {"proc/sys/user/max_net_namespaces": "10"}
    found = report(tmp_path / "few", "debian-12", few)
    assert check(found, "namespace-limits").found == "user.max_net_namespaces is 10"


def test_settings_that_cannot_be_read_are_no_verdict_on_the_host(tmp_path: Path) -> None:
    facts = other_host(tmp_path, "debian-12")
    found = make_report(dataclasses.replace(facts, setup=Setup(fault="config.toml: unknown setting 'x'")))
    assert check(found, "state-dir").status is Status.UNKNOWN
    assert "unknown setting" in check(found, "environments").why
    assert found.exit_code == 0
