"""The log under real faults: kill -9 in mid-append, a full disk, a file size limit, a reader beside the writer."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandboxd.log import Executions, Log, StateDir, read_history, verify
from sandboxd.log.segments import list_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

# Appends for ever from eight tasks and acknowledges on stdout what `before` has returned for.
APPENDER = """
import asyncio, itertools, os, sys
from pathlib import Path
from sandboxd.events import Outcome, Result
from sandboxd.log import Executions, Intent, Log, StateDir, read_history

async def work(executions, worker, run):
    for number in itertools.count():
        execution_id = f"{run}-{worker}-{number}"
        await executions.begin(Intent(execution_id, 1000, "s-1", "a" * 64, "default", "b" * 64))
        os.write(1, f"{execution_id}\\n".encode())
        executions.finish(execution_id, Result(Outcome.OK))
        await asyncio.sleep(0)

async def main(directory, durability, run):
    state = StateDir.open(Path(directory))
    log = Log.open(state.log_dir, durability=durability, rotate_bytes=20_000, max_total_bytes=1 << 30)
    executions = Executions.open(log, read_history(state.log_dir))
    await asyncio.gather(*(work(executions, worker, run) for worker in range(8)))

asyncio.run(main(*sys.argv[1:]))
"""

# Appends until the log fails, and tells how: the records it was told are durable, then the refusals.
UNTIL_FAILURE = """
import asyncio, sys
from pathlib import Path
from sandboxd.errors import SandboxdError
from sandboxd.log import Log

async def main(directory, durability):
    log = Log.open(Path(directory), durability=durability, rotate_bytes=1 << 30, max_total_bytes=1 << 30)
    acknowledged = 0
    try:
        while True:
            await log.before("test", {"padding": "x" * 300})
            acknowledged += 1
    except SandboxdError as error:
        codes = [error.code]
    for _ in range(3):
        log.after("test", {})
        try:
            await log.before("test", {})
        except SandboxdError as error:
            codes.append(error.code)
    print(acknowledged, *codes, log.failed)
    log.close()

asyncio.run(main(*sys.argv[1:]))
"""


def run_child(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        arguments, env=environment(), capture_output=True, text=True, timeout=60, check=False, **settings
    )


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def append_and_kill(directory: Path, durability: str, run: int, after_seconds: float) -> list[str]:
    """Kill a child in mid-append; return the ids it had acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(directory), durability, str(run)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    killer = subprocess.Popen(["sh", "-c", f"sleep {after_seconds}; kill -9 {child.pid}"])
    rest = child.stdout.read()
    killer.wait()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return [first.strip(), *rest.split()]


@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_after_kill_9_the_log_verifies_and_holds_every_acknowledged_record(
    tmp_path: Path, durability: str
) -> None:
    acknowledged: list[str] = []
    chance = random.Random(7)
    for run in range(6):
        acknowledged += append_and_kill(tmp_path / "state", durability, run, chance.uniform(0.01, 0.2))
        assert verify(tmp_path / "state" / "log").ok
    assert len(acknowledged) > 100
    with StateDir.open(tmp_path / "state") as state:
        log = Log.open(state.log_dir, durability=durability, rotate_bytes=20_000, max_total_bytes=1 << 30)
        executions = Executions.open(log, read_history(state.log_dir))
        for execution_id in acknowledged:
            assert executions.get(execution_id, 1000).result is not None
        log.close()
    report = verify(tmp_path / "state" / "log")
    assert (report.ok, report.torn_bytes, report.first_seq) == (True, 0, 1)
    assert report.segments > 3
    assert_one_outcome_for_each_intent(tmp_path / "state" / "log")


def assert_one_outcome_for_each_intent(directory: Path) -> None:
    intents, outcomes = [], []
    for path in list_segments(directory):
        for line in path.read_bytes().splitlines():
            record = json.loads(line)
            (intents if record["kind"] == "execution_intent" else outcomes).append(record.get("execution_id"))
    outcomes = [execution_id for execution_id in outcomes if execution_id is not None]
    assert len(set(intents)) == len(intents)
    assert sorted(intents) == sorted(outcomes)


