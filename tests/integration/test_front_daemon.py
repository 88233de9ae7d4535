"""The daemon's own life: start, refusals to start, drain, stop, crash, restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected, error_info, kinds, new_id

pytestmark = pytest.mark.userns
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def serve(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a daemon that is expected not to start."""
    return subprocess.run(
        [sys.executable, "-m", "sandboxd", "serve", *flags],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def owned_places(short_dir) -> list[str]:
    return [
        *(
            "--address",
            f"unix:{short_dir}/s/sandboxd.sock",
            "--admin-address",
            f"unix:{short_dir}/s/admin.sock",
        ),
        *("--state-dir", str(short_dir / "state")),
    ]


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8080", "tcp://0.0.0.0:1", "localhost:9", "[::1]:80", "dns:///x:1"]
)
def test_tcp_is_refused_before_anything_is_opened(short_dir, address):
    ended = serve("--address", address, "--state-dir", str(short_dir / "state"))
    assert ended.returncode == 3
    assert "TCP_NOT_SUPPORTED" in ended.stderr
    assert not (short_dir / "state").exists()


def test_a_wrong_setting_exits_3_and_names_it(short_dir):
    for ended in (
        serve("--max-sessions", "0"),
        serve("--no-such-flag"),
        serve(*owned_places(short_dir), SANDBOXD_LEASE_SECONDS="soon"),
    ):
        assert ended.returncode == 3
        assert "CONFIG_INVALID" in ended.stderr
    assert "SANDBOXD_LEASE_SECONDS" in ended.stderr


def test_a_second_daemon_on_one_state_directory_exits_3(start_daemon):
    assert not start_daemon(state="one").error
    second = start_daemon(state="one")
    assert second.error["code"] == "STATE_LOCKED"
    assert second.error["remedy"]
    assert second.process.wait(10) == 3
    assert "STATE_LOCKED" in second.logged()


def test_a_second_daemon_on_one_address_exits_3(start_daemon):
    first = start_daemon(run="run")
    second = start_daemon(state="two", run="run")
    assert second.error["code"] == "SOCKET_UNUSABLE"
    assert second.process.wait(10) == 3
    with socket.socket(socket.AF_UNIX) as probe:  # the first one is still there
        probe.connect(first.address.removeprefix("unix:"))


def test_a_stale_socket_is_replaced_and_a_file_is_not(start_daemon, short_dir):
    (short_dir / "run0").mkdir(mode=0o700)
    stale = short_dir / "run0" / "sandboxd.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    assert not start_daemon().error
    (short_dir / "run1").mkdir(mode=0o700)
    (short_dir / "run1" / "sandboxd.sock").write_text("precious")
    second = start_daemon(state="two")
    assert second.error["code"] == "SOCKET_UNUSABLE"
    assert (short_dir / "run1" / "sandboxd.sock").read_text() == "precious"


def test_a_directory_that_others_may_write_to_is_refused(short_dir):
    (short_dir / "s").mkdir()
    (short_dir / "s").chmod(0o777)
    ended = serve(*owned_places(short_dir))
    assert (ended.returncode, "SOCKET_UNUSABLE" in ended.stderr) == (3, True)


def test_an_embedded_daemon_wants_a_private_directory(start_daemon, short_dir):
    (short_dir / "run0").mkdir()
    (short_dir / "run0").chmod(0o755)
    assert start_daemon().error["code"] == "SOCKET_UNUSABLE"


def test_sockets_have_the_rights_they_should(daemon):
    def rights(path: str) -> int:
        return stat.S_IMODE(os.lstat(path).st_mode)

    public, admin = daemon.address.removeprefix("unix:"), daemon.admin_address.removeprefix("unix:")
    assert (rights(public), rights(admin)) == (0o660, 0o600)
    assert rights(str(Path(public).parent)) == 0o700
    private = Path(public).with_name(".sandboxd.sock.d")
    assert rights(str(private)) == 0o700
    assert [one.name for one in private.iterdir()] == ["grpc"]  # no name of a connection is left


