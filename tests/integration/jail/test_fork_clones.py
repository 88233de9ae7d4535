"""Live clones: what each has for itself, what it refuses, and that its work directory is its own."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from jail_boxes import answer, eventually, need, run, run_fully

from sandboxd.errors import Code, SandboxdError

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

SHOW = "import json, os; print(json.dumps([x, open('kept').read(), sorted(os.listdir('.'))]))"


async def test_variables_and_relative_files_diverge(open_box):
    box = await open_box(forks=4)
    await run(box, "x = 1\nopen('kept', 'w').write('original')")
    one, two = await box.fork(2)
    await run(one, "x = 2\nopen('kept', 'w').write('one'); open('more', 'w').close()")
    await run(two, "x = 3\nos = __import__('os'); os.remove('kept'); open('kept', 'w').write('two')")
    await run(box, "x = 4")
    assert await answer(box, SHOW) == [4, "original", ["kept"]]
    assert await answer(one, SHOW) == [2, "one", ["kept", "more"]]
    assert await answer(two, SHOW) == [3, "two", ["kept"]]
    assert box.workdir == "/work"
    assert len({box.workdir, one.workdir, two.workdir}) == 3
    for clone in (one, two):
        code = "import json, os; print(json.dumps([os.getcwd(), os.environ['HOME']]))"
        assert await answer(clone, code) == [clone.workdir] * 2


async def test_an_absolute_path_of_the_original_is_refused_in_a_clone(open_box):
    box = await open_box(forks=2)
    need(box, "landlock")
    await run(box, "import os\nopen('/work/secret', 'w').write('original')")
    (clone,) = await box.fork(1)
    for attempt in (
        "open('/work/secret')",
        "open('/work/new', 'w')",
        "os.listdir('/work')",
        "os.remove('/work/secret')",
    ):
        result, _, _ = await run(clone, attempt)
        assert result.error is not None, attempt
        assert result.error.name == "PermissionError", (attempt, result.error)
    assert await answer(box, "print(int(open('/work/secret').read() == 'original'))") == 1
    assert f"its files are in {clone.workdir}" in result.error.traceback, (
        "the hint names the clone's own directory"
    )


async def test_what_a_program_starts_in_a_clone_works_in_its_directory(open_box):
    box = await open_box(forks=2)
    (clone,) = await box.fork(1)
    code = """
