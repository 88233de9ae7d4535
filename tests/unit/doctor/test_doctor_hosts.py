"""Other hosts, as trees of files and the errnos that trying gave there."""

from __future__ import annotations

import errno
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from sandboxd.doctor import Check, Status, Trial, run_checks, userns_remedy

if TYPE_CHECKING:
    from pathlib import Path

WORKS = {
    "seccomp_filter": errno.EFAULT,
    "unshare": 0,
    "uid_map": 0,
    "gid_map": 0,
    "private": 0,
    "tmpfs": 0,
    "fresh_proc": 0,
}
GOOD = Trial(landlock_abi=7, errnos=WORKS)
V2 = {
    "proc/self/cgroup": "0::/user.slice/mine",
    "proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
    "sys/fs/cgroup/user.slice/mine/cgroup.controllers": "cpu memory pids",
}
DEBIAN = V2 | {
    "proc/sys/kernel/osrelease": "6.1.0-18-amd64",
    "proc/sys/kernel/seccomp/actions_avail": "kill_process kill_thread trap errno user_notif trace log allow",
    "proc/sys/kernel/core_pattern": "core",
    "proc/sys/user/max_user_namespaces": "63000",
    "proc/swaps": "Filename Type Size Used Priority",
}

HYBRID_MOUNTS = """\
35 31 0:31 /box /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
a line that is no mount"""


