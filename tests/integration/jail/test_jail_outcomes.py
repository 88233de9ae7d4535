"""Each outcome of the vocabulary, produced by a program that really does it, with evidence, usage and what was kept."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import jail_boxes
import pytest
from jail_boxes import MIB, need, run, run_fully

from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.base import Job

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]


async def kept(box, name: str) -> str | None:
    """Return the file that the test left behind, and whether the variable is still there."""
    return (await run(box, f"(open('{name}').read(), 'kept' in globals())"))[0].text


async def test_ok(box):
    result, stdout, _ = await run(box, "print('hello')\n6 * 7")
    assert (result.outcome, result.text, stdout) == ("ok", "42", "hello\n")
    assert result.error is None
    assert result.limits_hit == ()


async def test_error_is_the_program_s_own_exception(box):
    result, _, _ = await run(box, "x = 1\nx / 0")
    assert result.outcome == "error"
    assert (result.error.name, result.error.line) == ("ZeroDivisionError", 2)
    assert "x / 0" in result.error.traceback
    assert not result.variables_lost


@pytest.mark.parametrize("code", ["import os; os._exit(3)", "import os; os.close(3); os._exit(3)"])
async def test_error_process_exit(box, code):
    result, _, _ = await run(box, code)
    assert (result.outcome, result.error.name) == ("error", "ProcessExit")
    assert result.evidence.source == "waitpid"
    assert result.evidence.code == "exit:3"
    assert result.variables_lost


async def test_timeout_wall_by_interrupt_keeps_the_variables(box):
    await run(box, "kept = 1")
    result, _, _ = await run(box, "while True: pass", 0.3)
    assert (result.outcome, result.evidence.source) == ("timeout_wall", "deadline")
    assert not result.variables_lost
    assert (await run(box, "kept"))[0].text == "1"


async def test_timeout_wall_by_kill_keeps_the_files(box):
    await run(box, "kept = 1; open('note', 'w').write('here')")
    code = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\ntime.sleep(60)"
    result, _, _ = await run(box, code, 0.2)
    assert result.outcome == "timeout_wall"
    assert result.variables_lost
    assert await kept(box, "note") == "('here', False)"


async def test_timeout_cpu(open_box):
    box = await open_box(cpu_seconds=0.4)
    result, _, _ = await run(box, "while True: pass", 10)
    assert (result.outcome, result.evidence.source) == ("timeout_cpu", "cpu clock")
    assert 0.4 <= result.usage.cpu_seconds < 1.5
    assert result.usage.wall_seconds < 5


async def test_timeout_cpu_counts_each_execution_anew(open_box):
    box = await open_box(cpu_seconds=0.5)
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    assert [(await run(box, burn))[0].outcome for _ in range(3)] == ["ok"] * 3


async def test_timeout_cpu_counts_the_children(open_box):
    box = await open_box(cpu_seconds=0.6)
    need(box, "cgroup_cpu")
    code = "import os\nfor _ in range(3):\n  if os.fork() == 0:\n    while True: pass\nos.wait()"
    result, _, _ = await run(box, code, 10)
    assert result.outcome == "timeout_cpu"
    assert result.usage.sources["cpu_seconds"] == "cgroup"


async def test_oom_by_address_space(box):
    await run(box, "kept = 1")
    result, _, _ = await run(box, "b = bytearray(600 << 20)")
    assert (result.outcome, result.evidence.code) == ("oom", "MemoryError")
    assert (await run(box, "kept"))[0].text == "1"


async def test_oom_by_cgroup_counts_all_processes_together(open_box):
    box = await open_box(memory_bytes=96 * MIB)
    need(box, "cgroup_memory")
    await run(box, "open('note', 'w').write('here')")
    # No single process comes near its own limit; the largest, which the kernel picks, is the interpreter.
    code = """
import os, time
def hold(mib):
    held = bytearray(mib << 20)
    held[::4096] = bytes(len(held[::4096]))
    return held
mine = hold(60)
for _ in range(3):
    if os.fork() == 0:
        del mine
        more = hold(30)
        time.sleep(20)
