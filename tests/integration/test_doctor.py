from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandboxd.doctor import run_trial
from sandboxd.doctor.probe import JAIL_STEPS


@pytest.mark.userns
def test_trying_works_here_and_leaves_this_process_as_it_was() -> None:
    before = {name: Path(f"/proc/self/ns/{name}").readlink() for name in ("user", "mnt", "pid")}
    trial = run_trial()
    assert trial.fault == ""
    assert trial.first_failure() is None
    assert set(JAIL_STEPS) <= trial.errnos.keys()
    assert {name: Path(f"/proc/self/ns/{name}").readlink() for name in before} == before


@pytest.mark.userns
def test_the_command_prints_json_and_finds_this_host_fit() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sandboxd", "doctor", "--json"], capture_output=True, text=True, check=False
    )
    checks = {check["name"]: check for check in json.loads(answer.stdout)}
    assert checks["user namespaces"]["status"] == "ok"
    assert checks["libseccomp"]["status"] == "ok"
    failed = [check for check in checks.values() if check["status"] == "failed"]
    assert answer.returncode == (1 if failed else 0)


@pytest.mark.userns
def test_a_blocked_unshare_is_found_by_trying() -> None:
    """In a user namespace that may have no further ones, as sysctls and containers do it."""
    program = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -m sandboxd doctor --json'
    answer = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", program, sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    checks = {check["name"]: check for check in json.loads(answer.stdout)}
    assert checks["user namespaces"]["status"] == "failed"
    assert checks["user namespaces"]["detail"].startswith("unshare: ")
    assert "sudo sysctl -w user.max_user_namespaces=15000" in checks["user namespaces"]["remedy"]
    assert answer.returncode == 1
