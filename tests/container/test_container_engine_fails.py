"""Must hold 5: an engine that lacks a runtime, has a full disk, or hangs: each a typed error in time, and then all is well again.

Through the real daemon, with an engine of this file's own whose data lie on a small file system.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_rooms import LIMITS
from daemons import Daemon, end_daemon_process, start_daemon_process
from engine import OwnEngine, start_engine
from sandboxd_client import NotStartedError, Outcome, Sandbox

from sandboxd.errors import SandboxdError
from sandboxd.executors.base import BoxSpec
from sandboxd.executors.container import ContainerExecutor, ContainerSettings, ContainerYard
from sandboxd.images import Source, build_image

pytestmark = pytest.mark.timeout(300)
DISK_MIB = 600
POLICY = """apiVersion: sandboxd/v1
kind: Policy
metadata: {name: in-runc}
extends: unscreened
isolate: {executor: runc}
"""
# The engine's slowest answer that is waited for is 30 s (`broker/containers.py`); the rest is a busy machine's.
DEADLINE_SECONDS = 90.0


@pytest.fixture(scope="module")
def small() -> Iterator[OwnEngine]:
    """An engine without gVisor, with little room."""
    running = start_engine(runtimes=("runc",))
    try:
        running.stop()
        size = f"size={DISK_MIB}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(running.home / "data")], check=True)
        running.start()
        build_image(running.images, running.socket, "base", Source(), progress=lambda _: None)
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def house(small: OwnEngine) -> Iterator[Daemon]:
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    (base / "policies").mkdir()
    (base / "policies" / "in-runc.yaml").write_text(POLICY)
    flags = ["--engine-socket", str(small.socket), "--images-dir", str(small.images), "--allow-unscreened"]
    flags += ["--policy-dir", str(base / "policies"), "--pool-size", "0", "--container-pool", "0"]
    running = start_daemon_process(base / "run", base / "state", *flags)
    try:
        assert not running.error, running.error
        yield running
    finally:
        end_daemon_process(running)
        shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def full(place: Path) -> Iterator[None]:
    """Leave no byte and no inode's room."""
    ballast = place / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def hanging(engine: OwnEngine) -> Iterator[None]:
    assert engine.process is not None
    os.kill(engine.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.process.pid, signal.SIGCONT)


def refusal(daemon: Daemon, policy: str) -> NotStartedError:
    began = time.monotonic()
    with pytest.raises(NotStartedError) as refused:
        Sandbox(policy, daemon.address, open_timeout=2 * DEADLINE_SECONDS).run_code("1")
    assert time.monotonic() - began < DEADLINE_SECONDS
    assert refused.value.remedy
    return refused.value


def works(daemon: Daemon, engine: OwnEngine) -> None:
    with Sandbox("in-runc", daemon.address, open_timeout=DEADLINE_SECONDS) as sandbox:
        assert sandbox.run_code("1 + 1").text == "2"
    until = time.monotonic() + DEADLINE_SECONDS
    while left := engine.containers():
        assert time.monotonic() < until, left
        time.sleep(0.2)


def test_a_policy_that_demands_gvisor_is_refused_and_nothing_weaker_runs(
    house: Daemon, small: OwnEngine
) -> None:
    error = refusal(house, "untrusted")
    assert error.code == "EXECUTOR_UNAVAILABLE"
    assert "runsc" in str(error)
    assert small.containers() == []
    works(house, small)


def test_an_image_that_the_engine_has_lost_is_refused_by_name(house: Daemon, small: OwnEngine) -> None:
    works(house, small)
    small.docker("rmi", "-f", "sandboxd/base")
    try:
        error = refusal(house, "in-runc")
        assert error.code == "ENVIRONMENT_FAILED"
        assert "image build base" in error.remedy
    finally:
        build_image(small.images, small.socket, "base", Source(), progress=lambda _: None)
    works(house, small)


def test_a_full_disk_of_the_engine_is_a_typed_error_and_leaves_nothing(
    house: Daemon, small: OwnEngine
) -> None:
    works(house, small)
    with full(small.home / "data"):
        error = refusal(house, "in-runc")
        assert error.code == "JAIL_FAILED"
        assert "no space left" in str(error).lower()
        with pytest.raises(SandboxdError) as refused:
            build_image(small.images, small.socket, "other", Source(), progress=lambda _: None)
        assert refused.value.remedy
        assert not [one for one in small.images.iterdir() if "other" in one.name]
    works(house, small)


async def test_no_room_for_the_guest_s_code_is_a_typed_error(small: OwnEngine) -> None:
    tiny = small.home / "tiny"
    tiny.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tiny)], check=True)
    yard = ContainerYard(ContainerSettings(small.socket, small.images, tiny / "guests", "a7" * 8))
    try:
        with pytest.raises(SandboxdError) as refused:
            await ContainerExecutor("runc", yard).open(BoxSpec("session-x", "base", LIMITS))
        assert refused.value.code == "EXECUTOR_UNAVAILABLE"
        assert "No space left" in refused.value.message
        assert refused.value.remedy
        assert list((tiny / "guests").iterdir()) == []
    finally:
        await yard.close()
        subprocess.run(["umount", str(tiny)], check=True)


def test_an_engine_that_hangs_is_a_typed_error_and_holds_nothing_else_up(
    house: Daemon, small: OwnEngine
) -> None:
    with hanging(small):
        with Sandbox("default", house.address) as elsewhere:
            waiting: list[NotStartedError] = []
            thread = threading.Thread(target=lambda: waiting.append(refusal(house, "in-runc")))
            thread.start()
            assert elsewhere.run_code("1 + 1").text == "2"
            thread.join()
        assert [one.code for one in waiting] == ["EXECUTOR_UNAVAILABLE"]
    works(house, small)


def test_a_snippet_under_an_engine_that_hangs_ends_with_an_outcome(house: Daemon, small: OwnEngine) -> None:
    """Its stream goes through the engine: neither interrupt nor kill arrives, and time goes on all the same."""
    with Sandbox("in-runc", house.address) as sandbox:
        assert sandbox.run_code("x = 1").ok
        heard = threading.Event()
        began = time.monotonic()
        stop = contextlib.ExitStack()

        def hang(_: object) -> None:
            if not heard.is_set():
                heard.set()
                stop.enter_context(hanging(small))

        with stop:
            done = sandbox.run_code("print('on', flush=True)\nwhile True: pass", timeout=1.0, on_stdout=hang)
            assert heard.is_set()
            assert done.outcome in {Outcome.TIMEOUT_WALL, Outcome.INFRASTRUCTURE}, done
            assert done.variables_lost
            assert time.monotonic() - began < DEADLINE_SECONDS
    works(house, small)