time.sleep(20)
"""
    result, _, _ = await run(box, code)
    assert (result.outcome, result.evidence.source, result.evidence.code) == ("oom", "cgroup", "oom_kill")
    assert result.usage.memory_peak_bytes > 80 * MIB
    assert await kept(box, "note") == "('here', False)"


async def test_oom_by_files_ends_the_snippet_and_not_the_session(open_box):
    # The scratch file system is memory too, and here larger than the memory limit.
    box = await open_box(memory_bytes=64 * MIB, disk_bytes=128 * MIB)
    need(box, "cgroup_memory")
    result, _, _ = await run(
        box, "import os\nwith open('big', 'wb') as f:\n  while True: f.write(bytes(1 << 20))"
    )
    assert result.outcome == "oom"
    assert result.variables_lost


async def test_output_limit(box):
    await run(box, "kept = 1")
    ran = await run_fully(box, "while True: print('x' * 1000)")
    result = ran.result
    assert (result.outcome, result.evidence.source) == ("output_limit", "output")
    assert len(ran.output("stdout")) <= MIB
    assert result.stdout_dropped_bytes + len(ran.output("stdout")) == result.usage.output_bytes
    assert (await run(box, "kept"))[0].text == "1"


@pytest.mark.parametrize(
    ("actor", "outcome"), [("client", "cancelled"), ("operator", "killed"), ("lease", "killed")]
)
@pytest.mark.parametrize(
    "code", ["while True: pass", "while True:\n  try:\n    while True: pass\n  except BaseException: pass"]
)
async def test_cancelled_by_an_actor(box, actor, outcome, code):
    running = asyncio.ensure_future(run(box, code))
    await asyncio.sleep(0.1)
    box.cancel(actor)
    result, _, _ = await running
    assert (result.outcome, result.evidence.code) == (outcome, actor)
    assert result.usage.wall_seconds < 2


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGTERM", "SIGUSR1"])
async def test_crashed_by_a_signal(box, name):
    result, _, _ = await run(box, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    assert (result.outcome, result.evidence.source, result.evidence.code) == ("crashed", "waitpid", name)
    assert result.variables_lost


async def test_crashed_by_a_real_time_signal_without_a_name(box):
    # 40 is between SIGRTMIN and SIGRTMAX: a signal that kills, and that no name is known for.
    running = asyncio.ensure_future(run(box, "import os; os.kill(os.getpid(), 40)", 1))
    done, _ = await asyncio.wait([running], timeout=3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert done, "the death was never told"
    assert (running.result()[0].outcome, running.result()[0].evidence.source) == ("crashed", "waitpid")


async def test_crashed_in_native_code(box):
    result, _, _ = await run(box, "import ctypes; ctypes.string_at(0)")
    assert (result.outcome, result.evidence.code) == ("crashed", "SIGSEGV")


async def test_killed_from_outside_is_seen_and_survived(box):
    running = asyncio.ensure_future(run(box, "import time; time.sleep(20)"))
    await asyncio.sleep(0.2)
    (inmate,) = jail_boxes.find("inmate")
    os.kill(inmate, signal.SIGKILL)
    result, _, _ = await running
    assert (result.outcome, result.evidence.code) == ("killed", "SIGKILL")
    assert (await run(box, "1 + 1"))[0].text == "2"


async def test_infrastructure_when_pid_1_is_killed_from_outside(box):
    lost: list[str] = []
    box.on_lost(lost.append)
    running = asyncio.ensure_future(run(box, "import time; time.sleep(20)"))
    await asyncio.sleep(0.2)
    (inmate,) = jail_boxes.find("inmate")
    os.kill(next(p.parent for p in jail_boxes.family() if p.pid == inmate), signal.SIGKILL)
    result, _, _ = await running
    assert (result.outcome, result.evidence.code) == ("infrastructure", "SESSION_LOST")
    assert result.variables_lost
    assert len(lost) == 1
    with pytest.raises(SandboxdError) as raised:
        await run(box, "1")
    assert raised.value.code is Code.SESSION_LOST


async def test_a_claim_cannot_outrun_the_death_that_follows_it(box):
    # The guest forges "ok" and dies. While the front is held up, the launcher has already seen the death and taken the
    # measurements with it: that the variables are gone, and what was used, must be told all the same.
    execution = jail_boxes.execution_id()
    code = f"""
import json, os, signal, struct
def frame(**fields):
    body = json.dumps(dict(fields, id={execution!r})).encode()
    return struct.pack(">I", len(body)) + body
result = frame(op="result", ok=True, text="'forged'", error=None, final=None)
os.write(3, frame(op="display", data={{"text/plain": "wait"}}) + result)
os.kill(os.getpid(), signal.SIGSEGV)
"""
    result = await box.execute(Job(execution, code, 5), lambda _: time.sleep(0.1))
    after, _, _ = await run(box, "1")
    assert result.variables_lost or after.variables_lost
    assert result.usage.wall_seconds is not None, "what the launcher measured was thrown away"


async def test_limits_hit_pids(open_box):
    box = await open_box(memory_bytes=1024 * MIB)  # stacks of threads are address space
    need(box, "cgroup_pids")
    code = "import threading, time\nfor _ in range(100): threading.Thread(target=time.sleep, args=(0.2,)).start()"
    result, _, _ = await run(box, code)
    assert (result.outcome, result.error.name) == ("error", "RuntimeError")
    assert result.limits_hit == ("pids",)
    assert (await run(box, "1"))[0].limits_hit == ()


async def test_pids_are_limited_without_a_cgroup_too(open_box):
    box = await open_box(pids=8)
    code = """
