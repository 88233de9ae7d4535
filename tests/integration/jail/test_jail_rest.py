"""Between snippets nothing of a box runs: threads, left children, and a guest that lied about having ended."""

from __future__ import annotations

import asyncio

import pytest
from jail_boxes import answer, run

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

THREAD = """
import threading, time
count = 0
def busy():
    global count
    while True:
        count += 1
        time.sleep(0.001)
threading.Thread(target=busy, daemon=True).start()
"""
# Leaves a child, and a grandchild whose parent is gone: pid 1 adopts it.
CHILDREN = """
import os, time
def count(name):
    while True:
        with open(name, "a") as file:
            file.write("x")
        time.sleep(0.002)
if os.fork() == 0:
    count("child")
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        count("orphan")
    os._exit(0)
time.sleep(0.1)
"""
LIAR = """
import json, os, struct, time
with open("lies", "w") as file:
    file.write("x")  # there before the lie: the stop may come at once after it
body = json.dumps({"op": "result", "id": %r, "ok": True, "text": "forged", "error": None, "final": None}).encode()
os.write(3, struct.pack(">I", len(body)) + body)
while True:
    with open("lies", "a") as file:
        file.write("x")
    time.sleep(0.001)
"""
PAUSE_SECONDS = 0.5

# Ways back from SIGSTOP. Each writes as long as it runs.
WRITE = """
import mmap, os, signal, threading, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
def write():
    with open("runs", "ab", 0) as file:
        file.write(b"x")
"""
WAKERS = {
    # A signal that is sent from within a system call, after the stop came and before it took effect.
    "threads": """
def wake():
    while True:
        for _ in range(100):
            os.kill(os.getpid(), signal.SIGCONT)
        write()
for _ in range(8):
    threading.Thread(target=wake, daemon=True).start()
time.sleep(0.1)
""",
    "processes": """
for _ in range(4):
    if os.fork() == 0:
        while True:
            for _ in range(10):
                os.kill(-1, signal.SIGCONT)
            write()
time.sleep(0.1)
""",
    # Each wakes the other and stops itself: seen one after the other, both can look stopped.
    "turns": """
def turn(other):
    while True:
        os.kill(other, signal.SIGCONT)
        write()
        os.kill(os.getpid(), signal.SIGSTOP)
for _ in range(6):
    if os.fork() == 0:
        first = os.getpid()
        turn(os.fork() or first)
time.sleep(0.1)
""",
    # The kernel wakes a stopped process group that the death of a parent orphans, and dying takes a moment.
    "an orphaned group": """
read, hold = os.pipe()
if os.fork() == 0:
    os.close(hold)
    os.setsid()
    if os.fork() == 0:
        os.setpgid(0, 0)
        while True:
            write()
            time.sleep(0.001)
    held = mmap.mmap(-1, 150 << 20)
    held.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, len(held), 4096):
        held[page] = 1
    os.read(read, 1)
    os._exit(0)
time.sleep(0.3)
os.write(hold, b"x")
""",
}


async def sizes(box, *names):
    return await asyncio.gather(*(box.stat_file(name) for name in names))


async def test_threads_stand_still_and_go_on(box):
    await run(box, THREAD)
    before = await answer(box, "print(count)")
    await asyncio.sleep(PAUSE_SECONDS)
    after = await answer(box, "print(count)")
    # Had it run on there were hundreds; a few are those of the two snippets themselves.
    assert after - before < 50
    await run(box, "time.sleep(0.2)")
    assert await answer(box, "print(count)") > after


async def test_left_children_and_orphans_stand_still_and_go_on(box):
    await run(box, CHILDREN)
    await asyncio.sleep(0.1)
    before = [entry.size_bytes for entry in await sizes(box, "child", "orphan")]
    assert min(before) > 0
    await asyncio.sleep(PAUSE_SECONDS)
    assert [entry.size_bytes for entry in await sizes(box, "child", "orphan")] == before
    await run(box, "time.sleep(0.2)")
    after = [entry.size_bytes for entry in await sizes(box, "child", "orphan")]
    assert all(now > then for now, then in zip(after, before, strict=True))


async def test_a_guest_that_forges_its_end_stands_still(box):
    from jail_boxes import execution_id  # noqa: PLC0415

    from sandboxd.executors.base import Job  # noqa: PLC0415

    name = execution_id()
    result = await box.execute(Job(name, LIAR % name, 5.0), lambda _: None)
    box.rest()
    assert result.text == "forged"
    await asyncio.sleep(0.1)
    (before,) = await sizes(box, "lies")
    await asyncio.sleep(PAUSE_SECONDS)
    (after,) = await sizes(box, "lies")
    assert after.size_bytes == before.size_bytes


async def test_a_stopped_box_closes_at_once(open_box):
    box = await open_box()
    await run(box, CHILDREN)
    async with asyncio.timeout(2):
        await box.close()


async def stands_still(box) -> bool:
    (before,) = await sizes(box, "runs")
    await asyncio.sleep(PAUSE_SECONDS)
    (after,) = await sizes(box, "runs")
    return 0 < before.size_bytes == after.size_bytes


@pytest.mark.parametrize("how", WAKERS)
async def test_nothing_wakes_itself(open_box, how):
    box = await open_box()
    await run(box, WRITE + WAKERS[how])
    # A second is the launcher's patience: by then whoever would not stand still is dead.
    assert await stands_still(box) or await stands_still(box) or await stands_still(box)
    assert (await run(box, "1 + 1"))[0].text == "2"
