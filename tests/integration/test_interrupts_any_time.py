"""Interrupt and cancel by the client, whatever the session is doing: one outcome, in time, and a session that goes on.

In time (ARCHITECTURE.md, invariant 11) is measured by the daemon's own clock and only against generous bounds here; the bound
itself is tests/integration/jail/test_jail_deadlines.py.
"""

from __future__ import annotations

import asyncio

import pytest
from sandboxd_client import AsyncSandbox, Outcome

pytestmark = [pytest.mark.userns, pytest.mark.timeout(120)]

WALL_SECONDS = 25.0  # of each snippet: what ends well before was ended by the interrupt
SOON_SECONDS = 10.0

RUNNING = {
    "a Python loop": "while True: pass",
    "asleep": "import time; time.sleep(600)",
    "waiting for a lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "reading a pipe": "import os; os.read(os.pipe()[0], 1)",
    "waiting for a child": "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])",
    "a C loop": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)",
    "a huge number": "x = 9 ** 9 ** 8",
    "a hopeless pattern": "import re; re.match(r'(a|a)*$', 'a' * 60 + 'b')",
    "swallowing interrupts": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "blocked signals": "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)",
    "ignored signals": "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)",
    "printing": "import time\nwhile True: print('x' * 50); time.sleep(0.002)",
    "in asyncio": "import asyncio; await asyncio.sleep(600)",
    "importing": "import sys, types, time; exec('import time; time.sleep(600)')",
}
SURVIVES = {"a Python loop", "asleep", "reading a pipe", "in asyncio", "importing"}


@pytest.fixture
async def sandbox(daemon):
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as opened:
        yield opened


async def begun(sandbox, code):
    """Start code and wait until it runs."""
    told = asyncio.Event()
    marked = f"print('go', flush=True)\n{code}"
    running = asyncio.create_task(
        sandbox.run_code(marked, timeout=WALL_SECONDS, on_stdout=lambda _: told.set())
    )
    await asyncio.wait_for(told.wait(), 30)
    return running


@pytest.mark.parametrize("name", RUNNING)
async def test_while_it_runs(sandbox, name):
    await sandbox.run_code("kept = 7")
    running = await begun(sandbox, RUNNING[name])
    await asyncio.sleep(0.1)
    assert await sandbox.interrupt()
    done = await running
    ends = {Outcome.CANCELLED} if name != "printing" else {Outcome.CANCELLED, Outcome.OUTPUT_LIMIT}
    assert done.outcome in ends, done
    assert done.usage.wall_seconds is None or done.usage.wall_seconds < SOON_SECONDS
    after = await sandbox.run_code("kept")
    if done.variables_lost:
        assert name not in SURVIVES
        assert (after.outcome, after.error.name) == (Outcome.ERROR, "NameError")
    else:
        assert after.text == "7"


async def test_before_anything_ran(sandbox):
    assert not await sandbox.interrupt()
    assert (await sandbox.run_code("1")).text == "1"
    assert not await sandbox.interrupt()
    assert (await sandbox.run_code("2")).text == "2"


async def test_at_once_after_the_start(sandbox):
    # Whether it comes before the start, in its midst or after: there is one outcome, and the next snippet is not hit.
    for delay in (0, 0, 0.0005, 0.001, 0.002, 0.004):
        running = asyncio.create_task(sandbox.run_code("while True: pass", timeout=WALL_SECONDS))
        await asyncio.sleep(delay)
        while not await sandbox.interrupt():
            await asyncio.sleep(0)
        assert (await running).outcome is Outcome.CANCELLED
        assert (await sandbox.run_code("'untouched'")).text == "'untouched'"


async def test_twice_and_many_times(sandbox):
    running = await begun(sandbox, RUNNING["a C loop"])
    for _ in range(50):
        await sandbox.interrupt()
    assert (await running).outcome is Outcome.CANCELLED
    for _ in range(20):
        assert (await sandbox.run_code("import time; time.sleep(0.01); 'whole'")).text == "'whole'"


async def test_around_the_end(sandbox):
    # Snippets that end by themselves while the interrupt is under way: ok or cancelled, and the next one is whole.
    outcomes = set()
    for number in range(40):
        running = asyncio.create_task(sandbox.run_code(f"import time; time.sleep({number % 8} / 1000)"))
        await asyncio.sleep(0.004)
        await sandbox.interrupt()
        outcomes.add((await running).outcome)
        assert (await sandbox.run_code("x = 1; 'whole'")).text == "'whole'"
    assert outcomes <= {Outcome.OK, Outcome.CANCELLED}


async def test_while_it_waits_for_its_turn(start_daemon):
    daemon = start_daemon("--allow-unscreened", "--max-concurrent", "1")
    assert not daemon.error
    async with (
        AsyncSandbox(address=daemon.address, policy="unscreened") as first,
        AsyncSandbox(address=daemon.address, policy="unscreened") as second,
    ):
        holds = await begun(first, "import time; time.sleep(600)")
        heard = []
        waits = asyncio.create_task(second.run_code("print('ran')", on_stdout=heard.append))
        await asyncio.sleep(0.3)
        assert not waits.done()
        assert await second.interrupt()
        done = await waits
        assert (done.outcome, done.evidence.detail, heard) == (
            Outcome.CANCELLED,
            "stopped before it started",
            [],
        )
        assert not holds.done(), "the interrupt went to another session"
        await first.interrupt()
        assert (await holds).outcome is Outcome.CANCELLED
        assert (await second.run_code("'now'")).text == "'now'"


async def test_files_are_served_around_an_interrupt(sandbox):
    running = await begun(sandbox, "open('f', 'w').write('1')\n" + RUNNING["a C loop"])
    await sandbox.interrupt()
    await sandbox.files.write("g", b"x" * 100_000)
    done = await running
    assert done.outcome is Outcome.CANCELLED
    assert [file.path for file in done.files] == ["f"]
    assert (await sandbox.run_code("import os; sorted(os.listdir())")).text == "['f', 'g']"


async def test_a_caller_that_gives_up_ends_what_it_asked_for(sandbox):
    running = await begun(sandbox, "while True: pass")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(30):
        while True:
            try:
                done = await sandbox.run_code("'next'")
            except Exception:  # noqa: BLE001 - busy until the one before has ended
                await asyncio.sleep(0.1)
            else:
                break
    assert done.text == "'next'"
