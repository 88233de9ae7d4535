"""Programs that abuse what forks need: the nursery, the control socket, siblings, checkpoints. Only their own tree pays."""

from __future__ import annotations

import asyncio
import time

import pytest
from jail_boxes import SLOWNESS, answer, need, run

from sandboxd.errors import Code, SandboxdError
from sandboxd.launcher import forks

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

NURSERY = """
import json, os, socket, struct, threading, time, array
nursery = socket.socket(fileno=os.dup(4))
nursery.setblocking(True)
def orders():
    while True:
        data, ancillary, flags, _ = nursery.recvmsg(65536, 1024)
        fds = array.array("i")
        for level, kind, piece in ancillary:
            fds.frombytes(piece)
        yield json.loads(data), list(fds)
"""
# Each takes the order before the interpreter does, in a child process, and answers as it likes.
ANSWERS = {
    "garbage": "sock.send(b'\\xff' * 2000)",
    "empty": "sock.send(b'')",
    "deep": "sock.send(b'[' * 2000)",
    "no words": "sock.send(json.dumps({'op': 'unborn', 'code': 7, 'detail': ['x']}).encode())",
    "many words": "sock.send(json.dumps({'op': 'unborn', 'code': 'refused', 'detail': 'y' * 1900}).encode())",
    "somebody else": "sock.send(json.dumps({'op': 'born'}).encode())",  # no child of pid 1's
    "descriptors": "socket.send_fds(sock, [json.dumps({'op': 'x'}).encode()], [0, 1, 2] * 60)",
    "closed": "sock.close(); [os.close(fd) for fd in fds[:-1]]",
}
TAKE = """
if os.fork() == 0:
    for order, fds in orders():
        sock = socket.socket(fileno=fds[-1])
        for _ in range(3):
            try:
                {answer}
            except (OSError, ValueError):
                pass
        sock.detach()
"""


async def still_works(box, neighbour):
    assert await answer(neighbour, "print(2)") == 2
    (clone,) = await neighbour.fork(1)
    assert await answer(clone, "print(3)") == 3
    await clone.close()


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_of_any_kind_is_a_failed_fork(open_box, kind):
    box, neighbour = await open_box(forks=4), await open_box(forks=4)
    await run(box, NURSERY + TAKE.format(answer=ANSWERS[kind]) + "time.sleep(0.2)")
    # The child and the interpreter both wait for the order: whichever comes first has it.
    codes = set()
    for _ in range(4):
        try:
            async with asyncio.timeout(forks.FORK_SECONDS + 5 * SLOWNESS):
                (clone,) = await box.fork(1)
        except SandboxdError as error:
            codes.add(error.code)
            assert len(error.message) < 1000
        else:
            await clone.close()
            continue
        break
    assert codes <= {Code.FORK_FAILED, Code.FORK_REFUSED}
    await still_works(box, neighbour)


async def test_an_interpreter_that_never_answers_costs_its_own_fork(open_box, monkeypatch):
    box, neighbour = await open_box(forks=4), await open_box(forks=4)
    await run(
        box,
        "x = 1\n" + NURSERY + "if os.fork() == 0:\n    kept = [order for order in orders()]\ntime.sleep(0.1)",
    )
    began = time.monotonic()
    task = asyncio.ensure_future(box.fork(1))
    await still_works(box, neighbour)
    try:
        for clone in await task:
            await clone.close()
    except SandboxdError as error:
        assert error.code is Code.FORK_FAILED
        assert time.monotonic() - began < forks.FORK_SECONDS + 5 * SLOWNESS
    assert await answer(box, "print(x)") == 1


async def test_a_sibling_as_a_clone_is_refused(open_box):
    """A process that is a member already, or pid 1's child but none that was ordered, cannot pass for two."""
    box = await open_box(forks=4)
    await run(box, "x = 1")
    (clone,) = await box.fork(1)
    # The clone itself answers for an order that was meant to make a child of it.
    await run(
        clone,
        NURSERY
        + 'def answer():\n    for order, fds in orders():\n        socket.socket(fileno=fds[-1]).send(b\'{"op": "born"}\')\n'
        "threading.Thread(target=answer, daemon=True).start()",
    )
    with pytest.raises(SandboxdError) as failed:
        await clone.fork(1)
    assert failed.value.code in {Code.FORK_FAILED, Code.FORK_REFUSED}
    assert await answer(box, "print(x)") == 1


