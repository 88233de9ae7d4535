"""Invariant 11: an execution is over by deadline + grace + max(5 %, 50 ms), whatever the code does."""

from __future__ import annotations

import time

import jail_boxes
import pytest
from jail_boxes import run

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

DEADLINE_SECONDS, GRACE_SECONDS = 0.5, 0.25
BOUND_SECONDS = DEADLINE_SECONDS + GRACE_SECONDS + 0.05
# On a busy machine the test's own loop is late too; this bound only says that nothing waits for something else.
OUTSIDE_SECONDS = 1.5

FORKS = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
HOSTILE = {
    "loop": "while True: pass",
    "big integer": "9**9**8",
    "regular expression": "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')",
    "sleep with all signals blocked": (
        "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\ntime.sleep(60)"
    ),
    "one long call into C": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'p', b's', 2_000_000_000)",
    "swallows everything": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "takes the handler away": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "iterates in C": "sum(range(10**12))",
    "weakref callbacks": (
        "import weakref\nclass A: pass\nwhile True:\n  a = A(); r = weakref.ref(a, lambda _: [0 for _ in range(99)]); del a"
    ),
    "waits for a child": "import os, time\nif os.fork() == 0: time.sleep(60)\nwhile True:\n  try: os.wait()\n  except BaseException: pass",
    "threads": "import threading\ndef spin():\n  while True: pass\nfor _ in range(4): threading.Thread(target=spin).start()\nspin()",
    "stopped by itself": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "fork bomb": FORKS,
    "fork bomb in sessions of its own": "import os\nwhile True:\n  try:\n    if os.fork() == 0: os.setsid()\n  except OSError: pass",
    "double forks": (
        "import os, time\nwhile True:\n  try:\n    if os.fork() == 0:\n      os.setsid()\n"
        "      if os.fork() == 0: time.sleep(60)\n      os._exit(0)\n  except OSError: pass"
    ),
}


async def measure(open_box, code: str) -> tuple[float, float]:
    """Return the overrun-relevant times: by the launcher's clock, and from outside around the call."""
    box = await open_box(grace_seconds=GRACE_SECONDS, memory_bytes=512 << 20)
    before = time.monotonic()
    result, _, _ = await run(box, code, DEADLINE_SECONDS)
    outside = time.monotonic() - before
    assert result.outcome == "timeout_wall", (result.outcome, result.evidence, result.error)
    again, _, _ = await run(box, "1 + 1", 2.0)
    assert (again.outcome, again.text) == ("ok", "2")
    if result.variables_lost:  # killed: pid 1 swept, so there is one interpreter and nothing else
        assert len(jail_boxes.find("inmate")) == 1
    wall_seconds = result.usage.wall_seconds
    await box.close()
    assert jail_boxes.find("inmate") == []
    return wall_seconds, outside


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE.keys())
async def test_over_in_time(open_box, code):
    # The invariant is about the mechanism, and the machine may stall for longer than 50 ms: the best of three counts.
    for _ in range(3):
        wall_seconds, outside = await measure(open_box, code)
        assert outside < OUTSIDE_SECONDS
        if wall_seconds <= BOUND_SECONDS:
            return
    pytest.fail(f"took {wall_seconds:.3f} s by the launcher's clock, three times over {BOUND_SECONDS} s")


async def test_without_grace_it_is_killed_at_the_deadline(open_box):
    box = await open_box(grace_seconds=0.0)
    best = 9.0
    for _ in range(3):
        result, _, _ = await run(box, "while True: pass", DEADLINE_SECONDS)
        assert result.outcome == "timeout_wall"
        assert result.variables_lost
        best = min(best, result.usage.wall_seconds)
    assert best <= DEADLINE_SECONDS + 0.05


async def test_the_deadline_is_not_early(open_box):
    box = await open_box()
    result, _, _ = await run(box, "import time; time.sleep(0.4)", DEADLINE_SECONDS)
    assert result.outcome == "ok"
