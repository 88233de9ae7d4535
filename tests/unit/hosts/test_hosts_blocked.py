"""What is said, and what is to be done, when a host refuses a step of the jail: a start error and the doctor say the same."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sandboxd.hosts import HostFiles, explain, remedies, userns_remedy, why_blocked

USER = {"proc/self/status": "CapEff:\t0000000000000000\nSeccomp:\t0", "proc/self/attr/current": "unconfined"}
ROOT = {"proc/self/status": "CapEff:\t000001ffffffffff\nSeccomp:\t0", "proc/self/attr/current": "unconfined"}
FILTERED = {"proc/self/status": "CapEff:\t0000000000000000\nSeccomp:\t2"}
RESTRICTED = {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}
ROOTED = {"proc/self/mountinfo": "24 1 8:1 / / rw - ext4 /dev/sda1 rw"}


def host(root: Path, *parts: dict[str, str]) -> HostFiles:
    for name, text in {key: value for part in parts for key, value in part.items()}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return HostFiles(root)


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


CASES = [
    ("apparmor", (USER, RESTRICTED), errno.EACCES, "AppArmor restricts", "apparmor_parser -r", True),
    ("switch", (USER, {"proc/sys/kernel/unprivileged_userns_clone": "0"}), errno.EPERM,
     "unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1", True),
    ("none", (USER, {"proc/sys/user/max_user_namespaces": "0"}), errno.ENOSPC,
     "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=15000", True),
    ("no net", (USER, {"proc/sys/user/max_user_namespaces": "9", "proc/sys/user/max_net_namespaces": "0"}), errno.ENOSPC,
     "user.max_net_namespaces is 0", "sysctl -w user.max_net_namespaces=15000", True),
    ("full", (USER, {"proc/sys/user/max_user_namespaces": "3000"}), errno.ENOSPC,
     "a user.max_*_namespaces limit is reached", "sysctl -w user.max_user_namespaces", True),
    ("docker", (FILTERED, {".dockerenv": ""}), errno.EPERM, "as docker containers have them", "seccomp=unconfined", True),
    ("podman", (FILTERED, {"run/.containerenv": ""}), errno.EPERM, "as podman containers have them", "unmask=ALL", True),
    ("pod", (FILTERED, {"var/run/secrets/kubernetes.io/x": ""}), errno.EPERM, "as kubernetes containers", "procMount: Unmasked", True),
    ("filter", (FILTERED, ROOTED), errno.EPERM, "A seccomp filter lies on this process", "RestrictNamespaces=", True),
    ("chroot", (ROOT, {"proc/self/mountinfo": "9 1 0:5 / /proc rw - proc proc rw"}), errno.EPERM, "chroot", "pivot_root", True),
    ("selinux", (USER, ROOTED, {"sys/fs/selinux/enforce": "1"}), errno.EACCES, "SELinux", "audit2why", True),
    ("image", (USER, ROOTED, {".dockerenv": ""}), errno.EPERM, "looks like a docker", "seccomp=unconfined", True),
    ("nobody", (USER, ROOTED), errno.EPERM, "leaves no trace", "dmesg", True),
    ("old", (USER,), errno.ENOSYS, "does not have a system call", "Linux 5.13", False),
    ("other", (USER,), errno.EIO, "could not be set up", "doctor", False),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_each_cause_has_its_own_remedy(tmp_path: Path, case) -> None:
    _, files, number, message, remedy, is_userns = case
    said, what_to_do, userns = why_blocked("clone", refused(number), host(tmp_path, *files))
    assert message in said
    assert f"(clone: {os.strerror(number)})" in said
    assert remedy in what_to_do
    assert userns is is_userns
    assert explain(HostFiles(tmp_path), "clone", number).remedy == what_to_do


def test_what_pid_1_says_is_understood(tmp_path: Path) -> None:
    """It tells its own errno in words: the launcher was not there."""
    said = "PermissionError: [Errno 1] mount /tmp/proc: Operation not permitted"
    message, remedy, _ = why_blocked(said, None, host(tmp_path, USER, {".dockerenv": ""}))
    assert message.startswith("A fresh /proc cannot be mounted")
    assert "systempaths=unconfined" in remedy
    message, _, is_userns = why_blocked(
        "OSError: [Errno 38] mount_setattr: not there", None, host(tmp_path, USER)
    )
    assert message.startswith("This kernel does not have")
    assert is_userns is False


def test_nothing_is_blamed_that_does_not_block(tmp_path: Path) -> None:
    """On Ubuntu every failure used to be AppArmor's: also a missing file, and also as root."""
    ubuntu = host(tmp_path, USER, RESTRICTED, ROOTED)
    message, _, is_userns = why_blocked(
        "FileNotFoundError: [Errno 2] No such file: '/usr/lib/x'", None, ubuntu
    )
    assert "AppArmor" not in message
    assert is_userns is False
    assert "AppArmor" not in why_blocked("clone", refused(errno.EPERM), host(tmp_path, ROOT))[0]
    profile = {"proc/self/attr/current": "sandboxd (unconfined)"}
    assert "AppArmor" not in why_blocked("clone", refused(errno.EPERM), host(tmp_path, USER, profile))[0]
    off = {"proc/sys/kernel/unprivileged_userns_clone": "1", "proc/sys/user/max_user_namespaces": "9"}
    message, _, _ = why_blocked("clone", refused(errno.EAGAIN), host(tmp_path, USER, off))
    assert "_userns_clone" not in message
    assert "max_" not in message


