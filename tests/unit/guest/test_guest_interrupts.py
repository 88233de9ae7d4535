"""SIGINT at every moment: cells end, the guest lives, frames stay whole."""

from __future__ import annotations

import time

import pytest

from tests.guest_harness import Guest


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\ntime.sleep(60)",
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        break\nwhile True: pass",
        "import threading\nthreading.Event().wait()",
        "import subprocess\nsubprocess.run(['sleep', '60'])",
        "import asyncio\nawait asyncio.sleep(60)",
        "import asyncio\nasync def spin():\n    while True: await asyncio.sleep(0)\nawait asyncio.gather(spin(), spin())",
        "async def stubborn():\n    import asyncio\n    try:\n        await asyncio.sleep(60)\n    finally:\n        await asyncio.sleep(60)\nawait stubborn()",
        "class Endless:\n    def __repr__(self):\n        while True: pass\nEndless()",
        "class Endless:\n    def _repr_html_(self):\n        while True: pass\nEndless()",
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nwhile True: pass",
        "while True: display('x')",
        "while True: print('x' * 100)",
    ],
)
def test_a_storm_ends_the_cell(guest: Guest, code: str) -> None:
    guest.value("kept = 5")
    guest.begin(code)
    time.sleep(0.1)
    started = time.monotonic()
    storm = guest.storm(0.4)
    cell = guest.finish()
    assert cell.error["name"] == "KeyboardInterrupt"
    assert time.monotonic() - started < 2
    assert cell.traceback.splitlines()[-1].startswith("Hint: the cell was interrupted")
    assert "sandboxd" not in cell.traceback
    storm.join()
    assert guest.value("kept") == "5"


def test_one_interrupt_is_enough_for_plain_code(guest: Guest) -> None:
    guest.begin("while True: pass")
    time.sleep(0.2)
    guest.interrupt()
    cell = guest.finish()
    assert (cell.error["name"], cell.error["line"]) == ("KeyboardInterrupt", 1)


def test_a_program_may_handle_the_interrupt(guest: Guest) -> None:
    guest.begin(
        "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    result = 'cleaned up'\nresult"
    )
    time.sleep(0.2)
    guest.interrupt()
    assert guest.finish().text == "'cleaned up'"


@pytest.mark.parametrize("interval_seconds", [0.01, 0.0005])
def test_storm_across_many_cells(guest: Guest, interval_seconds: float) -> None:
    """Each cell ends well or interrupted; none is lost, no frame is torn."""
    codes = [
        "1 + 1",
        "print('y' * 200)",
        "display('x' * 5000)",
        "sum(range(20_000))",
        "1 / 0",
        "import json; json.loads('{')",
        "'r' * 50_000",
        "import asyncio; await asyncio.sleep(0)",
    ]
    storm = guest.storm(1.2, interval_seconds)
    ended = {"ok": 0, "KeyboardInterrupt": 0, "other": 0}
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        for code in codes:
            cell = guest.run(code)
            if cell.ok:
                ended["ok"] += 1
            elif cell.error["name"] == "KeyboardInterrupt":
                ended["KeyboardInterrupt"] += 1
            else:
                assert cell.error["name"] in ("ZeroDivisionError", "JSONDecodeError")
                ended["other"] += 1
    storm.join()
    assert ended["ok"] > 20
    assert ended["KeyboardInterrupt"] > 0, "no signal ever met a running cell: the test shows nothing"
    guest.output()


def test_await_works_after_many_interrupts(guest: Guest) -> None:
    """Interrupts inside asyncio's own code leave no loop that seems to run."""
    storm = guest.storm(1.0, 0.0005)
    while storm.is_alive():
        guest.run(
            "import asyncio\nasync def f():\n    await asyncio.sleep(0)\nawait asyncio.gather(f(), f())"
        )
        guest.run("asyncio.run(f())")
    assert guest.value("await asyncio.sleep(0, 'awake')") == "'awake'"
    assert guest.value("asyncio.run(asyncio.sleep(0, 'again'))") == "'again'"
    guest.output("stderr")


def test_interrupts_between_cells_do_nothing(guest: Guest) -> None:
    storm = guest.storm(0.2, 0.001)
    storm.join()
    assert guest.value("1") == "1"


def test_describing_an_error_can_be_interrupted(guest: Guest) -> None:
    guest.begin("class Slow(Exception):\n    def __str__(self):\n        while True: pass\nraise Slow")
    time.sleep(0.2)
    storm = guest.storm(0.3)
    cell = guest.finish()
    storm.join()
    assert cell.error["name"] == "Slow"
    assert cell.error["line"] == 4


def test_an_alarm_that_outlives_its_cell_is_harmless(guest: Guest) -> None:
    code = """
import signal
def late(number, frame):
    raise TimeoutError("too late")
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, {delay})
"""
    guest.value(code.format(delay="0.1, 0.01"))
    time.sleep(0.3)
    cell = guest.run("while True: pass")  # ... and still works within one
    assert cell.error["name"] == "TimeoutError"
    guest.run("signal.setitimer(signal.ITIMER_REAL, 0)")
    while not guest.run("signal.setitimer(signal.ITIMER_REAL, 0)").ok:
        pass
    assert guest.value("1") == "1"


def test_a_tracer_does_not_outlive_its_cell(guest: Guest) -> None:
    guest.run(
        "import sys\ndef trace(*a):\n    raise RuntimeError('traced')\nsys.settrace(trace)\nsys.setprofile(trace)"
    )
    assert guest.value("sys.gettrace()") is None
    assert guest.value("(lambda: 3)()") == "3"
