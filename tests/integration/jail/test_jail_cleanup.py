"""Invariant 8: whoever dies, and whenever, nothing of a box is left within seconds, without a next start.

This process makes itself the reaper of orphans, so that every process of ours stays its descendant, whatever died between.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import jail_boxes
import pytest
import pytest_asyncio
from jail_boxes import PHASES, eventually, find, run
from traces import Snapshot, adopt_orphans

from sandboxd.errors import SandboxdError
from sandboxd.executors.base import Job
from sandboxd.executors.process import ProcessExecutor, ProcessSettings

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module", autouse=True)
def _reaper_of_orphans() -> Iterator[None]:
    with adopt_orphans():
        yield


class Traces:
    """What there is of us on this host, and of our cgroups and descriptors beside it."""

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        self.instances: list[str] = []
        self.before = self._now()

    def _now(self) -> tuple[object, ...]:
        cgroups = [path for name in self.instances for path in jail_boxes.cgroup_directories(name)]
        return Snapshot.take(directories=[self.temporary]), cgroups, len(os.listdir("/proc/self/fd"))

    async def gone(self, seconds: float = 5.0) -> None:
        """Wait until all is as it was."""
        await eventually(lambda: self._now() == self.before, seconds)
        assert self._now() == self.before


@pytest_asyncio.fixture(loop_scope="module")
async def traces(tmp_path, monkeypatch) -> AsyncIterator[Traces]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield Traces(tmp_path)
    # A failed test leaves nothing to the next one. The undertaker, childless, is left to do its work.
    while left := jail_boxes.family():
        parents = {process.parent for process in left}
        for process in left:
            if process.role != "launcher" or process.pid in parents:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        await asyncio.sleep(0.05)


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(traces) -> AsyncIterator[ProcessExecutor]:
    """An executor of this test alone."""
    executor = ProcessExecutor(
        ProcessSettings(environments_dir=Path("/nonexistent"), pool_size=1, pool_max=1)
    )
    traces.instances.append(executor.instance)
    await executor.start()
    yield executor
    async with asyncio.timeout(15):
        await executor.close()


async def enter(phase: str, executor: ProcessExecutor) -> tuple[asyncio.Future, object]:
    """Bring a box into a phase; return what runs there and the box (None while it opens)."""
    if phase == "opening":
        return asyncio.gather(
            *(jail_boxes.open_box(executor) for _ in range(4)), return_exceptions=True
        ), None
    box = await jail_boxes.open_box(executor)
    job = Job("x-000000", PHASES[phase] or "1", 30)
    running = asyncio.ensure_future(box.execute(job, lambda _: None))
    await asyncio.sleep(0.3)
    return running, box


async def strike(role: str) -> None:
    """Kill a process of a role as soon as there is one: the interpreter, the pid 1 above it, or the youngest."""
    assert await eventually(lambda: bool(find(role))), f"no {role} to kill"
    parents = {process.pid: process.parent for process in jail_boxes.family()}
    inmates = [pid for pid in find("inmate") if pid in parents]
    youngest = find(role)[-1]
    victim = {"inmate": inmates[0], "pid1": parents[inmates[0]]}.get(role, youngest) if inmates else youngest
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)


async def test_a_normal_end_leaves_nothing(fresh, traces):
    box = await jail_boxes.open_box(fresh)
    await run(
        box,
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)",
    )
    assert {process.role for process in jail_boxes.family()} >= {"launcher", "zygote", "pid1", "inmate"}
    await box.close()
    assert find("inmate") == []
    await fresh.close()
    await traces.gone()


@pytest.mark.parametrize("phase", ["running", "fork bomb"])
async def test_closing_a_box_that_runs_leaves_nothing_of_it(fresh, traces, phase):
    running, box = await enter(phase, fresh)
    await box.close()
    assert (await running).outcome == "infrastructure"
    assert find("inmate") == []
    await fresh.close()
    await traces.gone()


def left() -> set[str]:
    """Return the roles that are left but the undertaker, which waits for the front's end or the next launcher."""
    return {process.role for process in jail_boxes.family()} - {"undertaker"}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("role", ["inmate", "pid1", "zygote", "launcher"])
