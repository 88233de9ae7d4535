"""A call whose stream breaks is run once and answered; a client that dies leaves nothing running inside."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from client_relay import Relay
from sandboxd_client import AsyncSandbox, DirectCall, Sandbox, SandboxError, SessionLostError, ToolState

from tests.daemons import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Daemon, StartDaemon

pytestmark = pytest.mark.userns


@pytest.fixture
def relay(daemon: Daemon, short_dir: Path) -> Iterator[Relay]:
    relay = Relay(short_dir, daemon.address)
    yield relay
    relay.close()


@pytest.mark.parametrize("when", ["before the answer", "with the answer", "after the answer"])
def test_a_call_whose_stream_breaks_is_run_once(relay: Relay, when: str) -> None:
    ran: list[int] = []

    def once(x: int) -> int:
        """Count."""
        ran.append(x)
        if when == "before the answer":
            relay.cut()
            time.sleep(0.3)
        elif when == "with the answer":
            relay.cut()
        else:
            threading.Timer(0.002, relay.cut).start()
        return x + 1

    with Sandbox(address=relay.address, tools=[once]) as sandbox:
        execution = sandbox.run_code("a = once(1)\nb = [once(i) for i in (2, 3)]\n(a, b)")
        assert execution.text == "(2, [3, 4])", (execution.error, execution.evidence)
        assert sandbox.run_code("once(9)", idempotent=True).text == "10"
    assert ran == [1, 2, 3, 9]
    assert relay.connections > 1


async def test_calls_in_flight_survive_a_broken_stream_each_once(relay: Relay) -> None:
    ran: list[int] = []
    cut = asyncio.Event()

    async def once(x: int) -> int:
        """Count, and wait for the cut."""
        ran.append(x)
        if len(ran) == 8:
            relay.cut()
            cut.set()
        await cut.wait()
        await asyncio.sleep(0.01 * x)
        return x + 1

    async with AsyncSandbox(address=relay.address, tools=[once]) as sandbox:
        execution = await sandbox.run_code(
            "import asyncio\nawait asyncio.gather(*[once(i) for i in range(8)])"
        )
    assert execution.text == str(list(range(1, 9))), execution.error
    assert sorted(ran) == list(range(8))
    assert [use.state for use in execution.tool_calls] == [ToolState.FINISHED] * 8


def test_direct_calls_survive_a_broken_stream_each_once(relay: Relay) -> None:
    ran: list[int] = []
    lock = threading.Lock()

    def once(x: int) -> int:
        """Count, and cut."""
        with lock:
            ran.append(x)
            if len(ran) == 4:
                relay.cut()
        time.sleep(0.05)
        return x + 1

    with Sandbox(address=relay.address, tools=[once]) as sandbox:
        results = sandbox.call_tools([DirectCall("once", {"x": i}) for i in range(4)])
        assert [one.value for one in results] == [1, 2, 3, 4], results
        assert sandbox.call_tool("once", {"x": 7}).value == 8
    assert sorted(ran) == [0, 1, 2, 3, 7]


def test_a_cut_at_any_moment_of_direct_calls_runs_each_at_most_once(relay: Relay) -> None:
    for after_seconds in (0.0, 0.001, 0.003, 0.01):
        ran: list[int] = []

        def counted(x: int) -> int:
            """Count."""
            ran.append(x)  # noqa: B023 - of this turn
            return x

        with Sandbox(address=relay.address, tools=[counted]) as sandbox:
            threading.Timer(after_seconds, relay.cut).start()
            results = sandbox.call_tools([DirectCall("counted", {"x": i}) for i in range(6)])
        assert len(ran) == len(set(ran))
        for result in results:
            assert result.ok or result.value is None
            assert not result.ok or result.value in ran


def test_a_daemon_that_dies_in_mid_call_is_a_typed_end(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    stopped = threading.Event()

    async def forever(x: int) -> int:
        """Wait."""
        daemon.kill()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return x

    sandbox = Sandbox(address=daemon.address, tools=[forever]).open()
    with pytest.raises(SandboxError) as caught:
        sandbox.run_code("await forever(1)")
    assert isinstance(caught.value, SessionLostError)
    assert stopped.wait(30)
    sandbox.close()


INTERRUPTED = """
import sys, time
from sandboxd_client import Sandbox, current_call

def wait(x: int) -> int:
    "Wait."
    print("running", flush=True)
    current_call().cancelled.wait(60)
    print("told", flush=True)
    return x

with Sandbox(address=sys.argv[1], tools=[wait]) as sandbox:
    try:
        sandbox.run_code("wait(1)")
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    time.sleep(0.2)
    print(sandbox.run_code("1 + 1").text, flush=True)
"""


def test_ctrl_c_stops_code_and_tool_and_leaves_the_sandbox_usable(daemon: Daemon) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, daemon.address],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join([*SOURCES, *filter(None, sys.path)])},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGINT)
    with child.stdout:
        rest = child.stdout.read().split()
    assert child.wait(30) == 0
    assert sorted(rest[:2]) == ["interrupted", "told"]
    assert rest[2:] == ["2"]


HANGING_AT_EXIT = """
import sys, time
from sandboxd_client import Sandbox, tool

def hang(x: int) -> int:
    "Hang."
    time.sleep(600)
    return x

with Sandbox(address=sys.argv[1], tools=[tool(hang, timeout=0.2)]) as sandbox:
    print(sandbox.run_code("hang(1)").error.name, flush=True)
"""


def test_a_thread_that_hangs_does_not_keep_the_process_from_ending(daemon: Daemon) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", HANGING_AT_EXIT, daemon.address],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": ":".join([*SOURCES, *filter(None, sys.path)])},
    )
    assert (answer.stdout, answer.returncode) == ("ToolTimeout\n", 0), answer.stderr


def test_another_process_takes_the_session_over_with_its_calls(daemon: Daemon) -> None:
    began = threading.Event()
    release = threading.Event()

    def first(x: int) -> int:
        """Never answer: this client goes away."""
        began.set()
        release.wait(60)
        return -1

    def second(x: int) -> int:
        """Answer for it."""
        return x + 1

    sandbox = Sandbox(address=daemon.address, tools=[first]).open()
    session_id = sandbox.session_id
    execution_id = "taken-over-1"
    failed: list[BaseException] = []

    def run() -> None:
        try:
            sandbox.run_code("first(41)", execution_id=execution_id)
        except SandboxError as error:
            failed.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    assert began.wait(30)
    second.__name__ = "first"
    with Sandbox.attach(session_id, daemon.address, tools=[second]) as other:
        execution = other.follow(execution_id)
        assert execution.text == "42", execution.error
    release.set()
    sandbox.close()
    runner.join(30)