def test_the_profile_is_printed_whole_until_it_is_installed(tmp_path: Path) -> None:
    remedy = userns_remedy(host(tmp_path, USER, RESTRICTED))
    assert "profile sandboxd flags=(unconfined)" in remedy
    assert "userns," in remedy
    assert "aa-exec -p sandboxd -- sandboxd serve" in remedy
    remedy = userns_remedy(host(tmp_path, {"etc/apparmor.d/sandboxd": "profile sandboxd {}"}))
    assert "install" not in remedy
    assert remedy.startswith("sudo apparmor_parser -r")


def test_where_aa_exec_does_not_help_it_is_not_advised(tmp_path: Path) -> None:
    """kernel.apparmor_restrict_unprivileged_unconfined stacks an ordinary user's change of profile."""
    strict = {"proc/sys/kernel/apparmor_restrict_unprivileged_unconfined": "1"}
    remedy = userns_remedy(host(tmp_path, USER, RESTRICTED, strict))
    assert "aa-exec -p" not in remedy
    assert "AppArmorProfile=sandboxd" in remedy


@pytest.mark.parametrize(
    ("kind", "command"), [("debian", "sudo update-grub"), ("rhel", "sudo grubby"), ("suse", "Boot with")]
)
def test_kernel_arguments_are_set_as_the_distribution_does(tmp_path: Path, kind: str, command: str) -> None:
    assert command in remedies.kernel_argument(host(tmp_path, {"etc/os-release": f"ID={kind}"}), "nosmt")


def test_a_host_whose_files_cannot_be_read_is_answered_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "proc").symlink_to("proc")  # ELOOP, for root too
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").mkdir()  # EISDIR
    os.mkfifo(tmp_path / "fifo")
    files = HostFiles(tmp_path)
    assert files.read("/proc/self/status") is None
    assert files.read("/etc/os-release") is None
    assert files.read("/fifo") == ""
    assert "Too many levels" in files.fault("/proc/self/status")
    assert files.family == ""
    assert files.is_admin is False
    assert why_blocked("clone", refused(errno.EPERM), files)[1]


def test_a_large_file_is_read_in_part(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (2 << 20))
    assert len(HostFiles(tmp_path).read("/big") or "") == 1 << 20