async def test_a_kill_leaves_nothing(fresh, traces, role, phase):
    doing, box = await enter(phase, fresh)
    await strike(role)
    if role == "launcher":  # the front lives on: processes, cgroups and mounts go all the same
        await eventually(lambda: left() == set() and not jail_boxes.cgroup_directories(fresh.instance))
        assert left() == set()
        assert jail_boxes.cgroup_directories(fresh.instance) == []
    if phase in {"running", "fork bomb"} and role == "zygote" and box is not None:
        box.cancel("client")
    done, _ = await asyncio.wait([doing], timeout=15)
    assert done, "the caller was left waiting"
    if phase == "opening":
        opened = doing.result()
        assert all(isinstance(one, SandboxdError) or hasattr(one, "execute") for one in opened), opened
    await fresh.close()
    await traces.gone()


@pytest.mark.parametrize("phase", PHASES)
async def test_a_killed_front_leaves_nothing(traces, tmp_path_factory, phase):
    ephemeral = tmp_path_factory.mktemp("ephemeral")
    (ephemeral / "state").mkdir()
    (ephemeral / "state" / "file").write_text("private")
    command = [
        sys.executable,
        str(Path(__file__).with_name("front.py")),
        "/nonexistent",
        str(ephemeral),
        phase,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as front:
        said = json.loads(await asyncio.to_thread(front.stdout.readline))
        traces.instances.append(said["instance"])
        assert find("launcher")
        front.kill()
    await traces.gone()
    assert not ephemeral.exists()


@pytest.mark.parametrize("delay_ms", [0, 50, 100, 150, 200, 250, 300, 400])
async def test_a_front_killed_at_any_moment_of_its_start_leaves_nothing(traces, tmp_path_factory, delay_ms):
    ephemeral = tmp_path_factory.mktemp("ephemeral")
    command = [
        sys.executable,
        str(Path(__file__).with_name("front.py")),
        "/nonexistent",
        str(ephemeral),
        "opening",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as front:
        await eventually(lambda: bool(find("launcher")))
        await asyncio.sleep(delay_ms / 1000)
        front.kill()
    await traces.gone()


async def test_an_open_session_outlives_its_zygote(fresh):
    box = await jail_boxes.open_box(fresh)
    await run(box, "kept = 41")
    await strike("zygote")
    assert (await run(box, "kept + 1"))[0].text == "42"
    await run(box, "import os; os._exit(0)")
    assert (await run(box, "1 + 1"))[0].text == "2", "the next interpreter needs no zygote"
    await asyncio.sleep(0.1)
    another = await jail_boxes.open_box(fresh)
    assert (await run(another, "2 + 2"))[0].text == "4", "a new zygote was started for a new box"


async def test_the_other_boxes_outlive_a_killed_one(fresh):
    one = await jail_boxes.open_box(fresh)
    (inmate,) = find("inmate")
    two = await jail_boxes.open_box(fresh)
    await run(two, "kept = 1")
    lost: list[str] = []
    one.on_lost(lost.append)
    two.on_lost(lost.append)
    parents = {process.pid: process.parent for process in jail_boxes.family()}
    os.kill(parents[inmate], signal.SIGKILL)
    assert await eventually(lambda: bool(lost))
    assert (await run(two, "kept"))[0].text == "1"
    assert len(lost) == 1


async def test_a_lost_launcher_is_told_to_every_box_and_replaced(fresh):
    box = await jail_boxes.open_box(fresh)
    lost: list[str] = []
    box.on_lost(lost.append)
    await strike("launcher")
    assert await eventually(lambda: len(lost) == 1)
    with pytest.raises(SandboxdError, match="SESSION_LOST"):
        await run(box, "1")
    another = await jail_boxes.open_box(fresh)
    assert (await run(another, "1 + 1"))[0].text == "2"
    await another.close()


async def test_boxes_come_and_go_without_a_trace(fresh):
    await (await jail_boxes.open_box(fresh)).close()
    await asyncio.sleep(0.3)
    (launcher,) = find("launcher")
    held = [os.listdir(f"/proc/{pid}/fd") for pid in (launcher, os.getpid())]
    members = len(jail_boxes.family())
    for _ in range(15):
        box = await jail_boxes.open_box(fresh)
        await run(box, "1")
        await box.close()
    await asyncio.sleep(0.3)
    assert [len(os.listdir(f"/proc/{pid}/fd")) for pid in (launcher, os.getpid())] == [
        len(fds) for fds in held
    ]
    assert len(jail_boxes.family()) == members
