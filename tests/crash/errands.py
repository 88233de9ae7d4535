"""What a client asks of a session beside running code: files, clones, checkpoints, tools; in a thread, or in a process.

Run as a program it goes on one errand and waits to be killed: `errands.py ADDRESS ERRAND`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandboxd_client import Sandbox, SandboxError
from sandboxd_client.tools import Tool, tool

OLD, NEW = b"old" * 1000, b"new" * 100_000
POLICY = "unscreened"
READY = "ready"


@dataclass(frozen=True, slots=True)
class Kind:
    """An errand: what must be there first, and what is asked then."""

    prepare: Callable[[Sandbox], None]
    ask: Callable[[Sandbox, str], None]  # the id is for an execution


def _files(sandbox: Sandbox) -> None:
    sandbox.files.write("file", OLD)
    sandbox.files.write("other", NEW)


def _upload(sandbox: Sandbox, _: str) -> None:
    sandbox.files.write("file", NEW)


def _rename(sandbox: Sandbox, _: str) -> None:
    sandbox.files.rename("other", "file")


def _state(sandbox: Sandbox) -> None:
    _need(sandbox, "import os\nx = 1\nopen('kept', 'w').write('1')")


def _fork(sandbox: Sandbox, _: str) -> None:
    for clone in sandbox.fork(1):
        with clone:
            clone.run_code("x += 1")


def _checkpoint(sandbox: Sandbox, _: str) -> None:
    sandbox.checkpoint("kept")


def _past(sandbox: Sandbox) -> None:
    _state(sandbox)
    sandbox.checkpoint("kept")
    _need(sandbox, "x = 2\nopen('kept', 'w').write('2')")


def _rollback(sandbox: Sandbox, _: str) -> None:
    sandbox.rollback("kept")


def _call(sandbox: Sandbox, execution_id: str) -> None:
    sandbox.run_code("tools.slow(7)", execution_id=execution_id, timeout=20)


def _need(sandbox: Sandbox, code: str) -> None:
    if not sandbox.run_code(code).ok:
        raise AssertionError(code)


KINDS = {
    "upload": Kind(_files, _upload),
    "rename": Kind(_files, _rename),
    "fork": Kind(_state, _fork),
    "checkpoint": Kind(_state, _checkpoint),
    "rollback": Kind(_past, _rollback),
    "call": Kind(_state, _call),
}


class Desk:
    """A tool that waits to be let go, and says that it was called.

    A call whose client died goes on until `timeout_seconds`: the client might come back.
    """

    def __init__(self, timeout_seconds: float = 30.0) -> None:
        self._timeout_seconds = timeout_seconds
        self.called, self.go = threading.Event(), threading.Event()

    def tool(self) -> Tool:
        """Make the tool."""

        def slow(number: int) -> int:
            """Give it back, in the end.

            Args:
                number: what to give back.
            """
            self.called.set()
            self.go.wait(30)
            return number

        return tool(slow, timeout=self._timeout_seconds)


class Errand(threading.Thread):
    """Open a session, prepare it, wait for `go`, go on the errand. The sandbox stays open.

    Attributes:
        told: what the caller was told where it failed.
    """

    def __init__(self, address: str, kind: str) -> None:
        super().__init__(daemon=True)
        self.desk = Desk()
        self.execution_id = uuid.uuid4().hex
        self.sandbox = Sandbox(POLICY, address, open_timeout=20, tools=[self.desk.tool()])
        self.told: SandboxError | None = None
        self.ready, self.go = threading.Event(), threading.Event()
        self._kind = KINDS[kind]
        self._untold: BaseException | None = None

    def run(self) -> None:
        try:
            self.sandbox.open()
            self._kind.prepare(self.sandbox)
            self.ready.set()
            self.go.wait(60)
            self._kind.ask(self.sandbox, self.execution_id)
        except SandboxError as error:
            self.told = error
        except BaseException as error:  # noqa: BLE001  told to the test by `finish`
            self._untold = error
        finally:
            self.ready.set()

    def finish(self) -> None:
        """Wait for the errand's end."""
        self.go.set()
        self.desk.go.set()
        self.join(60)
        assert not self.is_alive(), "the caller was left waiting"
        assert self._untold is None, repr(self._untold)


class ErrandProcess:
    """The same in a process of its own, to be killed. `visitors` are pids that are no part of a daemon."""

    def __init__(self, address: str, kind: str, visitors: set[int]) -> None:
        self._visitors = visitors
        self.execution_id = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), address, kind, self.execution_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        visitors.add(self.process.pid)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == READY

    def go(self) -> None:
        """Send it off."""
        print("go", file=self.process.stdin, flush=True)

    def kill(self) -> None:
        """Kill it, whatever it does."""
        self.process.kill()
        self.process.wait(10)
        self._visitors.discard(self.process.pid)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def main(address: str, kind: str, execution_id: str) -> None:
    """Go on an errand when told to, and stay."""
    desk = Desk(timeout_seconds=0.5)
    sandbox = Sandbox(POLICY, address, tools=[desk.tool()]).open()
    KINDS[kind].prepare(sandbox)
    print(READY, flush=True)
    sys.stdin.readline()
    with contextlib.suppress(SandboxError):
        KINDS[kind].ask(sandbox, execution_id)
    time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
