"""At most once, witnessed from outside: a snippet leaves a mark in a file that the test holds open, beyond the daemon's life.

Root may look into a box through /proc/<guest>/root; a descriptor taken there keeps the box's file system alive after daemon,
session and jail are gone. So what the test counts is what really ran, not what anybody says ran.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from client_relay import Relay
from sandboxd_client import (
    InDoubtError,
    NotStartedError,
    Outcome,
    RefusedError,
    Sandbox,
    SandboxError,
    SessionLostError,
)

if TYPE_CHECKING:
    from daemons import Daemon, StartDaemon

pytestmark = [pytest.mark.userns, pytest.mark.root]

MARK = "open('ran', 'a').write('{id}\\n')\nimport time\ntime.sleep({seconds})\n'done'"


class Witness:
    """Holds a box's /work from outside and counts the marks in it."""

    def __init__(self, daemon: Daemon, sandbox: Sandbox) -> None:
        canary = f"canary-{uuid.uuid4().hex}"
        sandbox.files.write(canary, "x")
        self._fd = next(fd for fd in _works(daemon) if _keep(fd, canary))

    def count(self, execution_id: str) -> int:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open("ran", os.O_RDONLY, dir_fd=self._fd)
            with os.fdopen(fd) as file:
                return file.read().splitlines().count(execution_id)
        return 0


def _works(daemon: Daemon):
    for process in psutil.Process(daemon.process.pid).children(recursive=True):
        with contextlib.suppress(OSError):
            yield os.open(f"/proc/{process.pid}/root/work", os.O_RDONLY | os.O_DIRECTORY)


def _keep(fd: int, canary: str) -> bool:
    if canary in os.listdir(fd):
        return True
    os.close(fd)
    return False


def new_id() -> str:
    return uuid.uuid4().hex


def code(execution_id: str, seconds: float) -> str:
    return MARK.format(id=execution_id, seconds=seconds)


def run_and_kill(
    daemon: Daemon, sandbox: Sandbox, execution_id: str, after_seconds: float
) -> SandboxError | None:
    """Run for 0.3 s while the daemon is killed at a moment; return what the caller was told."""
    killer = threading.Timer(after_seconds, daemon.kill)
    killer.start()
    try:
        execution = sandbox.run_code(code(execution_id, 0.3), execution_id=execution_id)
    except SandboxError as error:
        return error
    else:
        assert execution.outcome is Outcome.OK
        return None
    finally:
        killer.join()


# From before the request can have arrived, through the intent and the run, to after the outcome.
@pytest.mark.parametrize("after_seconds", [0.0, 0.002, 0.005, 0.02, 0.15, 0.28, 0.31, 0.6])
def test_a_killed_daemon(start_daemon: StartDaemon, after_seconds: float) -> None:
    daemon = start_daemon()
    execution_id = new_id()
    sandbox = Sandbox(address=daemon.address).open()
    witness = Witness(daemon, sandbox)
    told = run_and_kill(daemon, sandbox, execution_id, after_seconds)
    with contextlib.suppress(SandboxError):
        sandbox.close()
    ran = witness.count(execution_id)
    assert ran <= 1
    if told is None:
        assert ran == 1
    if isinstance(told, NotStartedError):
        assert ran == 0
    again = start_daemon()  # the same state directory
    with Sandbox(address=again.address) as other:
        record = None
        try:
            record = other.get_execution(execution_id)
        except RefusedError as unknown:
            assert unknown.code == "EXECUTION_NOT_FOUND"
            assert ran == 0, "it ran, and the restarted daemon has no record of it"
        else:
            assert record is not None
            assert record.outcome in ({Outcome.OK} if told is None else {Outcome.OK, Outcome.INFRASTRUCTURE})
        # An id with an intent is spent, whoever asks: nothing runs again.
        with pytest.raises(NotStartedError) if record is not None else contextlib.nullcontext():
            other.run_code(code(execution_id, 0), execution_id=execution_id)
    assert witness.count(execution_id) == ran


@pytest.mark.parametrize("after_seconds", [0.0, 0.002, 0.01, 0.15, 0.3, 0.5])
def test_a_cut_connection(daemon: Daemon, short_dir: Path, after_seconds: float) -> None:
    relay = Relay(short_dir, daemon.address)
    execution_id = new_id()
    try:
        with Sandbox(address=relay.address) as sandbox:
            witness = Witness(daemon, sandbox)
            cutter = threading.Timer(after_seconds, relay.cut)
            cutter.start()
            told: SandboxError | None = None
            try:
                assert sandbox.run_code(code(execution_id, 0.3), execution_id=execution_id).text == "'done'"
            except SandboxError as error:
                told = error
            cutter.join()
            time.sleep(0.5)  # whatever was under way has ended by now
            ran = witness.count(execution_id)
            assert ran == (0 if isinstance(told, NotStartedError) else 1)
            assert told is None or isinstance(told, NotStartedError | InDoubtError | SessionLostError)
    finally:
        relay.close()


def test_a_repeated_id_runs_once(daemon: Daemon) -> None:
    execution_id = new_id()
    with Sandbox(address=daemon.address) as sandbox:
        witness = Witness(daemon, sandbox)
        answers = [sandbox.run_code(code(execution_id, 0), execution_id=execution_id) for _ in range(5)]
        assert {answer.text for answer in answers} == {"'done'"}
        assert witness.count(execution_id) == 1
        with pytest.raises(NotStartedError, match="EXECUTION_ID_REUSED"):
            sandbox.run_code(code(execution_id, 0.01), execution_id=execution_id)
        assert witness.count(execution_id) == 1


def test_a_repeated_id_from_two_callers_at_once_runs_once(daemon: Daemon) -> None:
    execution_id = new_id()
    with Sandbox(address=daemon.address) as one, Sandbox(address=daemon.address) as two:
        witnesses = [Witness(daemon, sandbox) for sandbox in (one, two)]
        told: list[SandboxError] = []

        def run(sandbox: Sandbox) -> None:
            try:
                sandbox.run_code(code(execution_id, 0.1), execution_id=execution_id)
            except SandboxError as error:
                told.append(error)

        callers = [threading.Thread(target=run, args=(sandbox,)) for sandbox in (one, two)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert sum(witness.count(execution_id) for witness in witnesses) == 1
        assert len(told) == 1
        assert isinstance(told[0], NotStartedError)


def test_the_witness_sees_a_run(daemon: Daemon) -> None:
    """The counter itself counts: without this a witness that saw nothing would pass every test above."""
    with Sandbox(address=daemon.address) as sandbox:
        witness = Witness(daemon, sandbox)
        sandbox.run_code(code("x" * 10, 0))
        sandbox.run_code(code("x" * 10, 0))
        assert witness.count("x" * 10) == 2