REACHED = """
import os, signal, time
def reached():
    found = []
    for pid in range(2, 400):
        try:
            os.kill(pid, 0)
        except OSError:
            continue
        if pid != os.getpid():
            found.append(pid)
    return found
"""


async def test_a_snippet_that_kills_all_it_can_reach(open_box):
    box, neighbour = await open_box(forks=6), await open_box(forks=4)
    await run(box, "x = 1")
    await box.checkpoint("a")
    clones = await box.fork(2)
    result, stdout, _ = await run(
        box, REACHED + "found = reached()\nfor pid in found: os.kill(pid, 9)\nprint(len(found))"
    )
    assert (result.outcome, stdout) == ("ok", "3\n")
    for clone in clones:
        result, _, _ = await run(clone, "y = 1")  # it may meet the dying interpreter still
        assert (result.outcome in {"ok", "killed"}, result.variables_lost) == (True, True)
        assert await answer(clone, "print(int('x' in globals()))") == 0
    assert await answer(box, "print(x)") == 1
    await still_works(box, neighbour)


async def test_a_snippet_that_will_not_let_its_siblings_live(open_box):
    """It may end its own tree by that, and no other."""
    box, neighbour = await open_box(forks=6), await open_box(forks=4)
    clones = await box.fork(2)
    hunt = "for _ in range(200):\n    for pid in reached():\n        os.kill(pid, signal.SIGSTOP); os.kill(pid, 9)\n    time.sleep(0.002)"
    hunting = asyncio.ensure_future(run(box, REACHED + hunt))
    await still_works(box, neighbour)
    await hunting
    for clone in clones:
        try:
            result, _, _ = await run(clone, "y = 1")
        except SandboxdError as error:
            assert error.code is Code.SESSION_LOST
        else:
            assert result.outcome in {"ok", "infrastructure"}
    await still_works(box, neighbour)


async def test_a_clone_cannot_signal_the_original_where_the_kernel_has_scopes(open_box):
    box = await open_box(forks=2)
    await run(box, "import os\nmine = os.getpid()")
    (clone,) = await box.fork(1)
    rows = {row.name: row.detail for row in box.protections}
    abi = int(rows["landlock"].partition(" ")[2] or 0) if rows["landlock"].startswith("ABI") else 0
    if abi < 6:
        pytest.skip(f"Landlock ABI {abi} has no scope for signals")
    result, _, _ = await run(clone, "os.kill(mine, 9)")
    assert result.error is not None
    assert result.error.name == "PermissionError"
    assert await answer(box, "import json; print(json.dumps(mine == os.getpid()))") is True


async def test_frames_that_a_program_forges_make_no_clone(open_box):
    """The control socket's other end is the front's: what a program writes there is a claim, and no order."""
    box = await open_box(forks=2)
    forge = """
import json, os, struct
for frame in ({"op": "fork", "number": 1}, {"op": "born"}, {"op": "ready"}, {"op": "forked", "box": 1}):
    body = json.dumps(frame).encode(); os.write(3, struct.pack(">I", len(body)) + body)
x = 1"""
    result, _, _ = await run(box, forge)
    assert result.outcome == "ok"
    (clone,) = await box.fork(1)
    assert await answer(clone, "print(x)") == 1


async def test_a_closed_nursery_fails_the_fork_and_nothing_else(open_box):
    box = await open_box(forks=2)
    await run(box, "import os\nx = 1\nos.close(4)")
    with pytest.raises(SandboxdError) as failed:
        await box.fork(1)
    assert failed.value.code is Code.FORK_FAILED
    assert await answer(box, "print(x)") == 1


