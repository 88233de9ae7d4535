"""What a session keeps, what rests between executions, and what two sessions must not share."""

from __future__ import annotations

import asyncio
import os

import jail_boxes
import pytest
from jail_boxes import MIB, answer, need, run, run_fully

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Output
from sandboxd.executors.base import BoxSpec, Job

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]


# ---- one session --------------------------------------------------------------------------------------------------


async def test_variables_functions_and_imports_persist(box):
    await run(box, "import math\nx = [1]\ndef double(v): return 2 * v")
    await run(box, "x.append(double(math.floor(2.5)))")
    assert (await run(box, "x"))[0].text == "[1, 4]"


async def test_standard_input_is_empty(box):
    assert await answer(box, "import json, sys; print(json.dumps(sys.stdin.read()))") == ""


async def test_unicode_passes_both_ways(box):
    text = "snow ☃ 𝄞 \u202e e\u0301 \x00 \x1b[31m"
    result, stdout, _ = await run(box, f"t = {text!r}\nprint(t)\nlen(t)")
    assert stdout == text + "\n"
    assert result.text == str(len(text))


async def test_bytes_that_are_no_text_pass(box):
    ran = await run_fully(box, "import os; os.write(1, bytes(range(256)))")
    assert ran.output("stdout") == bytes(range(256))


async def test_each_stream_keeps_its_order(box):
    code = "import sys\nfor n in range(2000):\n  print(n)\n  print(n, file=sys.stderr)"
    _, stdout, stderr = await run(box, code)
    assert stdout == stderr == "".join(f"{n}\n" for n in range(2000))


async def test_output_comes_while_the_program_runs(box):
    seen: list[tuple[float, bytes]] = []
    loop = asyncio.get_running_loop()
    job = Job(jail_boxes.execution_id(), "import time\nprint('first')\ntime.sleep(0.4)\nprint('second')", 5)
    await box.execute(job, lambda event: seen.append((loop.time(), event.data)))
    assert [data for _, data in seen] == [b"first\n", b"second\n"]
    assert seen[1][0] - seen[0][0] > 0.2


async def test_output_of_exactly_the_limit_is_complete(box):
    ran = await run_fully(box, f"import os\nfor _ in range(16): os.write(1, b'x' * {MIB // 16})")
    assert ran.result.outcome == "ok"
    assert len(ran.output("stdout")) == ran.result.usage.output_bytes == MIB
    assert ran.result.stdout_dropped_bytes == 0


async def test_one_byte_more_is_output_limit(box):
    result, _, _ = await run(
        box, f"import os\nfor _ in range(16): os.write(1, b'x' * {MIB // 16})\nos.write(1, b'y')"
    )
    assert result.outcome == "output_limit"


async def test_head_and_tail_survive_a_cut(open_box):
    box = await open_box(output_bytes=8192)
    ran = await run_fully(box, "for n in range(3000): print(n)\nimport time; time.sleep(5)")
    whole = b"".join(b"%d\n" % n for n in range(3000))
    (gap,) = [n for n, e in enumerate(ran.events) if isinstance(e, Output) and e.dropped_bytes]
    head = b"".join(event.data for event in ran.events[:gap])
    tail = b"".join(event.data for event in ran.events[gap:])
    assert ran.result.outcome == "output_limit"
    assert whole.startswith(head)
    assert len(head) == 6144
    assert whole[: ran.result.usage.output_bytes].endswith(tail)
    assert (
        ran.result.stdout_dropped_bytes
        == ran.events[gap].dropped_bytes
        == ran.result.usage.output_bytes - len(head + tail)
    )


async def test_a_thread_of_an_earlier_cell_is_heard_while_a_later_one_runs(box):
    await run(box, "import threading, time\nthreading.Timer(0.1, print, ('between',)).start()")
    await asyncio.sleep(0.4)  # the box is stopped: the timer is due, and fires once it goes on
    assert (await run(box, "time.sleep(0.5)"))[1] == "between\n"


