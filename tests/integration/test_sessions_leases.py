"""How long a session lives, who may come back to it, and who sees it: through the real daemon and both clients."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from daemons import SLOWNESS, SOURCES
from sandboxd_client import AsyncSandbox, NotStartedError, Outcome, Sandbox, SessionLostError
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected

if TYPE_CHECKING:
    from daemons import Daemon

pytestmark = pytest.mark.userns
ENDS_SECONDS = 20 * SLOWNESS


def elsewhere(program: str, *arguments: str) -> str:
    """Run a client in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*SOURCES, *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


# ---- lifetimes ----------------------------------------------------------------------------------------------


def test_a_session_ends_with_its_lifetime_however_much_it_is_used(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address, lifetime_seconds=2.0) as sandbox:
        assert 0 < sandbox.expires_at - time.time() <= 2.0
        assert sandbox.info.expires_at_seconds == sandbox.expires_at
        with pytest.raises(SessionLostError) as caught:
            while True:
                sandbox.run_code("1")
        assert "its lifetime ended" in caught.value.message
        with pytest.raises(SessionLostError, match="its lifetime ended"):
            Sandbox.attach(sandbox.session_id, daemon.address)


def test_what_runs_at_the_end_of_the_lifetime_is_killed_and_that_is_its_outcome(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address, lifetime_seconds=1.0) as sandbox:
        execution = sandbox.run_code("import time\ntime.sleep(20)")
    assert (execution.outcome, execution.evidence.code) == (Outcome.KILLED, "lifetime")


def test_idle_time_ends_a_session_that_is_looked_on(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address, idle_seconds=0.3) as sandbox:
        assert sandbox.info.idle_seconds == 0.3
        time.sleep(1.0)
        with pytest.raises(SessionLostError, match="idle"):
            sandbox.run_code("1")


def test_renewing_keeps_an_idle_session_and_tells_until_when(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address, idle_seconds=3.0) as sandbox:
        for _ in range(5):
            time.sleep(1.0)
            assert 0 < sandbox.renew() - time.time() <= 3.0
        assert sandbox.run_code("1 + 1").text == "2"


def test_renewing_never_goes_past_the_lifetime(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address, lifetime_seconds=30) as sandbox:
        assert sandbox.renew() <= sandbox.expires_at + 1.0
        with pytest.raises(NotStartedError) as caught:
            sandbox.renew(1e9)
        assert caught.value.code == "LIMIT_ABOVE_POLICY"


@pytest.mark.parametrize("name", ["idle_seconds", "lifetime_seconds"])
def test_more_than_the_daemon_grants_is_refused_by_name(daemon: Daemon, name: str) -> None:
    with pytest.raises(NotStartedError) as caught:
        Sandbox("unscreened", daemon.address, **{name: 1e9}).open()  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.metadata["limit"]) == ("LIMIT_ABOVE_POLICY", name)


def test_a_renewed_lease_is_the_one_that_runs_when_the_client_is_gone(daemon: Daemon) -> None:
    sandbox = Sandbox("unscreened", daemon.address, lease_seconds=600).open()
    sandbox.renew(0.2)
    token = sandbox.session_id
    sandbox.detach()
    time.sleep(1.5)
    with pytest.raises(SessionLostError, match="its lease ended"):
        Sandbox.attach(token, daemon.address)


def test_renewing_while_code_runs_is_refused_for_no_lease_runs_then(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address) as sandbox:
        begun = threading.Event()
        program = "import time\nprint('go', flush=True)\ntime.sleep(30)"
        thread = threading.Thread(
            target=sandbox.run_code, args=(program,), kwargs={"on_stdout": lambda _: begun.set()}
        )
        thread.start()
        assert begun.wait(ENDS_SECONDS)
        with pytest.raises(NotStartedError) as caught:
            sandbox.renew()
        assert caught.value.code == "SESSION_BUSY"
        sandbox.interrupt()
        thread.join()


# ---- coming back --------------------------------------------------------------------------------------------

BACK = """
import sys
from sandboxd_client import Sandbox
sandbox = Sandbox.attach(sys.argv[1], sys.argv[2])
print(sandbox.run_code("x + 1").text, sandbox.display_id)
sandbox.detach()
"""

FOLLOW = """
import sys
from sandboxd_client import Sandbox
with Sandbox.attach(sys.argv[1], sys.argv[2]) as sandbox:
    told = []
    execution = sandbox.follow(sys.argv[3], on_stdout=told.append)
    print(execution.outcome, repr(execution.stdout), repr("".join(told)), execution.text)
"""


def test_another_process_attaches_by_the_session_s_id_and_this_one_comes_back(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address) as sandbox:
        sandbox.run_code("x = 41")
        told = elsewhere(BACK, sandbox.session_id, daemon.address)
        assert told.split() == ["42", sandbox.display_id]
        assert sandbox.run_code("x").text == "41", "its stream had been taken over: it attached again"