import json, os, subprocess, sys
script = "import os; open('by-child', 'w').write(os.getcwd()); print(os.getcwd())"
told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
print(json.dumps([told, open("by-child").read()]))"""
    assert await answer(clone, code) == [clone.workdir] * 2
    assert await answer(box, "import json, os; print(json.dumps(os.listdir('.')))") == []


async def test_a_module_beside_the_program_is_found_in_the_clones_own_directory(open_box):
    box = await open_box(forks=2)
    await run(box, "open('helper.py', 'w').write('NAME = 1')\nimport helper")
    (clone,) = await box.fork(1)
    await run(clone, "open('other.py', 'w').write('NAME = 2')")
    assert await answer(clone, "import other; print(other.NAME + helper.NAME)") == 3
    result, _, _ = await run(box, "import other")
    assert result.error is not None
    assert result.error.name == "ModuleNotFoundError"


async def test_random_state_is_drawn_anew_in_clones(open_box):
    box = await open_box(forks=4)
    await run(box, "import random, tempfile, json\nrandom.seed(1)")
    clones = await box.fork(3)
    drawn = [await answer(one, "print(json.dumps(random.getrandbits(64)))") for one in (box, *clones)]
    assert len(set(drawn)) == 4
    names = [await answer(one, "print(json.dumps(next(tempfile._get_candidate_names())))") for one in clones]
    assert len(set(names)) == 3


async def test_clones_of_clones(open_box):
    box = await open_box(forks=4)
    await run(box, "x = 0\nopen('kept', 'w').write('0')")
    line = [box]
    for depth in range(1, 4):
        (clone,) = await line[-1].fork(1)
        await run(clone, f"x = {depth}; open('kept', 'w').write('{depth}')")
        line.append(clone)
    for depth, one in enumerate(line):
        assert await answer(one, SHOW) == [depth, str(depth), ["kept"]]
    assert line[3].workdir.startswith(line[2].workdir.removesuffix("/work"))
    await line[1].close()  # the one in the middle
    assert (await answer(line[3], SHOW))[0] == 3
    assert (await answer(box, SHOW))[0] == 0


async def test_a_parent_cannot_be_reached_by_its_path_from_a_nested_clone(open_box):
    box = await open_box(forks=3)
    need(box, "landlock")
    (parent,) = await box.fork(1)
    await run(parent, "import os\nopen('own', 'w').write('parent')\nplace = os.path.abspath('own')")
    (child,) = await parent.fork(1)
    result, _, _ = await run(child, "open(place)")
    assert result.error is not None
    assert result.error.name == "PermissionError"
    assert await answer(child, "print(int(open('own').read() == 'parent'))") == 1


async def test_threads_are_refused_and_named(open_box):
    box = await open_box(forks=2)
    await run(
        box,
        "import threading\nstop = threading.Event()\nthread = threading.Thread(target=stop.wait, name='worker-of-mine')\n"
        "thread.start()",
    )
    with pytest.raises(SandboxdError) as refused:
        await box.fork(1)
    assert refused.value.code is Code.FORK_REFUSED
    assert "1 threads" in refused.value.message
    assert "worker-of-mine" in refused.value.message
    await run(box, "stop.set(); thread.join()")
    (clone,) = await box.fork(1)
    assert await answer(clone, "print(threading.active_count())") == 1


async def test_pending_tasks_of_asyncio_live_on_in_both(open_box):
    box = await open_box(forks=2)
    await run(
        box,
        "import asyncio, os\nseen = []\nasync def tick():\n    while True:\n        await asyncio.sleep(0.01); seen.append(os.getpid())\n"
        "task = asyncio.create_task(tick())\nawait asyncio.sleep(0.05)",
    )
    (clone,) = await box.fork(1)
    code = """
import json
seen.clear()
await asyncio.sleep(0.1)
got = await asyncio.get_running_loop().run_in_executor(None, os.getpid)
proc = await asyncio.create_subprocess_exec("/bin/true") if os.path.exists("/bin/true") else None
print(json.dumps([len(seen) > 2, set(seen) == {os.getpid()}, got == os.getpid()]))"""
    for one in (clone, box, clone):
        assert await answer(one, code) == [True, True, True]


async def test_readers_registered_with_the_loop_are_each_ones_own(open_box):
    box = await open_box(forks=2)
    await run(
        box,
        "import asyncio, os\nr, w = os.pipe()\ngot = []\nasync def listen():\n"
        "    asyncio.get_running_loop().add_reader(r, lambda: got.append(os.read(r, 9)))\nawait listen()",
    )
    (clone,) = await box.fork(1)
    await run(clone, "async def off():\n    asyncio.get_running_loop().remove_reader(r)\nawait off()")
    code = "os.write(w, b'x')\nawait asyncio.sleep(0.05)\nimport json; print(json.dumps(len(got)))"
    assert await answer(box, code) == 1, "the original's registration is untouched by the clone's"


async def test_hooks_and_identity_are_as_after_a_fork(open_box):
    box = await open_box(forks=2)
    await run(
        box,
        "import os, threading\nran = []\nos.register_at_fork(after_in_child=lambda: ran.append(os.getpid()))\nfirst = os.getpid()",
    )
    (clone,) = await box.fork(1)
    code = """import json
print(json.dumps([ran == [os.getpid()], os.getpid() != first, os.getppid(), os.getsid(0) == os.getpid(),
                  threading.main_thread() is threading.current_thread(), threading.get_native_id() == os.getpid()]))"""
    assert await answer(clone, code) == [True, True, 1, True, True, True]
    assert await answer(box, "print(len(ran))") == 0


async def test_a_clone_holds_only_its_own_ends(open_box):
    """Its descriptors of the session are none of the original's; the program's own are shared, as after a fork."""
    box = await open_box(forks=2)
    await run(
        box, "import json, os, stat\nopen('data', 'w').write('0123456789')\nfile = open('data')\nfile.read(0)"
    )
    kinds = """
