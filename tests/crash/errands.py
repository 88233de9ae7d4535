"""What a client asks of a session beside running code, each with the step at which somebody dies: in a thread, or a process.

    uploading   the front has all bytes of a file that replaces another, and has not yet asked for its name
    placed      pid 1 has linked it beside the old one, and has not yet renamed it
    renamed     pid 1 is about to rename a file

Run as a program it goes on one errand and waits to be killed: `errands.py ADDRESS ERRAND`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandboxd_client import Sandbox, SandboxError

OLD, NEW = b"old" * 1000, b"new" * 100_000
POLICY = "unscreened"
READY = "ready"


@dataclass(frozen=True, slots=True)
class Kind:
    """An errand: what must be there first, and what is asked then."""

    prepare: Callable[[Sandbox], None]
    ask: Callable[[Sandbox], None]


def _files(sandbox: Sandbox) -> None:
    sandbox.files.write("file", OLD)
    sandbox.files.write("other", NEW)


def _upload(sandbox: Sandbox) -> None:
    sandbox.files.write("file", NEW)


def _rename(sandbox: Sandbox) -> None:
    sandbox.files.rename("other", "file")


KINDS = {"upload": Kind(_files, _upload), "rename": Kind(_files, _rename)}


class Errand(threading.Thread):
    """Open a session, prepare it, wait for `go`, go on the errand. The sandbox stays open.

    Attributes:
        told: what the caller was told where it failed.
    """

    def __init__(self, address: str, kind: str) -> None:
        super().__init__(daemon=True)
        self.sandbox = Sandbox(POLICY, address, open_timeout=20)
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
            self._kind.ask(self.sandbox)
        except SandboxError as error:
            self.told = error
        except BaseException as error:  # noqa: BLE001  told to the test by `finish`
            self._untold = error
        finally:
            self.ready.set()

    def finish(self) -> None:
        """Wait for the errand's end."""
        self.go.set()
        self.join(60)
        assert not self.is_alive(), "the caller was left waiting"
        assert self._untold is None, repr(self._untold)


class ErrandProcess:
    """The same in a process of its own, to be killed. `visitors` are pids that are no part of a daemon."""

    def __init__(self, address: str, kind: str, visitors: set[int]) -> None:
        self._visitors = visitors
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), address, kind],
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


def main(address: str, kind: str) -> None:
    """Go on an errand when told to, and stay."""
    sandbox = Sandbox(POLICY, address).open()
    KINDS[kind].prepare(sandbox)
    print(READY, flush=True)
    sys.stdin.readline()
    with contextlib.suppress(SandboxError):
        KINDS[kind].ask(sandbox)
    time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
