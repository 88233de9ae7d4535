"""The doctor on this machine, for real: as whoever runs the tests, and on hosts that namespaces make of this one.

Real throughout: the kernel's answers, the launcher, the jail. Whole other hosts, which no namespace makes, are trees of files
in `tests/unit/doctor`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import TypeAdapter
from sandboxd_client import Sandbox

from sandboxd.doctor import Report, Status, known_names, run_trial
from sandboxd.doctor.daemon import FILES_PER_SESSION
from sandboxd.doctor.probe import JAIL_STEPS
from sandboxd.hosts import PROTECTIONS

DOCTOR = [sys.executable, "-m", "sandboxd", "doctor"]


def doctor(*arguments: str, before: tuple[str, ...] = (), **popen: Any) -> tuple[int, Report]:
    """Run the command, in front of which `before` may change the host; return its exit code and report."""
    command = [*before, *DOCTOR, "--json", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **popen)
    assert answer.stdout, answer.stderr
    return answer.returncode, TypeAdapter(Report).validate_json(answer.stdout)


def in_shell(program: str, *unshare: str) -> tuple[str, ...]:
    """Return what runs a program, and then the doctor, in namespaces of their own."""
    return ("unshare", *unshare, "sh", "-e", "-c", f'{program}\nexec "$@"', "sh")


def status(report: Report, name: str) -> Status:
    return next(one.status for one in report.checks if one.id == name)


def remedy(report: Report, name: str) -> str:
    return next(one.remedy for one in report.checks if one.id == name)


def why(report: Report, name: str) -> str:
    return next(one.why for one in report.checks if one.id == name)


# ---- this host as it is -------------------------------------------------------------------------------------------


@pytest.mark.userns
def test_trying_works_here_and_leaves_this_process_as_it_was() -> None:
    before = {name: Path(f"/proc/self/ns/{name}").readlink() for name in ("user", "mnt", "pid", "net")}
    trial = run_trial()
    assert trial.fault == ""
    assert trial.first_failure() is None
    assert set(JAIL_STEPS) <= trial.report.keys()
    assert trial.report["no_nested_userns"] == 0
    assert {name: Path(f"/proc/self/ns/{name}").readlink() for name in before} == before


# Whatever the command leaves behind becomes this program's child, however it was started.
ADOPT = """
import ctypes, glob, pathlib, subprocess, sys, time
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
doctor = subprocess.Popen(sys.argv[1:])
ended = doctor.wait()
def left():
    try:
        return look()
    except OSError:
        return ["a process that ended just now"]
def look():
    states = [pathlib.Path(path).read_text().rpartition(")")[2].split() for path in glob.glob("/proc/self/task/*/children")
              for path in [f"/proc/{pid}/stat" for pid in pathlib.Path(path).read_text().split()]]
    groups = glob.glob(f"/sys/fs/cgroup/**/sandboxd-doctor-{doctor.pid}", recursive=True)
    return [state for state in states if state[0] != "Z"] + groups
until = time.monotonic() + 10
while left() and time.monotonic() < until:
    time.sleep(0.05)