def look():
    found = {}
    for fd in range(512):
        try:
            info = os.fstat(fd)
        except OSError:
            continue
        if not stat.S_ISREG(info.st_mode) and not stat.S_ISCHR(info.st_mode):
            found[fd] = info.st_ino
    return found
print(json.dumps(look()))"""
    before = await answer(box, kinds)
    (clone,) = await box.fork(1)
    after = await answer(clone, kinds)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values()), (
        "a pipe or socket of the original was left in the clone"
    )


async def test_streams_and_displays_go_to_the_clones_own_reader(open_box):
    box = await open_box(forks=2)
    (clone,) = await box.fork(1)
    mine, other = await asyncio.gather(
        run_fully(clone, "import sys; print('clone'); print('err', file=sys.stderr); display('shown'); 7"),
        run_fully(box, "print('original'); 8"),
    )
    assert (mine.stdout, mine.output("stderr"), mine.result.text) == ("clone\n", b"err\n", "7")
    assert len(mine.displays) == 1
    assert (other.stdout, other.result.text) == ("original\n", "8")


async def test_files_of_a_clone_go_through_pid_1_to_its_own_directory(open_box):
    box = await open_box(forks=2)
    await run(box, "open('kept', 'w').write('original')")
    (clone,) = await box.fork(1)
    descriptor, _ = await clone.open_file("up", "w")
    os.write(descriptor, b"uploaded")
    os.close(descriptor)
    await clone.commit_file("up", keep=True)
    assert await answer(clone, "import json; print(json.dumps(open('up').read()))") == "uploaded"
    assert [entry.path for entry in (await box.list_files("."))[0]] == ["kept"]
    assert sorted(entry.path for entry in (await clone.list_files("."))[0]) == ["kept", "up"]
    # Where the program put a link in the place of its directory, pid 1 does not follow it.
    await run(
        clone,
        f"import os; os.chdir('/tmp'); os.rename('{clone.workdir}', '{clone.workdir}-'); os.symlink('/tmp', '{clone.workdir}')",
    )
    with pytest.raises(SandboxdError):
        await clone.list_files(".")


async def test_a_killed_clone_is_replaced_in_its_own_place(open_box):
    box = await open_box(forks=2)
    need(box, "landlock")
    await run(box, "x = 1")
    (clone,) = await box.fork(1)
    await run(clone, "open('own', 'w').write('stays')")
    result, _, _ = await run(clone, "import os; os.kill(os.getpid(), 9)")
    assert (result.outcome, result.variables_lost) == ("killed", True)
    code = "import json, os; print(json.dumps([os.getcwd(), open('own').read(), 'x' in globals()]))"
    assert await answer(clone, code) == [clone.workdir, "stays", False]
    result, _, _ = await run(clone, "open('/work/x', 'w')")
    assert result.error is not None
    assert result.error.name == "PermissionError"
    (again,) = await clone.fork(1)
    assert (await answer(again, code))[1] == "stays"
    assert await answer(box, "print(x)") == 1


async def test_a_busy_session_is_not_forked(open_box):
    box = await open_box(forks=2)
    running = asyncio.ensure_future(run(box, "import time; time.sleep(0.3)"))
    await asyncio.sleep(0.1)
    for act in (box.fork(1), box.checkpoint("a"), box.rollback("a")):
        with pytest.raises(SandboxdError) as refused:
            await act
        assert refused.value.code is Code.SESSION_BUSY
    await running


async def test_the_limit_of_members_holds_for_the_tree(open_box):
    box = await open_box(forks=3)
    one, two = await box.fork(2)
    await one.checkpoint("kept")
    for act in (box.fork(1), two.fork(1), two.checkpoint("b")):
        with pytest.raises(SandboxdError) as refused:
            await act
        assert refused.value.code is Code.FORK_LIMIT
    await two.close()
    (three,) = await one.fork(1)
    assert await answer(three, "print(1)") == 1
    none = await open_box(forks=0)
    with pytest.raises(SandboxdError) as refused:
        await none.fork(1)
    assert refused.value.code is Code.FORK_LIMIT


async def test_members_take_nothing_of_the_programs_processes(open_box):
    box = await open_box(forks=8, pids=6)
    need(box, "cgroup_pids")
    clones = await box.fork(5)
    await box.checkpoint("a")
    code = """
