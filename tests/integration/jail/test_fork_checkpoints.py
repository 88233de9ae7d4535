"""Checkpoints and rollback: variables and files go back, the checkpoint stays, and what can go wrong on the way."""

from __future__ import annotations

import asyncio

import pytest
from jail_boxes import answer, run

from sandboxd.errors import Code, SandboxdError

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

SHOW = "import json, os; print(json.dumps([x, {n: open('/work/' + n).read() for n in sorted(os.listdir('/work'))}]))"


async def test_variables_and_files_go_back_as_often_as_one_likes(open_box):
    box = await open_box(forks=2)
    await run(box, "x = 1\nopen('/work/kept', 'w').write('before')")
    await box.checkpoint("first")
    for _ in range(3):
        await run(box, "x = 2\nopen('/work/kept', 'w').write('spoilt'); open('more', 'w').write('x')")
        await box.rollback("first")
        assert await answer(box, SHOW) == [1, {"kept": "before"}]
    assert [name for name, _ in box.checkpoints()] == ["first"]
    assert box.workdir == "/work"


async def test_random_state_goes_back_too(open_box):
    box = await open_box(forks=1)
    await run(box, "import random, json")
    await box.checkpoint("a")
    draw = "print(json.dumps(random.getrandbits(64)))"
    first = await answer(box, draw)
    await box.rollback("a")
    assert await answer(box, draw) == first


async def test_several_checkpoints_and_their_names(open_box):
    box = await open_box(forks=3)
    for n in range(3):
        await run(box, f"x = {n}")
        await box.checkpoint(f"c{n}")
    assert [name for name, _ in box.checkpoints()] == ["c0", "c1", "c2"]
    await box.rollback("c0")
    assert await answer(box, "print(x)") == 0
    await box.rollback("c2")
    assert await answer(box, "print(x)") == 2
    await box.drop_checkpoint("c1")
    await run(box, "x = 7")
    await box.checkpoint("c0")  # replaces the one of that name
    assert [name for name, _ in box.checkpoints()] == ["c2", "c0"]
    await run(box, "x = 8")
    await box.rollback("c0")
    assert await answer(box, "print(x)") == 7
    with pytest.raises(SandboxdError) as missing:
        await box.rollback("c1")
    assert missing.value.code is Code.CHECKPOINT_NOT_FOUND
    assert "c2, c0" in missing.value.remedy


async def test_a_checkpoint_of_that_name_is_replaced_where_there_is_no_room_for_two(open_box):
    box = await open_box(forks=1)
    for n in range(3):
        await run(box, f"x = {n}")
        await box.checkpoint("only")
    await run(box, "x = 9")
    await box.rollback("only")
    assert await answer(box, "print(x)") == 2


async def test_a_dead_interpreter_comes_back(open_box):
    box = await open_box(forks=1)
    await run(box, "x = 1\nopen('kept', 'w').write('a')")
    await box.checkpoint("a")
    result, _, _ = await run(box, "import os; os._exit(3)")
    assert result.variables_lost
    await box.rollback("a")
    result, stdout, _ = await run(box, SHOW)
    assert not result.variables_lost
    assert stdout == '[1, {"kept": "a"}]\n'


async def test_what_the_program_left_running_ends_with_a_rollback(open_box):
    box = await open_box(forks=1)
    await run(box, "x = 1")
    await box.checkpoint("a")
    code = """
import os, threading, time
def write():
    while True:
        open('/work/runs', 'a').write('x'); time.sleep(0.001)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid(); write()
    os._exit(0)
threading.Thread(target=write, daemon=True).start()
time.sleep(0.1)"""
    await run(box, code)
    await box.rollback("a")
    assert await answer(box, SHOW) == [1, {}]
    await run(box, "import time; time.sleep(0.1)")
    assert await answer(box, SHOW) == [1, {}], "somebody of before the rollback still writes"


async def test_odd_files_come_back_as_they_were(open_box):
    box = await open_box(forks=2, files=200)
    make = r"""
import os
os.umask(0)
os.makedirs('dir/sub'); open('dir/sub/file', 'w').write('deep'); os.chmod('dir/sub', 0o500)
os.symlink('../nowhere', 'link'); os.symlink('/etc/passwd', 'abs')
open('plain', 'w').write('p'); os.chmod('plain', 0o640); os.link('plain', 'dir/hard')
os.utime('plain', ns=(10**18, 10**18 + 7))
open('closed', 'w').write('c'); os.chmod('closed', 0)
with open('sparse', 'wb') as f:
    f.seek(4 << 20); f.write(b'end'); f.truncate(6 << 20)
for name in (b'new\nline', b'\xff\xfe', ' lead', 'a' * 255, '-rf', 'ünï'):
    open(name, 'w').write('odd')
os.mkdir('empty')
deep = 'deep'
for _ in range(40):
    os.mkdir(deep); deep += '/d'
x = 1
"""
    look = r"""
import hashlib, json, os, stat
def facts(path):
    s = os.lstat(path)
    what = os.readlink(path) if stat.S_ISLNK(s.st_mode) else ''
    if stat.S_ISREG(s.st_mode) and s.st_mode & 0o400:
        what = hashlib.sha256(open(path, 'rb').read()).hexdigest()
    times = s.st_mtime_ns if not stat.S_ISLNK(s.st_mode) else 0
    return [stat.S_IFMT(s.st_mode), stat.S_IMODE(s.st_mode), s.st_nlink if stat.S_ISREG(s.st_mode) else 0, times,
            s.st_size if stat.S_ISREG(s.st_mode) else 0, s.st_blocks if stat.S_ISREG(s.st_mode) else 0, what]
found = {}
for folder, directories, files in os.walk('.'):
    for name in directories + files:
        path = os.path.join(folder, name)
        found[ascii(path)] = facts(path)
print(json.dumps(found))"""
    result, _, stderr = await run(box, make)
    assert result.outcome == "ok", (result.error, stderr)
    before = await answer(box, look)
    assert len(before) > 50
    await box.checkpoint("a")
    wreck = "import os, shutil\nos.chmod('dir/sub', 0o700)\nfor n in os.listdir('.'):\n    shutil.rmtree(n) if os.path.isdir(n) and not os.path.islink(n) else os.remove(n)\nos.mkdir('plain'); os.mkdir('plain/x'); os.chmod('plain', 0)"
    assert (await run(box, wreck))[0].outcome == "ok"
    await box.rollback("a")
    assert await answer(box, look) == before
    (clone,) = await box.fork(1)
    assert await answer(clone, look) == before