async def test_a_thread_that_floods_between_cells_stalls_only_itself(box):
    flood = "def flood():\n  while True: print('x' * 10000)\n"
    await run(box, f"import threading\n{flood}threading.Thread(target=flood, daemon=True).start()")
    before = jail_boxes.resident_bytes()
    await asyncio.sleep(1.0)
    assert jail_boxes.resident_bytes() - before < 16 * MIB
    result, _, _ = await run(box, "1", 1.0)
    assert result.outcome in {"ok", "output_limit"}


async def test_programs_and_processes_can_be_started(box):
    code = """
import json, multiprocessing, subprocess, sys
def square(n): return n * n
with multiprocessing.get_context("fork").Pool(2) as pool:
    squares = pool.map(square, range(5))
done = subprocess.run([sys.executable, "-c", "print(input()[::-1])"], input="abc", capture_output=True, text=True)
print(json.dumps([squares, done.stdout, done.returncode]))
"""
    assert await answer(box, code) == [[0, 1, 4, 9, 16], "cba\n", 0]


async def test_asyncio_runs(box):
    code = "import asyncio, json\nasync def f(): return await asyncio.sleep(0, 7)\nprint(json.dumps(asyncio.run(f())))"
    assert await answer(box, code) == 7


TICK = """
import ctypes, os, threading, time
def tick():
    while True:
        with open("/work/ticks", "ab", buffering=0) as file: file.write(b".")
        time.sleep(0.005)
"""
BACKGROUND = {
    "a thread": "threading.Thread(target=tick, daemon=True).start()",
    "a child": "if os.fork() == 0: tick()",
    "a child in a session of its own": "if os.fork() == 0: os.setsid(); tick()",
    "an orphan": "if os.fork() == 0:\n  if os.fork() == 0: os.setsid(); tick()\n  os._exit(0)",
    # SIGCONT wakes a stopped process when it is generated, and a timer generates it without anybody running.
    "a timer that wakes it": """
libc = ctypes.CDLL(None, use_errno=True)
event = (ctypes.c_int * 16)()
event[2], event[3] = 18, 0  # sigev_signo = SIGCONT, sigev_notify = SIGEV_SIGNAL
timer = ctypes.c_void_p()
libc.timer_create(1, event, ctypes.byref(timer))
libc.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 10_000_000, 0, 300_000_000), None)
threading.Thread(target=tick, daemon=True).start()
""",
}


@pytest.mark.parametrize("start", BACKGROUND.values(), ids=BACKGROUND.keys())
async def test_nothing_runs_between_executions(box, start):
    result, _, stderr = await run(box, f"{TICK}\n{start}\ntime.sleep(0.1)")
    assert result.outcome == "ok", stderr
    await asyncio.sleep(0.1)
    before = (await box.stat_file("ticks")).size_bytes
    assert before > 0, "it never ran: this proved nothing"
    await asyncio.sleep(0.5)
    assert (await box.stat_file("ticks")).size_bytes == before
    assert (await run(box, "time.sleep(0.05)"))[0].outcome == "ok"
    assert (await box.stat_file("ticks")).size_bytes > before, "and it goes on with the next"


# ---- two sessions -------------------------------------------------------------------------------------------------


async def test_two_boxes_share_no_file_process_or_variable(open_box):
    one, two = await open_box(), await open_box()
    await run(
        one, "secret = 'mine'\nfor d in ('/work', '/tmp', '/dev/shm'): open(d + '/mine', 'w').write(secret)"
    )
    await run(
        one,
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])",
    )
    code = """
import json, os
print(json.dumps([["secret" in globals()] + [os.path.exists(d + "/mine") for d in ("/work", "/tmp", "/dev/shm")],
                  [n for n in os.listdir("/proc") if n.isdigit()]]))
"""
    assert await answer(two, code) == [[False] * 4, ["2"]]