def host(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def checks(root: Path, files: dict[str, str], trial: Trial = GOOD) -> dict[str, Check]:
    return {check.name: check for check in run_checks(host(root, files), trial)}


def test_a_good_host_is_ok_throughout(tmp_path: Path) -> None:
    found = checks(tmp_path, DEBIAN)
    assert {name: check.status for name, check in found.items() if check.status != Status.OK} == {}
    assert found["cgroup memory"].detail == "v2"
    assert not list(tmp_path.rglob("sandboxd-doctor-*"))


def test_every_result_that_is_not_ok_has_a_remedy_and_all_are_json(tmp_path: Path) -> None:
    found = run_checks(tmp_path, Trial())
    assert all(check.remedy for check in found if check.status != Status.OK)
    assert json.loads(json.dumps([asdict(check) for check in found]))[0]["name"] == "kernel"


def test_an_empty_tree_raises_nothing_and_fails_what_matters(tmp_path: Path) -> None:
    found = checks(tmp_path, {}, Trial(fault="the trial did not answer: OSError"))
    assert found["user namespaces"].status == Status.FAILED
    assert found["fresh /proc"].status == Status.FAILED
    assert found["seccomp"].status == Status.FAILED


@pytest.mark.parametrize(
    ("sysctl", "command"),
    [
        ("kernel/unprivileged_userns_clone", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "sudo sysctl -w user.max_user_namespaces=15000"),
        ("user/max_net_namespaces", "sudo sysctl -w user.max_net_namespaces=15000"),
    ],
)
def test_a_sysctl_that_blocks_is_named_with_its_command(tmp_path: Path, sysctl: str, command: str) -> None:
    trial = Trial(errnos={"seccomp_filter": errno.EFAULT, "unshare": errno.ENOSPC})
    found = checks(tmp_path, DEBIAN | {f"proc/sys/{sysctl}": "0"}, trial)
    assert found[sysctl.replace("/", ".")].status == Status.FAILED
    assert command in found[sysctl.replace("/", ".")].remedy
    assert found["user namespaces"].detail.startswith("unshare: ENOSPC")
    assert command in found["user namespaces"].remedy


def test_ubuntus_restriction_prints_the_profile_that_ships(tmp_path: Path) -> None:
    ubuntu = DEBIAN | {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}
    # What Ubuntu does: the namespace is made, but without capabilities in it.
    trial = Trial(errnos=WORKS | {"private": errno.EACCES})
    found = checks(tmp_path, ubuntu, trial)
    assert found["user namespaces"].detail.startswith("private: EACCES")
    remedy = found["user namespaces"].remedy
    assert "profile sandboxd flags=(unconfined)" in remedy
    assert "userns," in remedy
    assert "apparmor_parser -r /etc/apparmor.d/sandboxd" in remedy
    assert userns_remedy(tmp_path) == remedy


def test_a_process_that_is_exempt_from_the_restriction_is_only_warned(tmp_path: Path) -> None:
    ubuntu = DEBIAN | {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}
    found = checks(tmp_path, ubuntu)
    assert found["kernel.apparmor_restrict_unprivileged_userns"].status == Status.WARNING
    assert found["user namespaces"].status == Status.OK


@pytest.mark.parametrize(
    ("mark", "kind", "flag"),
    [
        ({".dockerenv": ""}, "docker", "--security-opt seccomp=unconfined"),
        ({"var/run/secrets/kubernetes.io/token": "", ".dockerenv": ""}, "kubernetes", "procMount: Unmasked"),
        ({"proc/1/cgroup": "0::/kubepods.slice/pod1"}, "kubernetes", "hostUsers: false"),
    ],
)
def test_in_a_container_the_remedy_is_the_containers_flag(
    tmp_path: Path, mark: dict[str, str], kind: str, flag: str
) -> None:
    trial = Trial(errnos={"seccomp_filter": errno.EFAULT, "unshare": errno.EPERM})
    found = checks(tmp_path, DEBIAN | mark, trial)
    assert found["container"].detail == f"inside {kind}"
    assert flag in found["user namespaces"].remedy


@pytest.mark.parametrize(
    ("mark", "kind"),
    [
        ({"run/.containerenv": ""}, "podman"),
        ({"proc/1/cgroup": "4:memory:/lxc/box"}, "lxc"),
        ({"proc/1/environ": "PATH=/bin\0container=systemd-nspawn"}, "systemd-nspawn"),
        ({}, ""),
    ],
)
def test_other_containers(tmp_path: Path, mark: dict[str, str], kind: str) -> None:
    assert checks(tmp_path, DEBIAN | mark)["container"].detail == (f"inside {kind}" if kind else "no")


def test_a_masked_proc_is_told_apart_from_blocked_namespaces(tmp_path: Path) -> None:
    found = checks(tmp_path, DEBIAN | {".dockerenv": ""}, Trial(7, WORKS | {"fresh_proc": errno.EPERM}))
    assert found["user namespaces"].status == Status.OK
    assert found["fresh /proc"].status == Status.FAILED
    assert "systempaths=unconfined" in found["fresh /proc"].remedy


@pytest.mark.parametrize(
    ("release", "status"),
    [("5.12.9", "warning"), ("5.13.0", "ok"), ("6.18.44-fc", "ok"), ("10.0", "ok"), ("weird", "warning")],
)
def test_kernels(tmp_path: Path, release: str, status: str) -> None:
    assert checks(tmp_path, DEBIAN | {"proc/sys/kernel/osrelease": release})["kernel"].status == status


@pytest.mark.parametrize(("abi", "status"), [(0, "warning"), (3, "warning"), (5, "ok"), (9, "ok")])
def test_landlock(tmp_path: Path, abi: int, status: str) -> None:
    assert checks(tmp_path, DEBIAN, Trial(abi, WORKS))["landlock"].status == status


def test_swap_and_a_piped_core_pattern_warn(tmp_path: Path) -> None:
    files = DEBIAN | {
        "proc/swaps": "Filename Type Size Used Priority\n/swapfile file 1 0 -2",
        "proc/sys/kernel/core_pattern": "|/usr/share/apport/apport -p%p",
    }
    found = checks(tmp_path, files)
    assert found["swap"].status == Status.WARNING
    assert found["core dumps"].detail == "piped to /usr/share/apport/apport"


def test_seccomp_without_kill_process_fails(tmp_path: Path) -> None:
    files = DEBIAN | {"proc/sys/kernel/seccomp/actions_avail": "kill trap errno allow"}
    assert checks(tmp_path, files)["seccomp"].status == Status.FAILED


def test_a_hybrid_host_is_asked_per_controller(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/box/one\n8:pids:/\n1:cpu,cpuacct:/\n0::/",
        "proc/self/mountinfo": HYBRID_MOUNTS,
        "sys/fs/cgroup/memory/one/tasks": "",
        "sys/fs/cgroup/unified/cgroup.controllers": "",
    }
    found = checks(tmp_path, DEBIAN | files)
    assert found["cgroup memory"].status == Status.OK
    assert found["cgroup memory"].detail == "v1"
    assert "no child can be made in /sys/fs/cgroup/pids" in found["cgroup pids"].detail
    assert found["cgroup cpu"].detail.startswith("no hierarchy offers it here")
    assert "Delegate=yes" in found["cgroup cpu"].remedy
