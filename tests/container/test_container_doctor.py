"""The doctor and the command line, asked about a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine import OwnEngine

from sandboxd.doctor.engine import check_engine, check_runtimes, check_socket, is_known_bad, try_engine
from sandboxd.doctor.facts import Facts
from sandboxd.doctor.model import Status
from sandboxd.doctor.probe import Trial
from sandboxd.hosts import HostFiles

pytestmark = pytest.mark.timeout(300)


def facts_of(engine: OwnEngine) -> Facts:
    return Facts(HostFiles(), Trial(), engine=try_engine(engine.socket, engine.images))


def command(engine: OwnEngine, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "SANDBOXD_ENGINE_SOCKET": str(engine.socket),
        "SANDBOXD_IMAGES_DIR": str(engine.images),
    }
    return subprocess.run(
        [sys.executable, "-m", "sandboxd", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_live_engine_is_described(engine: OwnEngine) -> None:
    facts = facts_of(engine)
    found = check_engine(facts)
    assert found.status in {Status.OK, Status.DEGRADED}
    assert "cgroup v" in found.found
    assert check_runtimes(facts).found == "runc, runsc"
    assert check_socket(facts).status is not Status.UNKNOWN


def test_a_socket_that_everybody_may_use_is_told(engine: OwnEngine) -> None:
    mode = engine.socket.stat().st_mode
    engine.socket.chmod(0o666)
    try:
        assert check_socket(facts_of(engine)).status is Status.DEGRADED
    finally:
        engine.socket.chmod(mode)


def test_an_engine_that_is_not_there_is_missing_and_nothing_raises(tmp_path: Path) -> None:
    facts = Facts(HostFiles(), Trial(), engine=try_engine(tmp_path / "no.sock", tmp_path))
    assert check_engine(facts).status is Status.MISSING
    assert check_runtimes(facts).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("name", "version", "bad"),
    [
        ("runc", "1.1.5+ds1", True),
        ("runc", "1.2.7", True),
        ("runc", "1.2.8", False),
        ("runc", "1.3.2", True),
        ("runc", "1.3.3", False),
        ("runc", "1.4.0", False),
        ("runc", "1.4.0-rc.2", True),
        ("runc", "1.4.0-rc.3", False),
        ("runc", "1.3.3-rc.1", True),
        ("runc", "1.1.15", True),
        ("runc", "1.0.0-rc93", True),
        ("containerd", "1.7.29~rc1", True),
        ("containerd", "2.2.0-rc.1", False),
        ("containerd", "1.6.20~ds1", True),
        ("containerd", "1.7.29", False),
        ("containerd", "v2.1.4", True),
        ("containerd", "2.2.0", False),
        ("runc", "", False),
    ],
)
def test_known_bad_versions(name: str, version: str, bad: bool) -> None:
    assert is_known_bad(name, version) is bad


def test_the_command_says_whether_untrusted_can_run_here(engine: OwnEngine) -> None:
    asked = command(engine, "doctor", "--policy", "untrusted", "--json")
    report = json.loads(asked.stdout)
    (verdict,) = [one for one in report["policies"] if one["name"] == "untrusted"]
    assert verdict["status"] == "ok", verdict
    assert asked.returncode == 0
    assert {"container-engine", "container-runtimes", "engine-socket"} <= {
        one["id"] for one in report["checks"]
    }


def test_images_are_built_listed_inspected_and_removed(engine: OwnEngine, tmp_path: Path) -> None:
    built = command(engine, "image", "build", "second")
    assert built.returncode == 0, built.stderr
    listed = json.loads(command(engine, "image", "list", "--json").stdout)
    digests = {one["name"]: one["image_id"] for one in listed}
    assert digests["second"] == digests["base"], "the same files, the same digest"
    shown = command(engine, "image", "inspect", "second")
    assert json.loads(shown.stdout)["in_engine"] is True
    (tmp_path / "none.tar").write_bytes(b"")
    refused = command(engine, "image", "build", "third", "--from-rootfs", str(tmp_path / "none.tar"))
    assert refused.returncode != 0
    again = command(engine, "image", "build", "fourth", "--base", "sandboxd/base")
    assert again.returncode != 0 or "sha256:" in again.stdout
    missing = command(engine, "image", "build", "fifth", "--base", "no/such:image")
    assert "pulls nothing" in missing.stderr


def test_without_an_engine_the_doctor_says_how_untrusted_gets_one(tmp_path: Path) -> None:
    environment = {**os.environ, "SANDBOXD_ENGINE_SOCKET": str(tmp_path / "none")}
    asked = subprocess.run(
        [sys.executable, "-m", "sandboxd", "doctor", "--policy", "untrusted"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode != 0
    assert "Start a container engine and name it with --engine-socket" in asked.stdout
