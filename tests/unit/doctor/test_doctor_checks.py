"""Each check at its edges: one fact of a good host is changed, and one answer with it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from other_hosts import other_host

from sandboxd.doctor import Check, Library, Setup, make_report

CLOCK = "sys/devices/system/clocksource/clocksource0"
SPECULATION = {"speculation_store_bypass": 2, "speculation_indirect_branch": 2}
MOUNTS = "24 1 252:1 / / rw - ext4 /dev/vda1 rw\n30 24 0:40 / /var rw - {} {} rw"


def look(
    tmp_path: Path, name: str, files: dict[str, str | None], report: dict[str, Any], **other: Any
) -> Check:
    found = make_report(other_host(tmp_path, "debian-12", files, report, **other))
    return next(one for one in found.checks if one.id == name)


# id, files, answers, status, evidence, words of found + why + remedy
CASES: list[tuple[str, dict[str, str | None], dict[str, int | None], str, str]] = [
    ("kernel", {"proc/sys/kernel/osrelease": "5.12.9"}, {}, "degraded", "Landlock (5.13)"),
    ("kernel", {"proc/sys/kernel/osrelease": "5.13.0"}, {}, "ok", "cgroup.kill (5.14)"),
    ("kernel", {"proc/sys/kernel/osrelease": "10.0-rc1"}, {}, "ok", "10.0-rc1"),
    ("kernel", {"proc/sys/kernel/osrelease": "weird"}, {}, "unknown", "is no version"),
    ("kernel", {"proc/sys/kernel/osrelease": None}, {}, "unknown", "No such file"),
    ("kernel-calls", {}, {"call_openat2": errno.EPERM}, "missing", "a seccomp filter that lies on this process"),
    ("kernel-calls", {}, {"call_pidfd_open": errno.ENOSYS}, "missing", "pidfd_open: ENOSYS"),
    ("seccomp-filter", {}, {"seccomp_filter": errno.EINVAL}, "missing", "CONFIG_SECCOMP_FILTER"),
    ("seccomp-filter", {}, {"action_kill_process": errno.EOPNOTSUPP}, "missing", "no action kill_process"),
    ("seccomp-filter", {}, {"seccomp_filter": None}, "unknown", "not tried"),
    ("landlock-abi", {}, {"landlock_abi": 6}, "ok", "ABI 6"),
    ("landlock-abi", {}, {"landlock_abi": 1}, "degraded", "renames across directories (5.19)"),
    ("landlock-abi", {}, {"landlock_abi": -errno.ENOSYS}, "missing", "CONFIG_SECURITY_LANDLOCK"),
    ("landlock-abi", {}, {"landlock_abi": -errno.EPERM}, "missing", "a seccomp filter"),
    ("landlock-abi", {}, {"landlock_abi": -errno.EOPNOTSUPP}, "missing", "lsm=landlock,lockdown,yama,apparmor,tomoyo,bpf"),
    ("landlock-abi", {"sys/kernel/security/lsm": None}, {"landlock_abi": -errno.EOPNOTSUPP}, "missing", "lsm=landlock,$(sed"),
    ("landlock-errata", {}, {"landlock_abi": 7, "landlock_errata": 7}, "ok", "0x7"),
    ("landlock-errata", {}, {"landlock_abi": 7, "landlock_errata": 1}, "degraded", "not fixed: 2 (signals"),
    ("landlock-errata", {}, {"landlock_abi": 3, "landlock_errata": 0}, "degraded", "not fixed: 3 (directories"),
    ("landlock-errata", {}, {"landlock_abi": 3, "landlock_errata": 4}, "ok", "all known ones fixed"),
    ("userns-sysctl", {"proc/sys/kernel/unprivileged_userns_clone": None}, {}, "ok", "no such switch"),
    ("namespace-limits", {"proc/sys/user/max_mnt_namespaces": "0"}, {}, "missing", "max_mnt_namespaces=15000"),
    ("ids", {}, {"uid": 1000}, "ok", "no subordinate ids are needed"),
    ("ids", {"proc/self/uid_map": None}, {}, "unknown", "No such file"),
    ("ids", {"proc/self/uid_map": "0 0 2000000000"}, {}, "missing", "2000000000"),
    ("selinux", {"sys/fs/selinux/enforce": "0"}, {}, "ok", "permissive"),
    ("speculation-control", {}, {**SPECULATION, "set_store_bypass": 6, "set_indirect_branch": 1}, "missing", "hypervisor"),
    ("speculation-control", {}, {"set_store_bypass": 6}, "degraded", "store_bypass: on"),
    ("speculation-control", {}, {"speculation_store_bypass": 0, "speculation_indirect_branch": 8}, "ok", "not affected"),
    ("speculation-control", {}, dict.fromkeys(SPECULATION, -22), "unknown", "no PR_GET_SPECULATION_CTRL"),
    ("smt", {"sys/devices/system/cpu/smt/active": None}, {}, "unknown", "No such file"),
    ("smt", {"sys/devices/system/cpu/smt/active": "1"}, {}, "degraded", "smt/control"),
    ("smt", {"proc/cpuinfo": "flags : fpu hypervisor"}, {}, "ok", "only the hypervisor knows"),
    ("clock-source", {f"{CLOCK}/current_clocksource": "acpi_pm", f"{CLOCK}/available_clocksource": "tsc hpet"}, {},
     "degraded", "echo tsc | sudo tee"),
    ("clock-source", {f"{CLOCK}/current_clocksource": "kvm-clock"}, {"clock_ns": 61}, "ok", "61 ns a reading"),
    ("clock-source", {f"{CLOCK}/current_clocksource": None}, {}, "unknown", "40 ns a reading"),
    ("core-dumps", {"proc/sys/kernel/core_pattern": "|/usr/share/apport/apport -p%p"}, {}, "ok", "|/usr/share/apport/apport;"),
    ("core-dumps", {"proc/sys/kernel/core_pattern": "|/bin/x"}, {"core_hard": 0}, "degraded", "hard RLIMIT_CORE is 0"),
    ("core-dumps", {"proc/sys/kernel/core_pattern": "@/run/coredump.socket"}, {}, "degraded", "sysctl -w kernel.core_pattern"),
    ("core-dumps", {"proc/sys/kernel/core_pattern": None}, {}, "unknown", "No such file"),
    ("address-layout", {"proc/sys/kernel/randomize_va_space": "0"}, {}, "degraded", "same after each start"),
    ("terminal-injection", {"proc/sys/dev/tty/legacy_tiocsti": "1"}, {}, "ok", "allowed; no jail has a terminal"),
    ("io-uring", {"proc/sys/kernel/io_uring_disabled": "2"}, {}, "ok", "off"),
    ("unprivileged-bpf", {"proc/sys/kernel/unprivileged_bpf_disabled": "0"}, {}, "ok", "allowed for everybody"),
    ("devices", {"dev/urandom": None}, {}, "missing", "no urandom"),
    ("state-dir", {"proc/self/mountinfo": MOUNTS.format("tmpfs", "none")}, {}, "degraded", "/var is memory"),
    ("state-dir", {"proc/self/mountinfo": MOUNTS.format("nfs4", "server:/x")}, {}, "degraded", "locks and fsync"),
    ("state-dir", {"proc/self/mountinfo": MOUNTS.format("fuse.sshfs", "x")}, {}, "degraded", "local disk"),
    ("state-dir", {"proc/self/mountinfo": MOUNTS.format("zfs", "pool")}, {}, "ok", "on zfs"),
    ("open-files", {}, {"nofile_soft": 256}, "degraded", "at about 8 sessions"),
    ("open-files", {}, {"nofile_soft": -1}, "ok", "no limit"),
    ("tasks", {}, {"uid": 1000, "nproc_soft": 100}, "degraded", "RLIMIT_NPROC is 100"),
    ("random", {}, {"random": errno.EAGAIN}, "degraded", "virtio-rng"),
    ("clock-sync", {}, {"clock_state": 5}, "degraded", "timedatectl set-ntp true"),
    ("clock-sync", {}, {"clock_state": -errno.EPERM}, "unknown", "adjtimex(2) is refused"),
    ("platform", {"proc/1/cgroup": "4:memory:/lxc/box"}, {}, "ok", "lxc in /proc/1/cgroup"),
    ("platform", {"proc/1/environ": "PATH=/bin\0container=systemd-nspawn"}, {}, "ok", "in a systemd-nspawn container"),
    ("platform", {".dockerenv": "", "proc/cpuinfo": "flags : hypervisor"}, {}, "ok", "made from a docker image"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)])
def test_each_answer(tmp_path: Path, case) -> None:
    name, files, answers, status, words = case
    check = look(tmp_path, name, files, answers)
    assert check.status.value == status, check
    assert words in f"{check.found} | {check.why} | {check.remedy}"


@pytest.mark.parametrize(
    ("library", "status", "words"),
    [
        (Library((2, 5, 4), 6), "ok", "2.5.4, API level 6"),
        (
            Library((2, 5, 1), 5, ("fchmodat2", "futex_waitv")),
            "ok",
            "cannot name fchmodat2, futex_waitv for x86_64",
        ),
        (Library((2, 3, 3), 2), "missing", "2.4 or newer"),
        (Library(fault="cannot be loaded: no such file"), "missing", "sudo apt install libseccomp2"),
        (
            Library(fault="pyseccomp is not installed", is_binding_missing=True),
            "missing",
            "pip install 'sandboxd[daemon]'",
        ),
    ],
)
def test_libseccomp(tmp_path: Path, library: Library, status: str, words: str) -> None:
    check = look(tmp_path, "libseccomp", {}, {}, library=library)
    assert check.status.value == status
    assert words in f"{check.found} | {check.why} | {check.remedy}"


def test_an_environment_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    setup = Setup(environments={"base": "", "mine": "the manifest is torn"})
    check = look(tmp_path, "environments", {}, {}, setup=setup)
    assert check.status.value == "degraded"
    assert "sandboxd env create mine" in check.remedy


def test_swap_counts_where_a_memory_group_limits_it(tmp_path: Path) -> None:
    swaps = {"proc/swaps": "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2"}
    assert (
        look(tmp_path / "v2", "swap", swaps, {}).status.value == "ok"
    )  # the fixture's groups have memory.swap.max
    none = {"/sys/fs/cgroup": 13, "/sys/fs/cgroup/user.slice/user-0.slice/session-1.scope": 13}
    check = look(tmp_path / "none", "swap", swaps, {}, cgroups=none)
    assert check.status.value == "degraded"
    assert "swapoff -a" in check.remedy
