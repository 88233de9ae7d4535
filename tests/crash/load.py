"""A mixed load on a house: callers that open sessions, run snippets of every kind of end, and remember what they were told."""

from __future__ import annotations

import random
import threading
import uuid
from dataclasses import dataclass

from sandboxd_client import Execution, RefusedError, Sandbox, SandboxError

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
TIMEOUT_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Told:
    """What one caller was told of one snippet; `code` is the snippet."""

    code: str
    execution: Execution | None
    error: SandboxError | None
    opened: bool


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
        sandbox = Sandbox("unscreened", self._address, open_timeout=10)
        try:
            sandbox.open()
        except SandboxError as error:
            self._remember("", None, error, opened=False)
            self.stop.wait(0.05)
            return
        try:
            for _ in range(self._chance.randint(1, 4)):
                if not self._run(sandbox):
                    return
        finally:
            sandbox.close()

    def _run(self, sandbox: Sandbox) -> bool:
        code = self._chance.choice(list(SNIPPETS))
        execution_id = uuid.uuid4().hex
        try:
            execution = sandbox.run_code(code, execution_id=execution_id, timeout=TIMEOUT_SECONDS)
        except SandboxError as error:
            self._remember(code, None, error, execution_id)
            return isinstance(error, RefusedError)
        self._remember(code, execution, None, execution_id)
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
