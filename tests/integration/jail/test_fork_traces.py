"""After clones and checkpoints nothing is left: no process, no descriptor of launcher or front, no file, no cgroup."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from jail_boxes import answer, cgroup_directories, eventually, open_box, run

from sandboxd.executors.process import ProcessExecutor, ProcessSettings
from sandboxd.executors.process_box import ProcessBox

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(tmp_path_factory) -> AsyncIterator[ProcessExecutor]:
    """A launcher in which nothing waits: what it holds is what its boxes need."""
    executor = ProcessExecutor(
        ProcessSettings(tmp_path_factory.mktemp("environments"), pool_size=0, pool_max=0, pool_fresh=0)
    )
    await executor.start()
    yield executor
    await executor.close()


def launcher_of(executor: ProcessExecutor) -> int:
    process = executor._link._process
    assert process is not None
    return process.pid


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def below(pid: int) -> list[int]:
    """Return all processes below one, by what the kernel says of children."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *below(int(child))]
    except OSError:
        pass
    return found


async def use(box: ProcessBox) -> None:
    await box.checkpoint("a")
    clones = await box.fork(4)
    (nested,) = await clones[0].fork(1)
    await asyncio.gather(*(run(clone, "open('own', 'w').write('x' * 9)") for clone in clones))
    await nested.checkpoint("b")
    await nested.rollback("b")
    await box.rollback("a")
    await clones[0].close()
    await nested.close()
    for clone in clones[1:]:
        await clone.close()
    await box.drop_checkpoint("a")


async def test_members_that_were_let_go_leave_nothing(alone):
    box = await open_box(alone, forks=12)
    await run(box, "x = 1\nopen('kept', 'w').write('a')")
    launcher = launcher_of(alone)
    # A list of files may be on its way still: at most so many.
    mine, theirs, processes = descriptors(os.getpid()), descriptors(launcher), len(below(launcher))
    for _ in range(3):
        await use(box)
    assert await eventually(lambda: descriptors(os.getpid()) <= mine)
    assert await eventually(lambda: descriptors(launcher) <= theirs)
    left = "import json, os; print(json.dumps(os.listdir('/clones')))"
    until = asyncio.get_running_loop().time() + 5
    while found := await answer(box, left):  # a helper removes them, some time
        assert asyncio.get_running_loop().time() < until, found
        await asyncio.sleep(0.02)
    assert await eventually(lambda: len(below(launcher)) == processes)
    await box.close()


async def test_the_last_close_ends_the_tree(alone):
    launcher = launcher_of(alone)
    mine, theirs, processes = descriptors(os.getpid()), descriptors(launcher), set(below(launcher))
    groups = [len(list(path.iterdir())) for path in cgroup_directories(alone.instance)]
    box = await open_box(alone, forks=12)
    clones = await box.fork(3)
    await clones[1].checkpoint("a")
    await run(
        clones[2], "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'while True: pass'])"
    )
    await box.close()
    assert len(set(below(launcher)) - processes) >= 4, "the clones live on"
    await asyncio.gather(*(clone.close() for clone in clones))
    assert await eventually(lambda: set(below(launcher)) == processes)
    assert await eventually(lambda: descriptors(os.getpid()) <= mine)
    assert await eventually(lambda: descriptors(launcher) <= theirs)
    assert [len(list(path.iterdir())) for path in cgroup_directories(alone.instance)] == groups


async def test_a_launcher_that_is_killed_leaves_no_clone(tmp_path):
    executor = ProcessExecutor(ProcessSettings(tmp_path, pool_size=0, pool_max=0, pool_fresh=0))
    await executor.start()
    try:
        box = await open_box(executor, forks=4)
        clones = await box.fork(2)
        await box.checkpoint("a")
        launcher = launcher_of(executor)
        pids = [one._meter.guest_pid for one in (box, *clones)]
        lost: list[str] = []
        for one in (box, *clones):
            one.on_lost(lost.append)
        os.kill(launcher, 9)
        assert await eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        assert await eventually(lambda: len(lost) == 3)
    finally:
        await executor.close()