sys.exit(ended if not left() else f"left behind: {left()}")
"""


@pytest.mark.userns
def test_it_says_of_each_protection_what_a_session_is_given_and_leaves_nothing(daemon) -> None:
    """The same names and the same answers as `Opened.protections` of a real daemon."""
    mounts = set(Path("/proc/self/mountinfo").read_text().splitlines())
    code, report = doctor(before=(sys.executable, "-c", ADOPT))
    assert set(Path("/proc/self/mountinfo").read_text().splitlines()) <= mounts
    assert code == 0
    assert report.process_tier.status is Status.OK
    assert report.process_tier.evidence == "tried"
    with Sandbox(address=daemon.address) as sandbox:
        sandbox.run_code("1")
        given = {row.name: row.active for row in sandbox.protections}
    said = {row.name: row.status is Status.OK for row in report.protections}
    # The doctor's jail is a fresh one, the most that this host gives; this session is not.
    assert [name for name in given if said[name] != given[name]] == ["own_address_layout", "own_hash_seed"]
    assert set(given) == {fact.name for fact in PROTECTIONS}
    assert {row.evidence.value for row in report.protections} == {"tried"}


@pytest.mark.userns
def test_the_exit_code_answers_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "strict.yaml").write_text(
        "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: strict, revision: 1, description: All that seccomp gives.}\n"
        "extends: default\nisolate: {require: [seccomp, no_new_privs]}\n"
    )
    environ = {
        **os.environ,
        "SANDBOXD_POLICY_DIR": str(tmp_path),
        "SANDBOXD_ENVIRONMENTS_DIR": str(tmp_path / "none"),
    }
    assert doctor("--require", "seccomp,user_namespace", "--policy", "strict", env=environ)[0] == 0
    code, report = doctor("--policy", "data-science", env=environ)
    assert (code, report.asked.lacks) == (1, ("policy data-science",))
    assert next(one for one in report.policies if one.name == "data-science").lacks == (
        "environment data-science",
    )


@pytest.mark.userns
def test_a_policy_that_cannot_be_read_is_none_that_can_be_enforced(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("kind: Policy\n")
    environ = {**os.environ, "SANDBOXD_POLICY_DIR": str(tmp_path)}
    answer = subprocess.run(
        [*DOCTOR, "--policy", "broken"], capture_output=True, text=True, env=environ, check=False
    )
    assert answer.returncode == 6
    assert "broken.yaml" in answer.stderr
    code, report = doctor(env=environ)
    assert code == 0
    assert status(report, "environments") is Status.UNKNOWN


@pytest.mark.userns
def test_the_need_of_descriptors_is_not_understated(start_daemon) -> None:
    daemon = start_daemon("--pool-size", "0")
    front = psutil.Process(daemon.process.pid)
    # Without the screener, which keeps one descriptor and lets nobody but root look.
    family = [
        front,
        *(one for one in front.children() if not any("boot.py" in part for part in one.cmdline())),
    ]
    before = [process.num_fds() for process in family]
    sessions = [Sandbox(address=daemon.address) for _ in range(4)]
    try:
        for session in sessions:
            session.run_code("1")
        grown = [process.num_fds() - count for process, count in zip(family, before, strict=True)]
    finally:
        for session in sessions:
            session.close()
    assert 1 <= max(grown) / len(sessions) <= FILES_PER_SESSION


def test_the_schema_is_printed_without_a_look_at_the_host() -> None:
    answer = subprocess.run([*DOCTOR, "--schema"], capture_output=True, text=True, check=True)
    schema = json.loads(answer.stdout)
    assert schema["properties"]["schema"] == {"const": 1}
    assert set(schema["$defs"]["Status"]["enum"]) == {one.value for one in Status}
    assert len(known_names()) > 50


# ---- hosts made of this one ---------------------------------------------------------------------------------------

NO_USERNS = in_shell("echo 0 > /proc/sys/user/max_user_namespaces", "--user", "--map-root-user")


@pytest.mark.userns
def test_without_user_namespaces_it_exits_3_and_says_what_the_daemon_says(short_dir: Path) -> None:
    code, report = doctor(before=NO_USERNS)
    assert code == 3
    assert report.process_tier.code == "USERNS_BLOCKED"
    assert status(report, "namespace-limits") is status(report, "user-namespaces") is Status.MISSING
    assert next(one.found for one in report.checks if one.id == "user-namespaces").startswith(
        "unshare: ENOSPC"
    )
    assert {row.status for row in report.protections if row.name.endswith("_namespace")} == {Status.MISSING}
    serve = [
        *NO_USERNS,
        sys.executable,
        "-m",
        "sandboxd",
        "serve",
        "--embedded",
        "--runtime-dir",
        str(short_dir / "run"),
    ]
    ended = subprocess.run(serve, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 3
    for line in report.process_tier.remedy.splitlines():
        assert line in ended.stderr
    assert report.process_tier.remedy == remedy(report, "user-namespaces")
    assert "sudo sysctl -w user.max_user_namespaces=15000" in report.process_tier.remedy


@pytest.mark.userns
def test_root_of_a_user_namespace_has_no_ids_to_give() -> None:
    """As in a rootless container: uid 0 with one id mapped. The daemon would map ids that are not there."""
    code, report = doctor(before=("unshare", "--user", "--map-root-user"))
    assert code == 3
    assert status(report, "user-namespaces") is Status.OK
    assert status(report, "ids") is Status.MISSING
    assert "ordinary user" in remedy(report, "ids")
    assert report.process_tier.remedy == remedy(report, "ids")


# clone(2) and unshare(2) with namespaces answer EPERM, clone3(2) ENOSYS: what Docker's default profile does to a process
# without CAP_SYS_ADMIN.
FILTER = """
import errno, os, sys
import pyseccomp as lib
program = lib.SyscallFilter(lib.ALLOW)
program.add_rule(lib.ERRNO(errno.EPERM), "unshare")
for name in ("adjtimex", "clock_adjtime"):
    program.add_rule(lib.ERRNO(errno.EPERM), name)