async def test_a_destroyed_checkpoint_is_not_found_and_the_session_lives_on(open_box):
    box = await open_box(forks=2)
    await run(box, "x = 1")
    await box.checkpoint("a")
    kill = "import os\nfor pid in range(2, 300):\n    if pid != os.getpid():\n        try:\n            os.kill(pid, 9)\n        except OSError:\n            pass"
    assert (await run(box, kill))[0].outcome == "ok"
    until = asyncio.get_running_loop().time() + 5
    while box.checkpoints() and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.01)
    assert box.checkpoints() == ()
    with pytest.raises(SandboxdError) as missing:
        await box.rollback("a")
    assert missing.value.code is Code.CHECKPOINT_NOT_FOUND
    assert await answer(box, "print(x)") == 1
    await box.checkpoint("b")
    await box.checkpoint("c")  # the dead one takes no room
    await box.rollback("b")


async def test_a_checkpoint_whose_files_were_removed_gives_what_is_left(open_box):
    """Its data is within reach of the program: whoever destroys it harms its own rollback, which says so or restores less."""
    box = await open_box(forks=1)
    await run(box, "x = 1\nopen('kept', 'w').write('a')")
    await box.checkpoint("a")
    await run(box, "import shutil; shutil.rmtree('/clones', ignore_errors=True); x = 2")
    with pytest.raises(SandboxdError) as failed:
        await box.rollback("a")
    assert failed.value.code is Code.FORK_FAILED
    result, _, _ = await run(box, "y = 1")
    assert (result.outcome, result.variables_lost) == ("ok", True)


async def test_a_full_disk_fails_a_rollback_and_the_next_one_succeeds(open_box):
    box = await open_box(forks=1, disk_bytes=8 << 20)
    await run(box, "x = 1\nopen('big', 'wb').write(bytes(3 << 20))")
    await box.checkpoint("a")
    await run(
        box,
        "import os; os.remove('big'); f = open('/tmp/fill', 'wb')\ntry:\n    f.write(bytes(8 << 20)); f.flush()\nexcept OSError: pass",
    )
    with pytest.raises(SandboxdError) as failed:
        await box.rollback("a")
    assert failed.value.code is Code.FORK_FAILED
    assert "No space left" in failed.value.message
    result, _, _ = await run(box, "import os; os.remove('/tmp/fill')")
    assert (result.outcome, result.variables_lost) == ("ok", True)
    await box.rollback("a")
    assert await answer(box, "import os; print(x + os.path.getsize('big'))") == 1 + (3 << 20)


async def test_a_clone_has_checkpoints_of_its_own(open_box):
    box = await open_box(forks=3)
    await run(box, "x = 1\nopen('kept', 'w').write('a')")
    await box.checkpoint("a")
    (clone,) = await box.fork(1)
    assert clone.checkpoints() == ()
    await run(clone, "x = 2; open('kept', 'w').write('clone')")
    await clone.checkpoint("b")
    await run(clone, "x = 3; open('kept', 'w').write('spoilt')")
    await clone.rollback("b")
    look = "import json, os; print(json.dumps([x, open('kept').read(), os.getcwd()]))"
    assert await answer(clone, look) == [2, "clone", clone.workdir]
    result, _, _ = await run(clone, "open('/work/kept')")
    assert result.error is not None
    assert await answer(box, SHOW) == [1, {"kept": "a"}]


async def test_a_rollback_may_come_while_an_interpreter_is_replaced(open_box):
    box = await open_box(forks=1)
    await run(box, "x = 1")
    await box.checkpoint("a")
    for _ in range(5):
        await run(box, "import os; os.kill(os.getpid(), 11)")
        await box.rollback("a")
        assert await answer(box, "print(x)") == 1


async def test_pending_tasks_come_back_with_a_rollback(open_box):
    box = await open_box(forks=1)
    await run(
        box,
        "import asyncio\nn = 0\nasync def tick():\n    global n\n    while True:\n        await asyncio.sleep(0.01); n += 1\n"
        "task = asyncio.create_task(tick())\nawait asyncio.sleep(0.05)",
    )
    await box.checkpoint("a")
    await run(box, "task.cancel(); await asyncio.sleep(0)")
    await box.rollback("a")
    assert await answer(box, "before = n\nawait asyncio.sleep(0.1)\nprint(int(n > before))") == 1


async def test_a_checkpoint_that_was_just_destroyed_costs_no_interpreter(open_box):
    box = await open_box(forks=2)
    await run(box, "x = 1")
    for _ in range(5):
        await box.checkpoint("a")
        kill = "import os\nfor pid in range(2, 300):\n    if pid != os.getpid():\n        try: os.kill(pid, 9)\n        except OSError: pass"
        await run(box, kill)
        with pytest.raises(SandboxdError) as missing:
            await box.rollback("a")
        assert missing.value.code is Code.CHECKPOINT_NOT_FOUND
        assert await answer(box, "print(x)") == 1