def test_a_kill_that_tears_the_last_line_is_repaired_and_recorded(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "log"
    number = 0
    while True:
        acknowledged = append_and_kill(tmp_path / "state", "write", number, 0.05)
        newest = list_segments(directory)[-1]
        if newest.stat().st_size > 100:  # else it was killed just when it had begun a segment
            break
        number += 1
    with newest.open("r+b") as file:  # what a power loss does: the last line ends in the middle
        file.truncate(newest.stat().st_size - 17)
    torn = verify(directory)
    assert torn.ok
    assert torn.torn_bytes > 0
    assert len(append_and_kill(tmp_path / "state", "write", number + 1, 0.05)) > 0
    assert b'"kind":"log_repaired"' in newest.read_bytes()
    report = verify(directory)
    assert report.ok
    assert report.records > torn.records > len(acknowledged) / 2


@pytest.fixture
def appender(tmp_path: Path) -> Iterator[Path]:
    child = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(tmp_path / "state"), "write", "0"],
        env=environment(),
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    drain = subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL)
    yield tmp_path / "state" / "log"
    child.kill()
    child.wait()
    child.stdout.close()
    drain.wait()


def test_verify_beside_a_running_writer_reports_no_corruption(appender: Path) -> None:
    seen = []
    until = time.monotonic() + 1.5
    while time.monotonic() < until or len(seen) < 5:
        report = verify(appender)
        assert report.ok, report
        seen.append(report.last_seq)
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_verify_needs_no_right_to_write(tmp_path: Path) -> None:
    append_and_kill(tmp_path / "state", "write", 0, 0.05)
    directory = tmp_path / "copy"
    shutil.copytree(tmp_path / "state" / "log", directory)
    for path in list_segments(directory):
        path.chmod(0o400)
    directory.chmod(0o500)
    before = {path.name: path.stat().st_mtime_ns for path in [directory, *list_segments(directory)]}
    assert verify(directory).ok
    assert before == {path.name: path.stat().st_mtime_ns for path in [directory, *list_segments(directory)]}
    directory.chmod(0o700)


@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_a_file_size_limit_stops_everything_for_good(tmp_path: Path, durability: str) -> None:
    script = 'ulimit -f 16; exec "$0" -c "$1" "$2" "$3"'
    child = run_child("bash", "-c", script, sys.executable, UNTIL_FAILURE, str(tmp_path / "log"), durability)
    acknowledged, *codes, failed = child.stdout.split()
    assert codes == ["LOG_FAILED"] * 4
    assert failed == "True"
    assert int(acknowledged) > 10
    report = verify(tmp_path / "log")
    assert report.ok
    assert report.records == int(acknowledged)
    assert report.torn_bytes > 0
    Log.open(tmp_path / "log", durability="write", rotate_bytes=1 << 20, max_total_bytes=1 << 20).close()
    assert verify(tmp_path / "log").records == int(acknowledged) + 1


@pytest.mark.userns
@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_a_full_disk_stops_everything_for_good(tmp_path: Path, durability: str) -> None:
    """A real full tmpfs, in a mount namespace of its own: nothing stays mounted, whatever happens."""
    script = (
        'mount -t tmpfs -o size=64k none "$2" && "$0" -c "$1" "$2/log" "$3" && '
        'cp -r "$2/log" "$4" && "$0" -c "$1" "$2/log" "$3"'
    )
    mount, copy = tmp_path / "mount", tmp_path / "copy"
    mount.mkdir()
    child = run_child(
        *("unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script),
        *(sys.executable, UNTIL_FAILURE, str(mount), durability, str(copy)),
    )
    assert child.stdout, child.stderr
    first, *_ = child.stdout.splitlines()
    acknowledged, *codes, failed = first.split()
    assert codes == ["LOG_FAILED"] * 4
    assert failed == "True"
    assert int(acknowledged) > 10
    report = verify(copy)
    assert report.ok
    assert report.records == int(acknowledged)
    # The second start, on the disk that is still full, either repairs within the room or refuses to start.
    assert "LOG_FAILED" in child.stdout + child.stderr