def test_a_service_makes_its_socket_directory_0750(short_dir):
    process = subprocess.Popen(
        [sys.executable, "-m", "sandboxd", "serve", *owned_places(short_dir)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 20
        while not (short_dir / "s" / "sandboxd.sock").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert stat.S_IMODE((short_dir / "s").stat().st_mode) == 0o750
    finally:
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert list((short_dir / "s").iterdir()) == []


def test_sigterm_ends_an_idle_daemon_with_0_and_takes_its_sockets(start_daemon):
    daemon = start_daemon()
    assert daemon.terminate() == 0
    assert not Path(daemon.address.removeprefix("unix:")).exists()


def test_the_end_of_the_lifeline_ends_the_daemon(start_daemon):
    daemon = start_daemon()
    daemon.drop_lifeline()
    assert daemon.process.wait(10) == 0


async def test_health_serves(daemon):
    for address in (daemon.address, daemon.admin_address):
        async with connected(address) as wire:
            health = health_pb2_grpc.HealthStub(wire.channel)
            assert (await health.Check(health_pb2.HealthCheckRequest())).status == SERVING


async def test_a_drain_waits_refuses_and_ends(start_daemon):
    daemon = start_daemon("--drain-seconds", "20")
    async with connected(daemon.address) as wire:
        health = health_pb2_grpc.HealthStub(wire.channel)
        stream, other = await wire.open(), await wire.open()
        execution_id = await stream.execute("import time\ntime.sleep(2)\nprint('done')")
        await stream.event("verdict")
        daemon.process.send_signal(signal.SIGTERM)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        while (await watch.read()).status != NOT_SERVING:
            pass
        await asyncio.sleep(0.3)
        refused = (await other.run("1"))[-1].refused
        assert (refused.error.reason, refused.error.metadata["failure_class"]) == ("DRAINING", "NOT_STARTED")
        assert refused.retry_after_seconds > 0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.open()
        assert error_info(caught.value).reason == "DRAINING"
        events = await stream.until_last()
        assert (events[-1].execution_id, events[-1].result.outcome) == (execution_id, pb.OUTCOME_OK)
        assert (await stream.event("closed")).closed.reason == "the daemon stops"
        watch.cancel()
    assert await asyncio.to_thread(daemon.process.wait, 15) == 0


async def test_a_drain_is_bounded_and_what_runs_is_killed(start_daemon):
    daemon = start_daemon("--drain-seconds", "0.3")
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        await stream.execute("while True: pass")
        await stream.event("verdict")
        daemon.process.send_signal(signal.SIGTERM)
        result = (await stream.event("result")).result
        assert (result.outcome, result.evidence.code) == (pb.OUTCOME_KILLED, "shutdown")
    assert await asyncio.to_thread(daemon.process.wait, 15) == 0


async def test_a_second_signal_stops_at_once(start_daemon):
    daemon = start_daemon("--drain-seconds", "60")
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        await stream.execute("import time\ntime.sleep(20)")
        await stream.event("verdict")
        began = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        daemon.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(daemon.process.wait, 15) == 0
        assert time.monotonic() - began < 5


async def test_kill_9_of_the_front_leaves_nothing(start_daemon):
    """Invariant 8."""
    daemon = start_daemon()
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        await stream.execute("import time\ntime.sleep(60)")
        await stream.event("verdict")
        tree = psutil.Process(daemon.process.pid).children(recursive=True)
        assert len(tree) >= 3  # launcher, zygote, box
        daemon.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, tree, timeout=5)
        assert alive == []


async def test_the_front_never_forks_without_exec(start_daemon):
    """Invariant 9: every child is another program, and holds none of gRPC's threads or sockets."""
    daemon = start_daemon()
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        await stream.run("1")
        children = psutil.Process(daemon.process.pid).children(recursive=True)
        looked_at = 0
        for child in children:
            assert "serve" not in child.cmdline()
            with contextlib.suppress(
                psutil.AccessDenied
            ):  # a box's inhabitants and the screener, for whoever is not root
                assert not any("cygrpc" in one.path for one in child.memory_maps()), child.cmdline()
                looked_at += 1
        assert looked_at >= 3 + (os.geteuid() == 0), (
            "launcher, undertaker and zygote at the least, the screener as root"
        )
        stream.cut()


async def test_an_idle_session_ends_although_its_stream_lives(start_daemon):
    daemon = start_daemon("--idle-seconds", "0.4")
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        assert (await stream.run("import time\ntime.sleep(0.8)\n1"))[-1].result.text == "1"
        assert (await stream.event("closed")).closed.reason.startswith("idle")


async def test_settings_reach_the_parts_they_are_for(start_daemon, short_dir):
    daemon = start_daemon(
        *("--durability", "fsync", "--screen-workers", "2", "--pool-size", "0", "--allow-unscreened"),
        *(
            "--default-policy",
            "unscreened",
            "--policy-dir",
            "",
            "--environments-dir",
            str(short_dir / "none"),
        ),
    )
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        assert stream.opened.policy == "unscreened"
        assert (await stream.run("import socket\n1"))[-1].result.text == "1"
        stream.cut()


async def test_an_unscreened_policy_is_refused_unless_the_daemon_allows_it(start_daemon):
    daemon = start_daemon()
    async with connected(daemon.address) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.open(policy="unscreened")
        assert error_info(caught.value).reason == "POLICY_NOT_ALLOWED"


def test_a_missing_default_policy_exits_3(start_daemon):
    daemon = start_daemon("--default-policy", "no-such-policy")
    assert daemon.error["code"] in {"POLICY_NOT_FOUND", "POLICY_INVALID", "CONFIG_INVALID"}
    assert daemon.process.wait(10) == 3


async def test_a_full_log_refuses_new_work_and_names_the_remedy(start_daemon):
    """Invariant 7."""
    daemon = start_daemon("--log-rotate-bytes", "32KiB", "--log-max-bytes", "64KiB")
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        for _ in range(200):
            event = (await stream.run("1"))[-1]
            if event.WhichOneof("event") == "refused":
                break
        assert event.refused.error.reason == "LOG_FULL"
        assert event.refused.error.metadata["failure_class"] == "NOT_STARTED"
        assert "log_max_bytes" in event.refused.error.metadata["remedy"]
        stream.cut()


async def test_after_a_restart_sessions_are_lost_and_executions_told(start_daemon):
    first = start_daemon(state="same")
    finished = new_id()
    async with connected(first.address) as wire:
        stream = await wire.open()
        assert kinds(await stream.run("1", execution_id=finished))[-1] == "result"
        running = await stream.execute("import time\ntime.sleep(60)")
        await stream.event("verdict")
        token = stream.opened.session_id
        first.kill()
    second = start_daemon(state="same")
    assert not second.error
    async with connected(second.address) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.attach(token)
        info = error_info(caught.value)
        assert (info.reason, info.metadata["failure_class"]) == ("SESSION_LOST", "SESSION_LOST")
        record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=finished))
        assert record.result.outcome == pb.OUTCOME_OK
        record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=running))
        assert record.result.outcome == pb.OUTCOME_INFRASTRUCTURE
        assert record.result.evidence.code == "DAEMON_RESTARTED"
        stream = await wire.open()
        event = (await stream.run("1", execution_id=finished))[-1]
        assert event.refused.error.reason == "EXECUTION_ID_REUSED"
        stream.cut()


