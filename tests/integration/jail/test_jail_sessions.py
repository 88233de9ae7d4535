"""What a session keeps, what two sessions must not share, and what a program may do to its channels."""

from __future__ import annotations

import asyncio
import json
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


async def test_a_thread_that_prints_between_cells_is_heard_in_the_next(box):
    await run(box, "import threading\nthreading.Timer(0.1, print, ('between',)).start()")
    await asyncio.sleep(0.4)
    assert (await run(box, "1"))[1] == "between\n"


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


# ---- the control channel ------------------------------------------------------------------------------------------

FRAME = """
import json, os, socket, struct
control = socket.socket(fileno=os.dup(3))
def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    control.sendall(struct.pack(">I", len(body)) + body)
"""
ABUSE = {
    "close": ("import os; os.close(3)", {"error"}),
    "close and stay": ("import os\nos.close(3)\nwhile True: pass", {"timeout_wall"}),
    "shut down": (FRAME + "control.shutdown(socket.SHUT_RDWR)", {"error", "crashed"}),
    "replace": ("import os\nos.dup2(os.open('/dev/zero', 0), 3)", {"error", "timeout_wall"}),
    "garbage": (FRAME + "control.sendall(os.urandom(100_000))", {"crashed"}),
    "endless garbage": (FRAME + "while True: control.sendall(b'\\xff' * 65536)", {"crashed"}),
    "a length of a gibibyte": (
        FRAME + "control.sendall(struct.pack('>I', 1 << 30) + b'x' * 1000)",
        {"crashed"},
    ),
    "half a frame": (
        FRAME + "control.sendall(struct.pack('>I', 1 << 20) + b'x')",
        {"timeout_wall", "crashed"},
    ),
    "no object": (FRAME + "send([1])", {"crashed"}),
    "deep nesting": (FRAME + "send(b'[' * 1_000_000)", {"crashed"}),
    "an endless integer": (FRAME + "send(b'9' * 1_000_000)", {"crashed"}),
    "wrong types": (
        FRAME + "send({'op': 'result', 'id': ID, 'ok': 1, 'error': [], 'final': 3})",
        {"crashed"},
    ),
    "display of a list": (FRAME + "send({'op': 'display', 'id': ID, 'data': []})", {"crashed"}),
    "display without data": (FRAME + "send({'op': 'display', 'id': ID})", {"crashed"}),
    "bad base64": (
        FRAME + "send({'op': 'display', 'id': ID, 'data': {'a/b': '!'}, 'base64': ['a/b']})",
        {"crashed"},
    ),
    "another's id": (FRAME + "send({'op': 'result', 'id': 'x-000001', 'ok': False})\n'mine'", {"ok"}),
    "unknown operation": (FRAME + "send({'op': 'shutdown', 'id': ID})\n'mine'", {"ok", "crashed"}),
    "eats what the host sends": (
        FRAME + "import threading\nthreading.Thread(target=control.recv, args=(9999,)).start()",
        {"ok"},
    ),
}


@pytest.mark.parametrize(("code", "outcomes"), ABUSE.values(), ids=ABUSE.keys())
async def test_abuse_of_the_control_channel_has_a_typed_outcome(box, open_box, code, outcomes):
    execution = jail_boxes.execution_id()
    async with asyncio.timeout(5):
        result = await box.execute(Job(execution, f"ID = {execution!r}\n{code}", 0.5), lambda _: None)
    assert result.outcome in outcomes, result
    following, _, _ = await run(box, "1 + 1", 1.0)  # the same session goes on, if without its variables
    assert following.outcome in {"ok", "timeout_wall", "error"}
    assert (await run(await open_box(), "1 + 1"))[0].text == "2"


