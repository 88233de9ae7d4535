"""The daemon and its launcher: an embedded daemon ends with it, a service starts another."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import grpc
import psutil
import pytest
from sandboxd_client import Outcome, Sandbox, SessionLostError
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

if TYPE_CHECKING:
    from pathlib import Path

    from daemons import Daemon, StartDaemon

pytestmark = pytest.mark.userns


def launcher(daemon: Daemon) -> psutil.Process:
    found = psutil.Process(daemon.process.pid).children()
    return next(child for child in found if "sandboxd.launcher" in child.cmdline())


def test_a_service_survives_the_death_of_its_launcher(start_daemon: StartDaemon, short_dir: Path) -> None:
    # A file makes the directory somebody's: no undertaker may remove it, as in a service.
    short_dir.joinpath("mine").mkdir(mode=0o700)
    short_dir.joinpath("mine", "kept").touch()
    daemon = start_daemon(run="mine")
    with Sandbox(address=daemon.address) as sandbox:
        assert sandbox.run_code("1 + 1").text == "2"
        launcher(daemon).send_signal(signal.SIGKILL)
        with pytest.raises(SessionLostError):
            # The first may still have been accepted: then it has an outcome of its own.
            while sandbox.run_code("1 + 1").outcome in {Outcome.OK, Outcome.INFRASTRUCTURE}:
                pass
    with Sandbox(address=daemon.address) as sandbox:
        execution = sandbox.run_code("2 + 2")
        assert (execution.outcome, execution.text) == (Outcome.OK, "4")


def test_an_embedded_daemon_ends_with_its_launcher_and_leaves_nothing(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with Sandbox(address=daemon.address) as sandbox:
        sandbox.run_code("1")
        launcher(daemon).send_signal(signal.SIGKILL)
        assert daemon.process.wait(20) == 0
    assert not daemon.runtime_dir.exists() or not list(daemon.runtime_dir.iterdir())


def test_clients_that_leave_while_they_open_leave_no_jail(start_daemon: StartDaemon) -> None:
    # A pool that does not grow with the demand, or more would wait afterwards than before.
    daemon = start_daemon("--lease-seconds", "0.2", "--max-sessions", "4", "--pool-max", "2")
    with Sandbox(address=daemon.address) as sandbox:
        sandbox.run_code("1")
    time.sleep(0.5)  # the pool is full again
    family = psutil.Process(daemon.process.pid)
    before = len(family.children(recursive=True))
    request = pb.SessionRequest(request_id=1, open=pb.Open())
    with grpc.insecure_channel(daemon.address) as channel:
        stub = rpc.SandboxServiceStub(channel)
        for number in range(20):
            call = stub.Session(iter([request]))
            time.sleep(0.002 * (number % 8))
            call.cancel()
    until = time.monotonic() + 10
    while len(family.children(recursive=True)) > before:
        assert time.monotonic() < until, "a jail that no session has"
        time.sleep(0.05)
    with Sandbox(address=daemon.address) as sandbox:
        assert sandbox.run_code("1 + 1").text == "2"


def test_where_user_namespaces_are_blocked_the_daemon_exits_3_with_the_remedy(short_dir: Path) -> None:
    # In a user namespace of its own the limit can be set to 0 without touching the host's.
    program = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -m sandboxd serve --embedded --runtime-dir "$1"'
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "bash",
        "-c",
        program,
        sys.executable,
        str(short_dir / "run"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert "USERNS_BLOCKED" in ended.stderr
    assert "sysctl -w user.max_user_namespaces=" in ended.stderr
    assert not (short_dir / "run").exists()
