"""A client killed with SIGKILL in each phase: sessions, clones and checkpoints end with their leases, and nothing is left.

What runs goes on to its own end, which is its deadline here; then the lease runs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from daemons import SOURCES, Daemon, StartDaemon
from sandboxd_client import Limits, Sandbox, SandboxError, SessionLostError
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc
from traces import Snapshot, differences, family, settle

pytestmark = pytest.mark.userns
MEMORY = 256 << 20
SETTLE_SECONDS = 20.0

CLIENT = """
import sys, time
from sandboxd_client import Limits, Sandbox
address, phase = sys.argv[1:]
DATA = "open('data', 'wb').write(bytes(4 << 20)); x = list(range(10000))"

def sandbox():
    return Sandbox("unscreened", address, limits=Limits(memory_bytes=256 << 20))

def ready():
    print("ready", flush=True)

if phase == "opening":
    ready()
    while True:
        sandbox().open().close()
opened = sandbox().open()
opened.run_code(DATA)
if phase == "idle":
    clones = opened.fork(3)
    clones[0].checkpoint("a")
    nested = clones[1].fork(2)
    opened.checkpoint("a")
    ready()
    time.sleep(60)
running = "import os, time\\nprint('go', flush=True)\\nif os.fork() == 0: time.sleep(60)\\ntime.sleep(60)"
if phase == "executing":
    (clone,) = opened.fork()
    clone.run_code(running, timeout=2, on_stdout=lambda _: ready())
if phase == "executing to be rolled back":
    opened.run_code(running, timeout=2, on_error="rollback", on_stdout=lambda _: ready())
if phase == "in a tool call":
    def slow() -> int:
        "Take long."
        ready()
        time.sleep(60)
        return 1
    few = Limits(memory_bytes=256 << 20, tool_seconds=2)
    opened.close()
    with Sandbox("unscreened", address, limits=few, tools=[slow]) as original:
        (clone,) = original.fork()
        clone.run_code("slow()", timeout=2)
if phase == "forking":
    ready()
    while True:
        for clone in opened.fork(4):
            clone.close()
if phase == "keeping":
    ready()
    while True:
        opened.checkpoint("a")
if phase == "going back":
    opened.checkpoint("a")
    ready()
    while True:
        opened.rollback("a")
"""
PHASES = (
    "opening",
    "idle",
    "executing",
    "executing to be rolled back",
    "in a tool call",
    "forking",
    "keeping",
    "going back",
)


@pytest.fixture(scope="module")
def daemon(start_module_daemon: StartDaemon) -> Daemon:
    """A daemon without waiting boxes, with short leases and memory for one tree."""
    flags = ("--pool-size", "0", "--pool-max", "0", "--lease-seconds", "0.5", "--memory-total", str(MEMORY))
    daemon = start_module_daemon("--allow-unscreened", *flags)
    assert not daemon.error, daemon.error
    with Sandbox("unscreened", daemon.address, limits=Limits(memory_bytes=MEMORY)) as sandbox:
        sandbox.run_code("1")
        sandbox.fork()[0].close()
    return daemon


@contextlib.contextmanager
def client(daemon: Daemon, phase: str) -> Iterator[subprocess.Popen[str]]:
    """A client in a process of its own, in a phase."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, daemon.address, phase],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*SOURCES, *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def stats(daemon: Daemon) -> pb.StatsResponse:
    with grpc.insecure_channel(daemon.admin_address) as channel:
        return rpc.AdminServiceStub(channel).Stats(pb.StatsRequest(), timeout=30)


def snapshot(daemon: Daemon) -> Snapshot:
    """Take stock of what is the daemon's; of the kernel's files for open connections there may be more or less."""
    taken = Snapshot.take(root=daemon.process.pid, directories=[daemon.runtime_dir])
    return Snapshot({name: taken.rows[name] for name in ("processes", "namespaces", "files")})


def groups(daemon: Daemon) -> set[Path]:
    """Name the cgroups that its sandboxes are in."""
    found = set()
    for process in family(daemon.process.pid):
        if process.role in {"inmate", "pid1"}:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{process.pid}/cgroup").read_text().splitlines():
                    _, controllers, path = line.split(":", 2)
                    found |= {
                        Path("/sys/fs/cgroup", part, path.lstrip("/"))
                        for part in ("", "unified", *controllers.split(","))
                        if "sandboxd-" in path
                    }
    return {path for path in found if path.exists()}


def quiet(daemon: Daemon) -> Snapshot:
    """Wait until the house is at rest, and remember it."""
    settle(lambda: ["sessions"] if stats(daemon).sessions else [], SETTLE_SECONDS)
    before = snapshot(daemon)
    for _ in range(200):
        time.sleep(0.05)
        after = snapshot(daemon)
        if not differences(before, after):
            return after
        before = after
    raise AssertionError("the house does not come to rest")


@pytest.mark.parametrize("delay_seconds", [0.0, 0.03, 0.2])
@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_left_of_a_client_that_was_killed(
    daemon: Daemon, phase: str, delay_seconds: float
) -> None:
    before = quiet(daemon)
    with client(daemon, phase) as process:
        time.sleep(delay_seconds)
        held = groups(daemon)
        process.kill()
        process.wait()
    left = settle(lambda: ["sessions"] if stats(daemon).sessions else [], SETTLE_SECONDS)
    assert not left, daemon.logged()
    assert not settle(lambda: differences(before, snapshot(daemon)), SETTLE_SECONDS)
    assert not settle(lambda: [str(path) for path in held if path.exists()], SETTLE_SECONDS)
    with Sandbox("unscreened", daemon.address, limits=Limits(memory_bytes=MEMORY)) as sandbox:
        assert sandbox.run_code("1 + 1").text == "2", "the memory of the tree was given back"


def test_a_restarted_daemon_tells_what_is_lost(start_daemon: StartDaemon) -> None:
    """Clones and checkpoints too: by a typed error, to each that comes back."""
    daemon = start_daemon("--allow-unscreened", run="run")
    sandbox = Sandbox("unscreened", daemon.address).open()
    sandbox.checkpoint("kept")
    (clone,) = sandbox.fork()
    daemon.kill()
    again = start_daemon("--allow-unscreened", run="run")
    assert again.address == daemon.address
    for one in (sandbox, clone):
        for ask in (lambda one=one: one.run_code("1"), lambda one=one: one.rollback("kept"), one.fork):
            with pytest.raises(SandboxError) as caught:
                ask()
            assert isinstance(caught.value, SessionLostError), repr(caught.value)
            assert "restarted" in caught.value.message
            assert "checkpoints" in caught.value.message + caught.value.remedy
        with pytest.raises(SessionLostError, match="restarted"):
            Sandbox.attach(one.session_id, again.address)
        one.close()
