"""Clients of a house: one in a thread, whose end is told, and one in a process of its own, which can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import sandboxd_client
import sandboxd_proto
from sandboxd_client import (
    Execution,
    InDoubtError,
    NotStartedError,
    RefusedError,
    Sandbox,
    SandboxError,
    SessionLostError,
)

from crash.house import VISITORS, Ended

# A guest that has a child of its own, and runs until it is told to end.
LONG = """
import os, time
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
print('running', flush=True)
while not os.path.exists('go'):
    time.sleep(0.01)
'done'
"""
WITH_CHILD = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n1"
SNIPPETS = {"running": LONG, "stopped": WITH_CHILD}
RESTARTED = Ended(1, 1, "infrastructure", "DAEMON_RESTARTED")
SHORT_SECONDS, LONG_SECONDS = 1.0, 25.0


class Visit(threading.Thread):
    """Open a session, run the snippet of a step, wait for `leave`, run another, close.

    Attributes:
        execution_id: of the snippet at the step.
        told: what the caller was told where it got no result.
        execution: the result.
        opened: that there was a session to run it in.
        after: result of the second snippet, or what the caller was told instead.
    """

    def __init__(self, address: str, step: str, policy: str = "unscreened") -> None:
        super().__init__(daemon=True)
        self.execution_id = uuid.uuid4().hex
        self.told: SandboxError | None = None
        self.execution: Execution | None = None
        self.after: Execution | SandboxError | None = None
        self.opened = False
        self.running, self.ran, self.leave = threading.Event(), threading.Event(), threading.Event()
        self.sandbox = Sandbox(policy, address, open_timeout=20)
        self._code = SNIPPETS.get(step, "1 + 1")
        self._untold: BaseException | None = None

    def run(self) -> None:
        try:
            self._open_and_run()
        except SandboxError as error:
            self.told = error
        except BaseException as error:  # noqa: BLE001  told to the test by `finish`
            self._untold = error
        finally:
            self.ran.set()
            self.sandbox.close()

    def _open_and_run(self) -> None:
        self.sandbox.open()
        self.opened = True
        self.execution = self.sandbox.run_code(
            self._code,
            execution_id=self.execution_id,
            timeout=LONG_SECONDS,
            on_stdout=lambda _: self.running.set(),
        )
        self.ran.set()
        self.leave.wait(60)
        try:
            self.after = self.sandbox.run_code("2 + 2")
        except SandboxError as error:
            self.after = error

    def end_snippet(self) -> None:
        """Let a snippet that still runs come to its own end."""
        if not self.ran.is_set() and self.running.is_set():
            with contextlib.suppress(SandboxError):  # the session may be gone, and with it the snippet
                self.sandbox.files.write("go", "")

    def finish(self) -> None:
        """Wait for the visit's end."""
        self.leave.set()
        self.join(60)
        assert not self.is_alive(), "the caller was left waiting"
        assert self._untold is None, repr(self._untold)


def assert_truthful(
    execution: Execution | None, told: SandboxError | None, ended: Ended, *, opened: bool
) -> None:
    """Hold what a caller was told against the log: exactly one pair of records, or none and NOT_STARTED.

    Opening a session may also be refused; running code ends in a result or in one of three classes, and no fourth.
    """
    kinds = (NotStartedError, InDoubtError, SessionLostError) if opened else (NotStartedError, RefusedError)
    if told is not None:
        assert isinstance(told, kinds), repr(told)
    if execution is not None:
        assert (ended.intents, ended.outcomes) == (1, 1), ended
        # A result goes out before its outcome is recorded: a front that died in between says that it restarted.
        assert ended.outcome == execution.outcome.value or ended == RESTARTED, (ended, execution)
    elif isinstance(told, NotStartedError | RefusedError):
        assert ended == Ended(), (told, ended)
    else:
        assert (ended.intents, ended.outcomes) in {(0, 0), (1, 1)}, (told, ended)


class ClientProcess:
    """A client in a process of its own, started ahead: it waits for `go`."""

    def __init__(self, policy: str = "unscreened") -> None:
        self.execution_id = uuid.uuid4().hex
        sources = {str(Path(module.__file__).parents[1]) for module in (sandboxd_client, sandboxd_proto)}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("client.py")), policy],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*sources, *filter(None, sys.path)])},
        )

        VISITORS.add(self.process.pid)

    def go(self, address: str, step: str) -> None:
        """Have it visit a house as `Visit` does, for a snippet that ends by its deadline."""
        assert self.process.stdin is not None
        code = SNIPPETS.get(step, "1 + 1")
        print(
            f"{address}\n{self.execution_id}\n{SHORT_SECONDS}\n{code!r}", file=self.process.stdin, flush=True
        )

    def heard(self, word: str) -> bool:
        """Wait until it says a word."""
        assert self.process.stdout is not None
        return any(line.strip() == word for line in self.process.stdout)

    def kill(self) -> None:
        """Kill it, whatever it does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        VISITORS.discard(self.process.pid)  # the number will be another's
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