def test_another_process_takes_up_what_runs_with_all_its_output(daemon: Daemon) -> None:
    sandbox = Sandbox("unscreened", daemon.address).open()
    begun = threading.Event()
    program = "import time\nprint('early', flush=True)\ntime.sleep(3)\nprint('late')\n7"

    def run() -> None:
        # Its stream is taken over; it may attach again in its turn, and then the other one does.
        with pytest.raises(SessionLostError):
            sandbox.run_code(program, execution_id="taken-up-elsewhere", on_stdout=lambda _: begun.set())
            raise SessionLostError("DONE", "it had the result before")

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(ENDS_SECONDS)
    token = sandbox.session_id
    told = elsewhere(FOLLOW, token, daemon.address, "taken-up-elsewhere")
    thread.join(ENDS_SECONDS)
    assert told.strip() == r"ok 'early\nlate\n' 'early\nlate\n' 7"
    sandbox.close()


def test_what_is_over_is_followed_from_what_the_daemon_kept(daemon: Daemon) -> None:
    sandbox = Sandbox("unscreened", daemon.address).open()
    sandbox.run_code("print('said')\n'value'", execution_id="over-and-done-1")
    token = sandbox.session_id
    sandbox.detach()
    with Sandbox.attach(token, daemon.address) as again:
        execution = again.follow("over-and-done-1")
        assert (execution.stdout, execution.text) == ("said\n", "'value'")
        with pytest.raises(NotStartedError) as caught:
            again.follow("never-heard-of-it")
        assert caught.value.code == "EXECUTION_NOT_FOUND"


def test_a_detached_sandbox_is_closed_on_this_side_alone(daemon: Daemon) -> None:
    sandbox = Sandbox("unscreened", daemon.address).open()
    token = sandbox.session_id
    sandbox.detach()
    sandbox.detach()
    sandbox.close()
    with pytest.raises(NotStartedError):
        sandbox.run_code("1")
    with Sandbox.attach(token, daemon.address) as again:
        assert again.run_code("1").ok


def test_a_closed_session_is_gone_for_who_comes_back_and_the_reason_is_told(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address) as sandbox:
        token = sandbox.session_id
    with pytest.raises(SessionLostError, match="closed by its client"):
        Sandbox.attach(token, daemon.address)


# ---- lists --------------------------------------------------------------------------------------------------


def test_sessions_are_listed_by_labels_without_what_would_open_them(daemon: Daemon) -> None:
    team = {"team": f"a-{os.getpid()}"}
    with (
        Sandbox("unscreened", daemon.address, labels={**team, "job": "1"}) as first,
        Sandbox("unscreened", daemon.address, labels={**team, "job": "2"}),
        Sandbox("unscreened", daemon.address),
    ):
        first.run_code("1")
        assert len(Sandbox.list(team, daemon.address)) == 2
        (one,) = Sandbox.list({**team, "job": "1"}, daemon.address)
        assert (one.display_id, one.executions, one.labels) == (first.display_id, 1, {**team, "job": "1"})
        assert (one.state, one.policy, one.forked_from) == ("idle", "unscreened", "")
        assert time.time() < one.expires_at_seconds <= first.expires_at + 1
        assert first.session_id not in repr(one)
        assert Sandbox.list({**team, "job": "3"}, daemon.address) == ()
        assert len(Sandbox.list(None, daemon.address)) >= 3
    assert Sandbox.list(team, daemon.address) == ()


async def test_the_asynchronous_client_does_all_of_it_too(daemon: Daemon) -> None:
    labels = {"kind": f"async-{os.getpid()}"}
    sandbox = await AsyncSandbox.create("unscreened", daemon.address, labels=labels, lifetime_seconds=60)
    await sandbox.run_code("x = 5")
    (one,) = await AsyncSandbox.list(labels, daemon.address)
    assert one.display_id == sandbox.display_id
    assert await sandbox.renew(30) <= sandbox.expires_at + 1
    token = sandbox.session_id
    await sandbox.detach()
    async with await AsyncSandbox.attach(token, daemon.address) as again:
        assert (await again.run_code("x")).text == "5"
        assert again.info.lease_seconds == 30


async def test_a_repeated_renew_and_an_unknown_request_leave_the_stream_as_it_is(daemon: Daemon) -> None:
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened")
        for seconds in (float("nan"), -1.0, 1e9):
            await stream.send(renew=pb.Renew(lease_seconds=seconds))
            assert (await stream.event("refused")).refused.error.reason in {
                "INVALID_REQUEST",
                "LIMIT_ABOVE_POLICY",
            }
        number = await stream.send(renew=pb.Renew())
        answer = await stream.event("renewed")
        assert answer.request_id == number
        await stream.send(execute=pb.Execute(execution_id="unknown-on-error", code="1", on_error=99))  # type: ignore[arg-type]
        assert (await stream.event("refused")).refused.error.reason == "INVALID_REQUEST"
        assert (await stream.run("2"))[-1].result.text == "2"
        stream.cut()
        await asyncio.sleep(0)
