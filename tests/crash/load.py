"""A mixed load on a house: callers that open sessions, run snippets of every kind of end, and remember what they were told."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sandboxd_client import Execution, NotStartedError, RefusedError, Sandbox, SandboxError
from sandboxd_client.tools import tool

# What each ends in when nobody kills anything: one of the outcomes behind it.
SNIPPETS: dict[str, tuple[str, ...]] = {
    "1 + 1": ("ok",),
    "import json\nprint(json.dumps(list(range(2000))))\nx = 1": ("ok",),
    "1 / 0": ("error",),
    "def (": ("error",),
    "import os\nos._exit(3)": ("error",),
    "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)": ("killed",),
    "import time\ntime.sleep(0.05)": ("ok",),
    "open('f', 'w').write('x' * 100_000)": ("ok",),
    "import os\nif os.fork() == 0:\n    while True: pass": ("ok",),
    "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n1": (
        "ok",
        "error",
    ),
    "print('x' * 2_000_000)": ("output_limit", "ok"),
    "while True: pass": ("timeout_wall",),
    "x = bytearray(900 << 20)": ("oom", "error"),
}
# These need the tools of a session.
WITH_TOOLS: dict[str, tuple[str, ...]] = {
    "[tools.double(n) for n in range(5)]": ("ok",),
    "import asyncio\nawait asyncio.gather(*(tools.double.aio(n) for n in range(5)))": ("ok",),
    "try:\n    tools.double()\nexcept TypeError:\n    pass": ("ok",),
}
TIMEOUT_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Told:
    """What one caller was told of one snippet; `code` is the snippet."""

    code: str
    execution: Execution | None
    error: SandboxError | None
    opened: bool


@tool
def double(number: int) -> int:
    """Double it.

    Args:
        number: what to double.
    """
    return 2 * number


def _fork(sandbox: Sandbox) -> None:
    for clone in sandbox.fork(1):
        clone.close()


def _back(sandbox: Sandbox) -> None:
    sandbox.checkpoint("kept")
    sandbox.files.write("f", b"y" * 10_000)
    sandbox.rollback("kept")


WAYS: tuple[Callable[[Sandbox], object], ...] = (
    lambda sandbox: None,
    _fork,
    _back,
    lambda sandbox: sandbox.checkpoint("kept"),
    lambda sandbox: sandbox.files.write("f", b"x" * 100_000),
    lambda sandbox: sandbox.call_tool("double", {"number": 2}),
)


class Caller(threading.Thread):
    """One caller: session after session until `stop`, a few snippets in each."""

    def __init__(self, address: str, seed: int, sessions: int | None = None) -> None:
        super().__init__(daemon=True)
        self.told: dict[str, Told] = {}
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self._address = address
        self._chance = random.Random(seed)
        self._sessions = sessions

    def run(self) -> None:
        try:
            while not self.stop.is_set() and self._sessions != 0:
                self._visit()
                if self._sessions is not None:
                    self._sessions -= 1
        except BaseException as error:  # noqa: BLE001  told to the test
            self.failure = error

    def _visit(self) -> None:
        sandbox = self._make()
        try:
            sandbox.open()
        except SandboxError as error:
            self._remember("", None, error, opened=False)
            self.stop.wait(0.05)
            return
        try:
            for _ in range(self._chance.randint(1, 4)):
                if not self._run(sandbox) or not self._wander(sandbox):
                    return
        finally:
            sandbox.close()

    def _make(self) -> Sandbox:
        return Sandbox("unscreened", self._address, open_timeout=10, tools=[double])

    def _run(self, sandbox: Sandbox) -> bool:
        code = self._chance.choice([*SNIPPETS, *WITH_TOOLS])
        execution_id = uuid.uuid4().hex
        try:
            execution = sandbox.run_code(code, execution_id=execution_id, timeout=TIMEOUT_SECONDS)
        except SandboxError as error:
            self._remember(code, None, error, execution_id)
            return isinstance(error, RefusedError)
        self._remember(code, execution, None, execution_id)
        return True

    def _wander(self, sandbox: Sandbox) -> bool:
        """Do something beside running code; what it is refused for is its own business, but nobody is lied to."""
        try:
            self._chance.choice(WAYS)(sandbox)
        except SandboxError as error:
            return isinstance(error, (NotStartedError, RefusedError))
        return True

    def _remember(
        self,
        code: str,
        execution: Execution | None,
        error: SandboxError | None,
        execution_id: str = "",
        *,
        opened: bool = True,
    ) -> None:
        self.told[execution_id or uuid.uuid4().hex] = Told(code, execution, error, opened)
