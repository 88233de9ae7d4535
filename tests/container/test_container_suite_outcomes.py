"""Each outcome of the vocabulary in each runtime, through the real daemon; and deadlines against code that resists."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from daemons import Daemon
from sandboxd_client import Execution, Limits, Outcome, Sandbox

pytestmark = pytest.mark.timeout(180)
MIB = 1 << 20
BLOCKED = (
    "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\ntime.sleep(60)"
)


@dataclass(frozen=True)
class Case:
    """A program, and what must come of it. `lost`: its variables; None where either may be."""

    code: str
    outcome: Outcome
    source: str
    evidence: str = ""
    lost: bool = False
    timeout: float = 20.0
    hits: frozenset[str] = field(default_factory=frozenset)


CASES = {
    "ok": Case("print('hello'); 6 * 7", Outcome.OK, "guest"),
    "error": Case("1 / 0", Outcome.ERROR, "guest"),
    "exit": Case("import os; os._exit(3)", Outcome.ERROR, "waitpid", "exit:3", lost=True),
    "wall, interrupted": Case("while True: pass", Outcome.TIMEOUT_WALL, "deadline", timeout=0.5),
    "wall, killed": Case(BLOCKED, Outcome.TIMEOUT_WALL, "deadline", lost=True, timeout=0.5),
    "cpu": Case("while True: pass", Outcome.TIMEOUT_CPU, "cpu clock"),
    "address space": Case("b = bytearray(600 << 20)", Outcome.OOM, "guest", "MemoryError"),
    "output": Case("while True: print('x' * 1000)", Outcome.OUTPUT_LIMIT, "output"),
    "killed": Case("import os; os.kill(os.getpid(), 9)", Outcome.KILLED, "waitpid", "SIGKILL", lost=True),
    "crashed": Case("import ctypes; ctypes.string_at(0)", Outcome.CRASHED, "waitpid", "SIGSEGV", lost=True),
    "aborted": Case("import os; os.abort()", Outcome.CRASHED, "waitpid", "SIGABRT", lost=True),
    "a real-time signal": Case("import os; os.kill(os.getpid(), 40)", Outcome.CRASHED, "waitpid", lost=True),
}
DEADLINES = {
    "big integer": "9**9**8",
    "one long call into C": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'p', b's', 2_000_000_000)",
    "swallows everything": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "threads": "import threading\ndef spin():\n  while True: pass\nfor _ in range(4): threading.Thread(target=spin).start()\nspin()",
    "waits for a child": "import os, time\nif os.fork() == 0: time.sleep(60)\nwhile True:\n  try: os.wait()\n  except BaseException: pass",
}
DEADLINE_SECONDS, GRACE_SECONDS = 0.5, 0.25


def opened(daemon: Daemon, **limits: Any) -> Sandbox:
    wanted = {"memory_bytes": 256 * MIB, "output_bytes": MIB, "cpu_seconds": 1.0, **limits}
    return Sandbox("unscreened", daemon.address, limits=Limits(**wanted))


def test_each_outcome_has_its_evidence_and_keeps_what_it_says(daemon: Daemon) -> None:
    with opened(daemon) as sandbox:
        for name, case in CASES.items():
            sandbox.run_code("kept = 1; open('note', 'w').write('here')")
            done = sandbox.run_code(case.code, timeout=case.timeout)
            said = (done.outcome, done.evidence, done.error, done.limits_hit)
            assert (done.outcome, done.variables_lost) == (case.outcome, case.lost), (name, said)
            assert done.evidence.source == case.source, (name, said)
            assert not case.evidence or done.evidence.code == case.evidence, (name, said)
            assert "inmate" not in str(said)
            left = sandbox.run_code("(open('note').read(), 'kept' in globals())")
            assert left.text == f"('here', {not case.lost})", (name, said, left)


def test_a_denied_snippet_never_reaches_the_container(daemon: Daemon) -> None:
    with Sandbox("default", daemon.address) as sandbox:
        assert sandbox.run_code("import socket").outcome is Outcome.DENIED
        assert sandbox.run_code("1 + 1").text == "2"


def test_a_cancelled_snippet_says_who(daemon: Daemon) -> None:
    with opened(daemon, cpu_seconds=20.0) as sandbox:
        heard = threading.Event()
        stop = threading.Thread(target=lambda: (heard.wait(30), sandbox.interrupt()))
        stop.start()
        done: Execution = sandbox.run_code(
            "print('on', flush=True)\nwhile True: pass", on_stdout=lambda _: heard.set()
        )
        stop.join()
        assert (done.outcome, done.evidence.code) == (Outcome.CANCELLED, "client")
        assert sandbox.run_code("1 + 1").text == "2"


def test_a_deadline_holds_whatever_the_code_does(daemon: Daemon) -> None:
    """Invariant 11, by the daemon's clock. As for jails the best of three counts, since a machine may stall."""
    late = {}
    with opened(daemon, cpu_seconds=20.0) as sandbox:
        for name, code in DEADLINES.items():
            took = []
            for _ in range(3):
                done = sandbox.run_code(code, timeout=DEADLINE_SECONDS)
                assert done.outcome is Outcome.TIMEOUT_WALL, (name, done.outcome, done.evidence)
                assert sandbox.run_code("1 + 1").text == "2", name
                took.append(done.usage.wall_seconds)
                if took[-1] <= DEADLINE_SECONDS + GRACE_SECONDS + 0.05:
                    break
            else:
                late[name] = took
    assert late == {}