program.add_rule(lib.ERRNO(errno.ENOSYS), "clone3")
for bit in (0x10000000, 0x20000000, 0x40000000, 0x00020000):
    program.add_rule(lib.ERRNO(errno.EPERM), "clone", lib.Arg(0, lib.MASKED_EQ, bit, bit))
program.load()
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.userns
def test_under_a_filter_that_blocks_unshare_the_filter_is_named() -> None:
    code, report = doctor(before=(sys.executable, "-c", FILTER))
    assert code == 3
    assert status(report, "user-namespaces") is Status.MISSING
    assert "seccomp filter" in why(report, "user-namespaces")
    assert "Refused when tried alone: user, mount, pid" in why(report, "user-namespaces")
    assert "seccomp" in remedy(report, "user-namespaces") or "RestrictNamespaces" in remedy(
        report, "user-namespaces"
    )
    assert status(report, "clock-sync") is Status.UNKNOWN
    assert status(report, "seccomp-filter") is Status.OK
    assert status(report, "kernel-calls") is Status.OK


@pytest.mark.root
@pytest.mark.userns
def test_with_a_masked_proc_the_covers_are_named() -> None:
    """As runc and `ProtectKernelTunables=` do it."""
    code, report = doctor(before=in_shell("mount -t tmpfs -o ro none /proc/fs", "--mount"))
    assert code == 3
    assert status(report, "fresh-proc") is Status.MISSING
    assert "/proc/fs" in why(report, "fresh-proc")
    assert "systempaths=unconfined" in remedy(report, "fresh-proc") or "ProtectKernel" in remedy(
        report, "fresh-proc"
    )
    assert report.process_tier.remedy == remedy(report, "fresh-proc")


@pytest.mark.root
@pytest.mark.userns
def test_in_a_chroot_the_chroot_is_named() -> None:
    """A plain directory with what runs in it, as debootstrap makes them: the kernel makes no user namespaces there."""
    make = (
        "mount -t tmpfs none /boot; mkdir /boot/root; for d in /*; do if [ $d = /boot ]; then continue; "
        "elif [ -L $d ]; then cp -P $d /boot/root$d; "
        "elif [ -d $d ]; then mkdir /boot/root$d; mount --rbind $d /boot/root$d; fi; done"
    )
    code, report = doctor(before=(*in_shell(make, "--mount"), "chroot", "/boot/root"), cwd="/")
    assert code == 3
    assert status(report, "user-namespaces") is Status.MISSING
    assert "chroot" in why(report, "user-namespaces")
    assert "pivot_root" in remedy(report, "user-namespaces")


@pytest.mark.root
@pytest.mark.userns
def test_where_cgroups_are_read_only_limits_hold_per_process_and_it_says_so() -> None:
    make = "for m in $(awk '$5 ~ /^.sys.fs.cgroup/ {print $5}' /proc/self/mountinfo); do mount -o remount,bind,ro $m; done"
    code, report = doctor("--require", "cgroup_memory", before=in_shell(make, "--mount"))
    assert code == 1  # the tier runs; what was asked for is lacking
    assert report.process_tier.status is Status.OK
    assert {status(report, f"cgroup-{name}") for name in ("memory", "pids", "cpu")} == {Status.MISSING}
    assert status(report, "cgroup-freeze") is Status.DEGRADED
    rows = {row.name: row.status for row in report.protections}
    assert rows["cgroup_memory"] is rows["frozen_between_snippets"] is Status.MISSING
    assert rows["stopped_between_snippets"] is Status.OK
    assert "per_process" in remedy(report, "cgroup-memory") or "Delegate=yes" in remedy(
        report, "cgroup-memory"
    )


@pytest.mark.root
@pytest.mark.userns
def test_without_sys_and_with_half_of_proc_it_answers_all_the_same() -> None:
    hide = "mount -t tmpfs none /sys; mount -t tmpfs none /proc/sys"
    code, report = doctor(before=in_shell(hide, "--mount"))
    assert code == 3  # covers over /proc: no fresh one
    assert {
        status(report, name)
        for name in ("kernel", "namespace-limits", "cpu-vulnerabilities", "smt", "clock-source")
    } == {Status.UNKNOWN}
    assert status(report, "kernel-calls") is Status.OK
    assert len(report.checks) + len(report.protections) == len(known_names())