async def test_a_forged_result_is_a_claim_and_harms_its_own_session_alone(box):
    execution = jail_boxes.execution_id()
    forged = {"op": "result", "id": execution, "ok": True, "text": "forged", "error": None, "final": None}
    code = f"{FRAME}\nsend({json.dumps(forged).replace('true', 'True').replace('null', 'None')})\nraise ValueError"
    result = await box.execute(Job(execution, code, 2.0), lambda _: None)
    assert (result.outcome, result.evidence.source, result.text) == ("ok", "guest", "forged")
    # The real result of that cell comes late, and belongs to no execution any more.
    assert (await run(box, "'next'"))[0].text == "'next'"


async def test_what_a_forged_result_leaves_running_does_not_outlive_the_next_deadline(box):
    execution = jail_boxes.execution_id()
    forged = {"op": "result", "id": execution, "ok": True, "text": None, "error": None, "final": None}
    code = f"{FRAME}\nsend({json.dumps(forged).replace('true', 'True').replace('null', 'None')})\nwhile True: pass"
    assert (await box.execute(Job(execution, code, 2.0), lambda _: None)).outcome == "ok"
    result, _, _ = await run(box, "1", 0.3)
    assert result.outcome in {"timeout_wall", "error", "ok"}
    assert (await run(box, "1 + 1", 1.0))[0].text == "2"


async def test_nothing_reaches_the_sink_after_the_result(box):
    # A thread forges displays for an execution that is over, and for the empty id that "no execution" might be.
    events: list[object] = []
    execution = jail_boxes.execution_id()
    code = f"""{FRAME}
import threading, time
def late():
    time.sleep(0.2)
    for name in ({execution!r}, "", None):
        send({{"op": "display", "id": name, "data": {{"text/plain": "late"}}}})
threading.Thread(target=late).start()
"""
    result = await box.execute(Job(execution, code, 2.0), events.append)
    assert result.outcome == "ok"
    await asyncio.sleep(0.5)
    assert events == []


async def test_displays_are_bounded_in_number_and_size(box):
    execution = jail_boxes.execution_id()
    empty = json.dumps({"op": "display", "id": execution, "data": {}})
    code = f"""{FRAME}
body = {empty!r}.encode()
many = (struct.pack(">I", len(body)) + body) * 1000
while True: control.sendall(many)
"""
    events: list[object] = []
    result = await box.execute(Job(execution, code, 1.0), events.append)
    assert result.outcome in {"timeout_wall", "crashed", "output_limit"}
    assert len(events) <= 10_000, (
        f"{len(events)} events from one execution: the daemon's memory is the guest's to fill"
    )


async def test_large_displays_do_not_fill_the_daemon(box):
    execution = jail_boxes.execution_id()
    code = f"""{FRAME}
message = {{"op": "display", "id": {execution!r}, "data": {{"text/plain": "x" * (4 << 20)}}}}
while True: send(message)
"""
    events: list[object] = []
    result = await box.execute(Job(execution, code, 1.0), events.append)
    assert result.outcome in {"timeout_wall", "crashed", "output_limit"}
    assert sum(len(v) for e in events for v in getattr(e, "data", {}).values()) <= 16 * MIB


async def test_names_of_mime_types_count_too(box):
    execution = jail_boxes.execution_id()
    code = f"""{FRAME}
message = {{"op": "display", "id": {execution!r}, "data": {{"%0128d" % n: "" for n in range(32)}}}}
while True: send(message)
"""
    events: list[object] = []
    await box.execute(Job(execution, code, 1.0), events.append)
    assert sum(len(name) for e in events for name in getattr(e, "data", {})) <= 16 * MIB


async def test_a_closed_box_leaks_no_descriptor(executor):
    before = len(os.listdir("/proc/self/fd"))
    for code in ("1", "import os; os._exit(1)", "import os; os.close(3)"):
        box = await jail_boxes.open_box(executor)
        await run(box, code)
        await box.close()  # also while the next interpreter starts
    await asyncio.sleep(0.3)
    assert len(os.listdir("/proc/self/fd")) <= before