async def test_a_lost_box_is_a_lost_session_with_an_outcome(start_daemon, short_dir):
    # A directory with a file in it is somebody's: this daemon does not end with its launcher.
    (short_dir / "run0").mkdir(mode=0o700)
    (short_dir / "run0" / "kept").touch()
    daemon = start_daemon()
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        await stream.execute("import time\ntime.sleep(60)")
        await stream.event("verdict")
        launcher = next(
            child
            for child in psutil.Process(daemon.process.pid).children()
            if "sandboxd.launcher" in " ".join(child.cmdline())
        )
        launcher.kill()
        result = (await stream.event("result")).result
        assert (result.outcome, result.variables_lost) == (pb.OUTCOME_INFRASTRUCTURE, True)
        assert "lost" in (await stream.event("closed")).closed.reason
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.attach(stream.opened.session_id)
        assert error_info(caught.value).reason == "SESSION_LOST"


async def test_logs_hold_ids_and_never_code_or_output(start_daemon):
    daemon = start_daemon("--log-level", "debug")
    async with connected(daemon.address) as wire:
        stream = await wire.open()
        await stream.run("print('an-output-' + 'of-mine')  # a-comment-of-mine")
        display_id, token = stream.opened.display_id, stream.opened.session_id
    daemon.terminate()
    record = b"".join(path.read_bytes() for path in sorted((daemon.state_dir / "log").glob("*"))).decode()
    for text in (daemon.logged(), record):
        assert display_id in text
        for secret in ("of-mine", token, token.split(".")[1]):
            assert secret not in text
