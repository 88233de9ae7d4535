"""An interrupt is for the execution that is to end, never for the next one in the same session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from mutants import Edit, make_mutant
from sandboxd_client import Outcome, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import StartDaemon

pytestmark = pytest.mark.userns

# A launcher that is late by more than the way of a snippet to its guest, as on a busy machine.
LATE = (
    Edit(
        "launcher/execution.py",
        "        self._reins.interrupt()\n",
        "        __import__('time').sleep(0.02)\n        self._reins.interrupt()\n",
    ),
)
FLOOD = "print('x' * 2_000_000)"


@pytest.mark.parametrize(
    ("code", "outcome"), [("while True: pass", Outcome.TIMEOUT_WALL), (FLOOD, Outcome.OUTPUT_LIMIT)]
)
def test_what_interrupts_one_execution_never_reaches_the_next(
    start_daemon: StartDaemon, short_dir: Path, code: str, outcome: Outcome
) -> None:
    daemon = start_daemon("--allow-unscreened", tree=make_mutant(short_dir / "tree", LATE))
    assert not daemon.error, daemon.error
    with Sandbox("unscreened", daemon.address) as sandbox:
        sandbox.run_code("import time")
        for _ in range(10):
            assert sandbox.run_code(code, timeout=0.2).outcome is outcome
            after = sandbox.run_code("time.sleep(0.05)\n1")
            assert (after.outcome, after.text) == (Outcome.OK, "1"), after


# pid 1 takes its time to sweep what the last guest left.
SLOW_SWEEP = Edit(
    "jail/supervisor.py",
    '            self.order["limits"] = message["limits"]',
    '            __import__(\'time\').sleep(0.5)\n            self.order["limits"] = message["limits"]',
)


def test_an_interrupt_that_comes_before_the_interpreter_is_not_lost(
    start_daemon: StartDaemon, short_dir: Path
) -> None:
    daemon = start_daemon("--allow-unscreened", tree=make_mutant(short_dir / "tree", [SLOW_SWEEP]))
    assert not daemon.error, daemon.error
    with Sandbox("unscreened", daemon.address) as sandbox:
        sandbox.run_code("import os\nos._exit(0)")
        timer = threading.Timer(0.1, sandbox.interrupt)
        timer.start()
        ended = sandbox.run_code("while True: pass", timeout=10)
        timer.join()
        assert ended.outcome is Outcome.CANCELLED, ended