async def test_two_boxes_draw_different_random_numbers(open_box):
    code = """
import json, os, random, secrets, tempfile, uuid
names = tempfile._get_candidate_names()
print(json.dumps([random.random(), random.SystemRandom().random(), secrets.token_hex(), str(uuid.uuid4()), next(names)]))
"""
    drawn = [await answer(await open_box(), code) for _ in range(3)]
    assert all(len(set(column)) == 3 for column in zip(*drawn, strict=True)), drawn


async def test_the_next_interpreter_of_a_box_draws_anew(box):
    draw = "import json, random; print(json.dumps(random.random()))"
    first = await answer(box, draw)
    await run(box, "import os; os._exit(0)")
    assert await answer(box, draw) != first


async def test_a_box_cannot_watch_what_another_does_to_a_shared_file(open_box):
    # The interpreter's files are the same inodes in every box (and on the host): inotify tells who opens them, when.
    spy, victim = await open_box(), await open_box()
    code = """
import ctypes, json, os
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(os.O_NONBLOCK)
place = os.path.dirname(os.__file__).encode()
added = libc.inotify_add_watch(watch, place, 0x20) if watch >= 0 else -1
print(json.dumps(added))
"""
    await run(spy, code)
    await run(victim, "import os; open(os.__file__).read()")
    code = """
import json
try:
    print(json.dumps(os.read(watch, 4096).decode("latin-1")))
except OSError:
    print(json.dumps(""))
"""
    assert await answer(spy, code) == ""


async def test_a_box_cannot_signal_another_by_locks_on_a_shared_file(open_box):
    sender, receiver = await open_box(), await open_box()
    code = "import fcntl, json, os\nf = open(os.__file__)\n{}"
    lock = "try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); got = True\nexcept OSError: got = False\nprint(json.dumps(got))"
    assert await answer(receiver, code.format(lock)) == await answer(
        receiver, f"fcntl.flock(f, fcntl.LOCK_UN) if got else 0\n{lock}"
    )
    await run(receiver, "f.close()")
    await run(sender, code.format(lock))
    unlocked_elsewhere = await answer(receiver, code.format(lock))
    await run(sender, "f.close()")
    await run(receiver, "f.close()")
    locked_nowhere = await answer(receiver, code.format(lock))
    assert unlocked_elsewhere == locked_nowhere


async def test_memory_of_one_box_is_not_another_s(open_box):
    small, other = await open_box(memory_bytes=64 * MIB), await open_box()
    need(small, "cgroup_memory")
    await run(other, "kept = bytes(100 << 20)")
    assert (await run(small, "b = bytearray(200 << 20)"))[0].outcome == "oom"
    assert (await run(other, "len(kept)"))[0].text == str(100 << 20)


async def test_a_policy_s_requirement_is_refused_by_name(executor):
    limits = jail_boxes.LIMITS
    for wanted, code in (
        ("cgroup_time_travel", Code.POLICY_INVALID),
        ("cgroup_memory", Code.PROTECTION_MISSING),
    ):
        try:
            box = await executor.open(BoxSpec("s-x", "base", limits, require=("seccomp", wanted)))
        except SandboxdError as error:
            assert error.code is code
            assert wanted in error.message
            assert error.remedy
        else:
            assert wanted == "cgroup_memory"
            assert {row.name: row.active for row in box.protections}[wanted]
            await box.close()


async def test_an_unknown_environment_is_refused(executor):
    with pytest.raises(SandboxdError) as raised:
        await executor.open(BoxSpec("s-x", "nowhere", jail_boxes.LIMITS))
    assert raised.value.code is Code.ENVIRONMENT_NOT_FOUND


async def test_a_closed_box_leaks_no_descriptor(executor):
    before = len(os.listdir("/proc/self/fd"))
    for code in ("1", "import os; os._exit(1)", "import os; os.close(3)"):
        box = await jail_boxes.open_box(executor)
        await run(box, code)
        await box.close()  # also while the next interpreter starts
    await asyncio.sleep(0.3)
    assert len(os.listdir("/proc/self/fd")) <= before