import os, time
children = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        children += 1
except OSError:
    pass
children
"""
    assert 5 <= int((await run(box, code))[0].text) <= 10


async def test_limits_hit_memory_when_the_kernel_takes_a_child_and_not_the_guest(open_box):
    box = await open_box(memory_bytes=96 * MIB)
    need(box, "cgroup_memory")
    code = """
import os, time
def hold(mib):
    held = bytearray(mib << 20)
    held[::4096] = bytes(len(held[::4096]))
    return held
mine = hold(20)
for _ in range(2):
    if os.fork() == 0:
        more = hold(45)
        time.sleep(20)
os.waitstatus_to_exitcode(os.wait()[1])
"""
    result, _, _ = await run(box, code)
    assert (result.outcome, result.text) == ("ok", "-9")
    assert result.limits_hit == ("memory",)
    assert (await run(box, "1"))[0].limits_hit == ()


async def test_limits_hit_disk(box):
    result, _, _ = await run(box, "open('big', 'wb').write(bytes(64 << 20))")
    assert (result.outcome, result.error.name) == ("error", "OSError")
    code = "import os\nfor n in range(100): open('part%d' % n, 'wb').write(bytes(1 << 20))"
    result, _, _ = await run(box, code)
    assert result.error.name == "OSError"
    assert result.limits_hit == ("disk",)


async def test_usage_has_a_source_for_each_figure_and_no_made_up_zero(box):
    result, _, _ = await run(
        box, "open('f', 'wb').write(bytes(1 << 20)); x = sum(range(2_000_000)); print('12345')"
    )
    usage = result.usage
    assert 0.01 < usage.cpu_seconds < 5
    assert usage.cpu_seconds <= usage.wall_seconds * os.cpu_count() + 0.05
    assert MIB <= usage.disk_bytes < 2 * MIB
    assert usage.output_bytes == 6
    assert usage.tool_calls is None
    figures = "cpu_seconds wall_seconds memory_peak_bytes pids_peak disk_bytes output_bytes".split()
    assert set(usage.sources) == {name for name in figures if getattr(usage, name) is not None}
    has_cgroup = next(row for row in box.protections if row.name == "cgroup_memory").active
    if jail_boxes.peaks_begin_anew():
        assert (usage.memory_peak_bytes is not None) == has_cgroup


async def test_memory_peak_is_the_execution_s_own(box):
    need(box, "cgroup_memory")
    big, _, _ = await run(box, "b = bytearray(64 << 20); b[::4096] = bytes(len(b[::4096])); del b")
    small, _, _ = await run(box, "1")
    assert big.usage.memory_peak_bytes >= 64 * MIB
    if jail_boxes.peaks_begin_anew():
        assert small.usage.memory_peak_bytes < 48 * MIB
    else:
        assert small.usage.memory_peak_bytes is None, (
            "it is not known: the box's peak of all times says nothing of it"
        )


async def test_a_death_between_executions_is_told_with_the_next(box):
    await run(box, "kept = 1")
    before = jail_boxes.find("inmate")
    os.kill(before[0], signal.SIGKILL)
    assert await jail_boxes.eventually(lambda: jail_boxes.find("inmate") not in (before, []))
    await asyncio.sleep(
        0.1
    )  # for the front's loop to read of it: what starts before that ends as killed, and says so
    result, _, _ = await run(box, "1 + 1")
    assert (result.outcome, result.text) == ("ok", "2")
    assert result.variables_lost
    assert not (await run(box, "1"))[0].variables_lost


async def test_two_executions_at_once_are_refused_also_while_the_interpreter_restarts(box):
    await run(box, "import os; os._exit(0)")
    both = [asyncio.ensure_future(run(box, "import time; time.sleep(0.2)", 1)) for _ in range(2)]
    _, late = await asyncio.wait(both, timeout=3)
    for task in late:
        task.cancel()
    ended = await asyncio.gather(*both, return_exceptions=True)
    assert not late, "one of the two never ended"
    assert [error.code for error in ended if isinstance(error, SandboxdError)] == [Code.SESSION_BUSY]