async def test_a_fork_bomb_in_one_clone_leaves_the_others(open_box):
    box = await open_box(forks=3, pids=24, wall_seconds=1)
    await run(box, "x = 1")
    one, two = await box.fork(2)
    bomb = """
import os, signal
for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
    except OSError:
        pass"""
    result, _, _ = await run(one, bomb, 0.5)
    assert result.outcome == "timeout_wall"
    assert await answer(two, "print(x)") == 1
    assert await answer(box, "print(x)") == 1
    count = """
import json, os
def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
print(json.dumps(len([pid for pid in range(2, 32768) if alive(pid)])))"""
    assert await answer(box, count) == 3, "something of the bomb is left"
    result, _, _ = await run(one, "y = 1")
    assert (result.outcome, result.variables_lost) == ("ok", False)


async def test_busy_processes_of_one_clone_are_killed_all_at_once(open_box):
    """Killed one after the other, each would wait for its turn of the processor behind those that are left."""
    box = await open_box(forks=2, pids=64, wall_seconds=2)
    await run(box, "x = 1")
    (one,) = await box.fork(1)
    bomb = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass"""
    result, _, _ = await run(one, bomb, 1.0)
    assert result.outcome == "timeout_wall"
    assert await answer(box, "print(x)") == 1
    result, _, _ = await run(one, "y = 1")
    assert result.outcome == "ok"


async def test_a_deadline_kills_one_clone_and_no_other(open_box):
    box = await open_box(forks=3)
    await run(box, "x = 1")
    one, two = await box.fork(2)
    stuck = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"
    results = await asyncio.gather(run(one, stuck, 0.5), run(two, "import time; time.sleep(1); print(x)", 5))
    assert [result.outcome for result, _, _ in results] == ["timeout_wall", "ok"]
    assert results[0][0].variables_lost
    assert results[1][1] == "1\n"
    assert await answer(box, "print(x)") == 1


async def test_cpu_is_counted_for_each(open_box):
    box = await open_box(forks=2, cpu_seconds=0.6)
    (clone,) = await box.fork(1)
    burn = "while True: pass"
    results = await asyncio.gather(run(clone, burn, 15), run(box, "import time; time.sleep(1.5)", 15))
    assert [result.outcome for result, _, _ in results] == ["timeout_cpu", "ok"]
    usage = results[1][0].usage
    assert usage.sources["cpu_seconds"] == "clock of the guest process"
    assert usage.cpu_seconds is not None
    assert usage.cpu_seconds < 0.4


async def test_the_memory_limit_names_its_victim(open_box):
    box = await open_box(forks=2, memory_bytes=192 << 20)
    need(box, "cgroup_memory")
    await run(box, "x = 1")
    (clone,) = await box.fork(1)
    eat = "import resource\nkept = []\nwhile True:\n    kept.append(bytearray(b'x' * (8 << 20)))"
    # Two that stay below their own address space limits, and are too much together.
    hold = "held = bytearray(b'x' * (120 << 20))"
    await run(box, hold)
    result, _, _ = await run(clone, "held = bytearray(b'x' * (120 << 20))")
    survivor = await run(box, "y = 1")
    victims = [one for one in (result, survivor[0]) if one.outcome == "oom" or one.variables_lost]
    assert victims, (result, survivor[0], eat)
    if result.outcome == "oom":
        assert survivor[0].outcome == "ok"
        assert "memory" not in survivor[0].limits_hit


async def test_output_limits_are_each_ones_own(open_box):
    box = await open_box(forks=2, output_bytes=4096)
    (clone,) = await box.fork(1)
    results = await asyncio.gather(
        run(clone, "print('x' * 100_000)\nwhile True: pass"), run(box, "print('y' * 2000)")
    )
    assert [result.outcome for result, _, _ in results] == ["output_limit", "ok"]


async def test_an_idle_tree_stands_still(open_box):
    box = await open_box(forks=3)
    (clone,) = await box.fork(1)
    ticking = """
import os, time
if os.fork() == 0:
    while True:
        with open('/tmp/ticks', 'a') as file: file.write('x')
        time.sleep(0.001)
time.sleep(0.1)"""
    await run(clone, ticking)
    await asyncio.sleep(0.1)
    size = "import json, os, time; a = os.path.getsize('/tmp/ticks'); print(json.dumps(a))"
    before = await answer(box, size)
    await asyncio.sleep(0.5)
    assert await answer(box, size) - before < 100