import json, os, signal
made = []
try:
    while len(made) < 50:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        made.append(pid)
except OSError:
    pass
for pid in made:
    os.kill(pid, 9); os.waitpid(pid, 0)
print(json.dumps(len(made)))"""
    alone = await open_box(pids=6)
    assert await answer(clones[0], code) - await answer(alone, code) in {0, 1}, (
        "a place is kept for pid 1's helper"
    )


async def test_closing_the_original_leaves_its_clones(open_box):
    box = await open_box(forks=3)
    await run(box, "x = 1\nopen('kept', 'w').write('a')")
    one, two = await box.fork(2)
    await box.close()
    assert await answer(one, SHOW) == [1, "a", ["kept"]]
    assert await eventually(lambda: True)
    (more,) = await two.fork(1)
    assert (await answer(more, SHOW))[0] == 1
    for last in (one, two, more):
        await last.close()


async def test_the_bigger_half_of_the_disk_cannot_be_cloned(open_box):
    box = await open_box(forks=2, disk_bytes=8 << 20)
    await run(box, "x = 1\nopen('big', 'wb').write(bytes(5 << 20))")
    with pytest.raises(SandboxdError) as failed:
        await box.fork(1)
    assert failed.value.code is Code.FORK_FAILED
    assert "No space left" in failed.value.message
    # The half that was copied is removed again.
    free = "import json, os; print(json.dumps(os.statvfs('/work').f_bavail * os.statvfs('/work').f_frsize > 2 << 20))"
    until = asyncio.get_running_loop().time() + 5
    while not await answer(box, free):
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.05)
    await run(box, "import os; os.remove('big')")
    (clone,) = await box.fork(1)
    assert json.loads((await run(clone, "print(x)"))[1]) == 1


async def test_branches_that_fork_work_and_end_at_once(open_box):
    """What one sweeps at its end is none of the others': neither what they started, nor a clone that is being made."""
    box = await open_box(forks=40, pids=64)
    await run(box, "x = 0")

    async def branch(parent, depth: int) -> int:
        (clone,) = await parent.fork(1)
        leave = "import os, time\nif os.fork() == 0:\n    if os.fork() == 0: time.sleep(60)\n    os._exit(0)"
        await run(clone, f"x += {depth}\n{leave}")
        total = int(await answer(clone, "print(x)"))
        if depth < 3:
            for _ in range(2):
                total += await branch(clone, depth + 1)
        if depth == 2:
            await clone.checkpoint("a")
            await run(clone, "x = 99; import os; os._exit(1)")
            await clone.rollback("a")
        result, _, _ = await run(clone, "y = x")
        assert result.outcome == "ok", (result.outcome, result.evidence)
        await clone.close()
        return total

    serial = 1 + 2 * 3 + 4 * 6
    assert await asyncio.gather(*(branch(box, 1) for _ in range(1))) == [serial]
    clones = await box.fork(4)
    assert await asyncio.gather(*(branch(clone, 1) for clone in clones)) == [serial] * 4
    assert await answer(box, "print(x)") == 0


async def test_a_daemon_of_one_clone_survives_the_end_of_another(open_box):
    box = await open_box(forks=3)
    one, two = await box.fork(2)
    daemon = """
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        while True:
            open('ticks', 'a').write('x'); time.sleep(0.01)
    os._exit(0)
time.sleep(0.1)"""
    await run(one, daemon)
    await two.close()
    await run(box, "import os; os._exit(0)")
    size = (
        "import os, time; a = os.path.getsize('ticks'); time.sleep(0.2); print(os.path.getsize('ticks') - a)"
    )
    assert await answer(one, size) > 0
