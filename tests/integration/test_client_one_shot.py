"""One program, one sandbox, by the client: cut connections, refusals, being left early. The daemon's log knows the truth."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

import pytest
from client_relay import Relay
from sandboxd_client import (
    AsyncOneShot,
    InDoubtError,
    NotStartedError,
    OneShot,
    Outcome,
    RefusedError,
    Sandbox,
    SessionLostError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemons import Daemon, StartDaemon

pytestmark = pytest.mark.userns

COUNTING = """
import time
for i in range(10):
    print(i, flush=True)
    time.sleep(0.05)
'done'
"""
WHOLE = "".join(f"{i}\n" for i in range(10))
FOREVER = "print('begun', flush=True)\nwhile True: pass"


@pytest.fixture
def relay(daemon: Daemon, short_dir: Path) -> Iterator[Relay]:
    relay = Relay(short_dir, daemon.address)
    yield relay
    relay.close()


@pytest.mark.parametrize("after_seconds", [0.0, 0.002, 0.01, 0.03, 0.1, 0.3, 0.5, 0.55])
def test_a_cut_at_any_moment_ends_in_what_is_true(relay: Relay, daemon: Daemon, after_seconds: float) -> None:
    execution_id = uuid.uuid4().hex
    threading.Timer(after_seconds, relay.cut).start()
    with Sandbox("default", daemon.address) as witness:
        try:
            execution = OneShot("default", relay.address).run(COUNTING, execution_id=execution_id)
        except NotStartedError:
            with pytest.raises(RefusedError) as caught:
                witness.get_execution(execution_id)
            assert caught.value.code == "EXECUTION_NOT_FOUND"
        except InDoubtError as error:
            assert error.execution_id == execution_id
        else:
            assert execution.outcome is Outcome.OK
            assert execution.output_expired or (execution.stdout, execution.text) == (WHOLE, "'done'")


def test_cut_again_and_again(relay: Relay) -> None:
    stop = threading.Event()

    def cutting(_: str) -> None:
        if not stop.is_set():
            stop.set()
            threading.Thread(target=cut_often).start()

    def cut_often() -> None:
        for _ in range(4):
            relay.cut()
            threading.Event().wait(0.09)

    execution = OneShot("default", relay.address).run(COUNTING, on_stdout=cutting)
    assert execution.outcome is Outcome.OK
    assert execution.output_expired or execution.stdout == WHOLE
    assert relay.connections > 1


async def test_the_asynchronous_one_survives_a_cut_as_well(relay: Relay) -> None:
    cuts: list[str] = []

    def cut(text: str) -> None:
        if not cuts:
            relay.cut()
        cuts.append(text)

    execution = await AsyncOneShot("default", relay.address).run(COUNTING, on_stdout=cut)
    assert (execution.stdout, execution.text) == (WHOLE, "'done'")
    assert "".join(cuts) == WHOLE


def test_left_early_it_is_interrupted(daemon: Daemon) -> None:
    execution_id = uuid.uuid4().hex

    def leave(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OneShot("default", daemon.address).run(FOREVER, on_stdout=leave, execution_id=execution_id)
    with Sandbox("default", daemon.address) as witness:
        execution = witness.get_execution(execution_id)
    assert execution is not None
    assert execution.outcome is Outcome.CANCELLED


@pytest.mark.parametrize(
    ("policy", "more", "code"),
    [
        ("no-such", {}, "POLICY_NOT_FOUND"),
        ("default", {"execution_id": "short"}, "INVALID_REQUEST"),
        ("default", {"timeout": 1e6}, "LIMIT_ABOVE_POLICY"),
    ],
)
def test_a_refusal_is_not_started(daemon: Daemon, policy: str, more: dict[str, object], code: str) -> None:
    with pytest.raises(NotStartedError) as caught:
        OneShot(policy, daemon.address).run("1", **more)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_code_that_no_message_carries_is_not_started(daemon: Daemon) -> None:
    """Neither in doubt, which nobody could clear up, nor an invitation to send it once more."""
    code = "#" * (5 << 20)
    with pytest.raises(NotStartedError, match="5242880 bytes"):
        OneShot(address=daemon.address).run(code)
    with Sandbox(address=daemon.address) as sandbox:
        with pytest.raises(NotStartedError, match="5242880 bytes"):
            sandbox.run_code(code)
        with pytest.raises(RefusedError, match="5242880 bytes"):
            sandbox.check(code)
        assert sandbox.run_code("print(1)").stdout == "1\n"
        assert sandbox.run_code("#" * (2 << 20)).outcome is Outcome.DENIED, (
            "what a message carries, the policy judges"
        )


def test_where_nobody_listens_nothing_was_started(short_dir: Path) -> None:
    with pytest.raises(NotStartedError) as caught:
        OneShot("default", f"unix:{short_dir}/nobody.sock").run("1")
    assert caught.value.code == "UNREACHABLE"


def test_a_repeated_id_runs_nothing(daemon: Daemon) -> None:
    execution_id = uuid.uuid4().hex
    one_shot = OneShot("default", daemon.address)
    assert one_shot.run("1 + 1", execution_id=execution_id).text == "2"
    with pytest.raises(NotStartedError) as caught:
        one_shot.run("1 + 1", execution_id=execution_id)
    assert caught.value.code == "EXECUTION_ID_REUSED"


def test_a_daemon_that_dies_is_a_lost_session(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with pytest.raises(SessionLostError):
        OneShot("default", daemon.address).run(FOREVER, on_stdout=lambda _: daemon.kill())


def test_limits_and_timeout_hold(daemon: Daemon) -> None:
    assert OneShot("default", daemon.address).run(FOREVER, timeout=0.3).outcome is Outcome.TIMEOUT_WALL
    with pytest.raises(ValueError, match="negative"):
        OneShot("default", daemon.address).run("1", timeout=-1)
