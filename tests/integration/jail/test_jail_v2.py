"""Boxes on a host whose cgroup controllers are all v2, the real ones: `make vm` boots it.

SANDBOXD_TEST_DELEGATED says that this process stands in a group of its own, as a systemd unit with Delegate=yes does.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from jail_boxes import MIB, eventually, find, group_of, open_box, peaks_begin_anew, run

from sandboxd.executors.process import ProcessExecutor, ProcessSettings
from sandboxd.launcher.cgroups import GUEST_GROUP
from sandboxd.launcher.cgroups.detect import LEAF

pytestmark = [pytest.mark.userns, pytest.mark.v2, pytest.mark.asyncio(loop_scope="module")]

DELEGATED = bool(os.environ.get("SANDBOXD_TEST_DELEGATED"))
HOLD = """
def hold(mib):
    held = bytearray(mib << 20)
    held[::4096] = bytes(len(held[::4096]))
    return held
"""


def text(path: Path) -> str:
    return path.read_text().strip()


def members(group: Path) -> set[int]:
    return {int(pid) for pid in text(group / "cgroup.procs").split()}


def the_box() -> tuple[int, Path]:
    """Return the only session's guest and its box's group."""
    (guest,) = find("inmate")
    assert group_of(guest).name == GUEST_GROUP
    return guest, group_of(guest).parent


@pytest_asyncio.fixture(loop_scope="module")
async def limited(tmp_path) -> AsyncIterator[ProcessExecutor]:
    """A launcher whose boxes have 128 MiB together."""
    settings = ProcessSettings(environments_dir=tmp_path, memory_total_bytes=128 * MIB, pool_size=0)
    executor = ProcessExecutor(settings)
    await executor.start()
    yield executor
    await executor.close()


async def test_v2_everything_is_active(box):
    off = {row.name: row.detail for row in box.protections if not row.active}
    assert not [name for name in off if name.startswith("cgroup") or name.endswith("between_snippets")], off


async def test_v2_limits_sit_on_the_box_s_group(open_box):
    await open_box(memory_bytes=96 * MIB, pids=20)
    guest, group = the_box()
    assert text(group / "memory.max") == str(96 * MIB)
    assert text(group / "memory.swap.max") == "0"
    assert text(group / "memory.oom.group") == "0", "pid 1 is to survive"
    assert text(group / "pids.max") == "21"
    assert text(group / "cgroup.subtree_control") == "", "else pid 1 could not be in it"
    assert text(group / "cgroup.type") == "domain threaded"
    assert not (group / GUEST_GROUP / "memory.max").exists()
    (pid_1,) = members(group) - {guest}
    assert group_of(pid_1) == group


async def test_v2_every_figure_is_counted(open_box):
    box = await open_box(memory_bytes=1024 * MIB)  # stacks of threads are address space
    threads = "import threading, time\nfor _ in range(100): threading.Thread(target=time.sleep, args=(0.2,)).start()"
    result, _, _ = await run(box, f"{HOLD}\nheld = hold(64)\n{threads}")
    assert result.limits_hit == ("pids",)
    assert result.usage.memory_peak_bytes >= 64 * MIB
    assert result.usage.cpu_seconds > 0
    assert {result.usage.sources[name] for name in ("memory_peak_bytes", "cpu_seconds")} == {"cgroup"}
    await run(box, "del held")
    result, _, _ = await run(box, "1")
    assert result.limits_hit == ()
    assert (result.usage.memory_peak_bytes is not None) == peaks_begin_anew()
    assert (result.usage.memory_peak_bytes or 0) < 64 * MIB


async def test_v2_the_daemon_makes_room_in_a_group_of_its_own(box):
    home = the_box()[1].parents[1]
    if not DELEGATED:
        assert home == Path("/sys/fs/cgroup"), "the only place where processes may stand beside groups"
        return
    assert members(home) == set()
    assert {os.getpid(), *find("launcher")} <= members(home / LEAF)
    assert {"memory", "pids"} <= set(text(home / "cgroup.subtree_control").split())


async def test_v2_memory_that_runs_out_takes_the_guest_and_all_it_started_and_leaves_pid_1(open_box):
    box = await open_box(memory_bytes=64 * MIB)
    guest, group = the_box()
    (pid_1,) = members(group) - {guest}
    # No single process comes near its own limit; the guest is the largest, so the kernel picks it.
    share = "mine = hold(40)\nfor _ in range(3):\n  if os.fork() == 0:\n    del mine\n    more = hold(15)\n    time.sleep(600)"
    result, _, _ = await run(box, f"{HOLD}\nimport os, time\n{share}\ntime.sleep(600)")
    assert (result.outcome, result.evidence.source) == ("oom", "cgroup")
    assert (await run(box, "6 * 7"))[0].text == "42"
    assert Path(f"/proc/{pid_1}").exists()
    assert len(members(group)) == 2, "pid 1 and the next guest"
    counted = dict(line.split() for line in text(group / "memory.events").splitlines())
    assert int(counted["oom_kill"]) >= 1, "the guest; a child too, if the guest was not gone in time"
    assert int(counted.get("oom_group_kill", 0)) == 0


async def test_v2_one_memory_limit_for_all_boxes(limited):
    boxes = [await open_box(limited, memory_bytes=100 * MIB) for _ in range(2)]
    results = [(await run(box, f"{HOLD}\nmine = hold(80)"))[0] for box in boxes]
    # The kernel takes the larger one, also out of its frozen rest (and the other as well, if the first was not gone in time).
    kept = [(await run(box, "'mine' in globals()"))[0] for box in boxes]
    assert "False" in [result.text for result in kept]
    for first, then in zip(results, kept, strict=True):
        assert first.outcome in ("ok", "oom")
        told = first.outcome == "oom" or then.variables_lost
        assert told == (then.text == "False"), "a loss is told, and nothing but a loss"
    for box in boxes:
        await box.close()


async def test_v2_a_second_launcher_divides_no_further(tmp_path):
    others = find("launcher")
    executor = ProcessExecutor(ProcessSettings(environments_dir=tmp_path, pool_size=0))
    await executor.start()
    box = await open_box(executor)
    home = the_box()[1].parents[1]
    lost: list[str] = []
    box.on_lost(lost.append)
    (launcher,) = set(find("launcher")) - set(others)
    os.kill(launcher, signal.SIGKILL)
    assert await eventually(lambda: bool(lost))
    await eventually(lambda: find("inmate") == [])
    again = await open_box(executor)
    assert the_box()[1].parents[1] == home
    assert not (home / LEAF / LEAF).exists()
    await again.close()
    await executor.close()


async def test_v2_a_closed_box_is_killed_as_one(open_box):
    box = await open_box()
    await run(box, "import os, time\nfor _ in range(15):\n  if os.fork() == 0: os.setsid(); time.sleep(600)")
    group = group_of(find("inmate")[0]).parent
    assert len(members(group)) >= 17
    async with asyncio.timeout(3):
        await box.close()
    assert not group.exists()
    assert find("inmate") == []
