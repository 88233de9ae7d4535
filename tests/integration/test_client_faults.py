"""Cut connections and dying daemons, really: each ends in a result or in the failure class that is true.

Code counts its own runs in a file of the session; where the session is gone, the daemon's log knows.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from client_relay import Relay
from sandboxd_client import (
    AsyncSandbox,
    Execution,
    FaultError,
    InDoubtError,
    NotStartedError,
    Outcome,
    Sandbox,
    SessionLostError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Daemon, StartDaemon

pytestmark = pytest.mark.userns

COUNTING = """
open('runs', 'a').write('x')
import time
for i in range(10):
    print(i, flush=True)
    time.sleep(0.05)
'done'
"""
WHOLE = "".join(f"{i}\n" for i in range(10))


@pytest.fixture
def relay(daemon: Daemon, short_dir: Path) -> Iterator[Relay]:
    relay = Relay(short_dir, daemon.address)
    yield relay
    relay.close()


@pytest.mark.parametrize("after_seconds", [0.0, 0.002, 0.01, 0.05, 0.2, 0.4, 0.5])
def test_a_cut_at_any_moment_runs_the_code_at_most_once(relay: Relay, after_seconds: float) -> None:
    with Sandbox("unscreened", relay.address) as sandbox:
        sandbox.files.write("runs", "")
        timer = threading.Timer(after_seconds, relay.cut)
        timer.start()
        try:
            execution = sandbox.run_code(COUNTING)
        except NotStartedError:
            expected = ""
        else:
            expected = "x"
            assert (execution.stdout, execution.text) == (WHOLE, "'done'")
        timer.join()
        time.sleep(0.1)
        assert sandbox.files.read("runs") == expected
        assert relay.connections > 1


async def test_the_asynchronous_client_survives_a_cut_as_well(relay: Relay) -> None:
    async with AsyncSandbox("unscreened", relay.address) as sandbox:
        threading.Timer(0.2, relay.cut).start()
        assert (await sandbox.run_code(COUNTING)).stdout == WHOLE
        assert await sandbox.files.read("runs") == "x"


def test_cut_again_and_again(relay: Relay) -> None:
    stop = threading.Event()

    def cutting() -> None:
        while not stop.wait(0.12):
            relay.cut()

    thread = threading.Thread(target=cutting)
    with Sandbox("unscreened", relay.address) as sandbox:
        thread.start()
        try:
            assert sandbox.run_code(COUNTING).stdout == WHOLE
        finally:
            stop.set()
            thread.join()
        assert sandbox.files.read("runs") == "x"


def test_an_idle_cut_is_healed_before_the_next_code(relay: Relay) -> None:
    with Sandbox("unscreened", relay.address) as sandbox:
        sandbox.run_code("x = 1")
        relay.cut()
        time.sleep(0.3)  # noticed by then; before, see the next test
        assert sandbox.run_code("x + 1").text == "2"


def test_code_sent_into_a_cut_connection_was_not_started_and_idempotent_code_is_sent_again(
    relay: Relay,
) -> None:
    with Sandbox("unscreened", relay.address) as sandbox:
        sandbox.run_code("x = 1")
        relay.cut()
        assert sandbox.run_code("x += 1\nx", idempotent=True).text == "2"


def test_a_partition_is_in_doubt_and_asking_later_tells(relay: Relay) -> None:
    with Sandbox("unscreened", relay.address) as sandbox:
        relay.refusing = True
        threading.Timer(0.2, relay.cut).start()
        began = time.monotonic()
        with pytest.raises(InDoubtError) as caught:
            sandbox.run_code(COUNTING, timeout=1)
        assert time.monotonic() - began < 6
        relay.refusing = False
        execution = ask(sandbox, caught.value.execution_id)
        assert execution.outcome is Outcome.OK
        assert sandbox.files.read("runs") == "x"


def test_a_restarted_daemon_has_lost_the_session_and_knows_the_execution(start_daemon: StartDaemon) -> None:
    first = start_daemon("--allow-unscreened", run="run")
    assert not first.error, first.error
    execution_id = uuid.uuid4().hex
    with Sandbox("unscreened", first.address) as sandbox:

        def restart(_: str) -> None:
            first.kill()
            start_daemon("--allow-unscreened", run="run")

        with pytest.raises(SessionLostError) as caught:
            sandbox.run_code(
                "print(1, flush=True)\nwhile True: pass", execution_id=execution_id, on_stdout=restart
            )
    assert caught.value.execution is not None
    assert caught.value.execution.outcome is Outcome.INFRASTRUCTURE
    assert caught.value.execution.evidence.code == "DAEMON_RESTARTED"
    assert intents(first, execution_id) == 1


def test_a_daemon_that_is_killed_took_the_session_with_it(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--allow-unscreened")
    with Sandbox("unscreened", daemon.address) as sandbox:
        threading.Timer(0.3, daemon.kill).start()
        with pytest.raises(SessionLostError, match="DAEMON_ENDED"):
            sandbox.run_code("while True: pass", timeout=2)


def test_a_stopped_daemon_holds_no_caller_past_the_bound(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--allow-unscreened")
    with Sandbox("unscreened", daemon.address) as sandbox:
        daemon.process.send_signal(19)  # SIGSTOP: the socket is there, and nobody answers
        began = time.monotonic()
        try:
            with pytest.raises(InDoubtError):
                sandbox.run_code("1", timeout=0.5)
            assert time.monotonic() - began < 0.5 + 0.25 + 0.05 + 2 + 1 + 2 + 0.5
        finally:
            daemon.process.send_signal(18)


def ask(sandbox: Sandbox, execution_id: str) -> Execution:
    """Ask until the connection is there again: gRPC waits a second between two attempts."""
    for _ in range(50):
        time.sleep(0.1)
        try:
            execution = sandbox.get_execution(execution_id)
        except FaultError:
            continue
        else:
            if execution is not None:
                return execution
    raise AssertionError("no answer")


def intents(daemon: Daemon, execution_id: str) -> int:
    """Count the intent records of an execution in the daemon's log."""
    lines = [line for path in (daemon.state_dir / "log").glob("*") for line in path.read_text().splitlines()]
    records = [json.loads(line) for line in lines]
    return sum(
        1 for record in records if record["kind"] == "execution_intent" and execution_id in json.dumps(record)
    )
