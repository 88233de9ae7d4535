"""Ten sessions print 1 GB each to a reader that has stopped: flat memory, programs that end, a neighbour that hardly notices.

The neighbour's bound is 2 x its own latency, measured in the same run; on a machine that is busy with others' work 4 x, as in
tests/security/test_neighbours.py.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path

import pytest
import traces
from sandboxd_client import AsyncSandbox
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected

pytestmark = [pytest.mark.userns, pytest.mark.timeout(400)]

SESSIONS = 10
TOTAL_BYTES = 1_000_000_000
MIB = 1 << 20
ROUNDS, SNIPPETS, BATCHES = 6, 60, 3
# What a session may hold for its reader (`sessions/ring.py`), the end of the output, messages under way; and the allocator.
SESSION_BYTES, SLACK_BYTES = 8 * MIB, 32 * MIB
PRINT = f"""
import os
line, left = b'x' * 99 + b'\\n', {TOTAL_BYTES}
piece = line * 600
while left:
    left -= os.write(1, piece[:left])
"""


def resident(daemon) -> int:
    """Sum the memory of the daemon's own processes: front, launcher and what parses for them."""
    helpers = [one.pid for one in traces.family(daemon.process.pid) if one.role in {"launcher", "screener"}]
    pids = [daemon.process.pid, *helpers]
    assert helpers
    text = "".join(Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("VmRSS"))


async def median(sandbox: AsyncSandbox) -> float:
    taken = []
    for _ in range(SNIPPETS):
        before = time.perf_counter()
        assert (await sandbox.run_code("1 + 1", timeout=20)).ok
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


def start(start_daemon, tmp_path, output: str):
    (tmp_path / "loud.yaml").write_text(
        "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: loud}\nextends: unscreened\n"
        f"limits: {{output: {output}, wall: 300s, cpu: 300s}}\n"
    )
    flags = ("--allow-unscreened", "--policy-dir", str(tmp_path), "--max-concurrent", str(SESSIONS + 2))
    daemon = start_daemon(*flags)
    assert not daemon.error
    return daemon


async def ends(wire, executions) -> list[pb.Result]:
    """Wait for the ends of all executions; the daemon is asked, for nobody reads the streams."""
    results = []
    for execution_id in executions:
        while True:
            request = pb.GetExecutionRequest(execution_id=execution_id)
            record = await wire.sandbox.GetExecution(request)
            if record.state == pb.EXECUTION_STATE_FINISHED:
                results.append(record.result)
                break
            await asyncio.sleep(0.5)
    return results


@pytest.mark.parametrize(("output", "outcome"), [("1MiB", pb.OUTCOME_OUTPUT_LIMIT), ("1GiB", pb.OUTCOME_OK)])
async def test_a_gigabyte_from_each_of_ten_sessions_to_a_reader_that_stopped(
    start_daemon, tmp_path, capsys, output, outcome
):
    daemon = start(start_daemon, tmp_path, output)
    busy = os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)
    ratios: list[float] = []
    async with AsyncSandbox(address=daemon.address, policy="loud") as neighbour:
        await median(neighbour)
        async with connected(daemon.address) as wire:
            streams = [await wire.open(policy="loud") for _ in range(SESSIONS)]
            for stream in streams:
                await stream.run("1 + 1")
            before, alone = resident(daemon), await median(neighbour)
            results, peak = [], before
            for _ in range(BATCHES):
                executions = [await stream.execute(PRINT) for stream in streams]
                waiting = asyncio.create_task(ends(wire, executions))
                while not waiting.done():
                    if len(ratios) < ROUNDS:
                        ratios.append(await median(neighbour) / alone)
                    peak = max(peak, resident(daemon))
                    await asyncio.sleep(0.1)
                results += await waiting
                if min(ratios) <= 2.0:
                    break
            peak = max(peak, resident(daemon))
            for stream in streams:
                stream.cut()
    with capsys.disabled():
        print(  # noqa: T201
            f"\n10 x 1 GB at {output}: the daemon's memory grew by {(peak - before) / MIB:.0f} MiB; the neighbour's latency, "
            f"by its own: {', '.join(f'{ratio:.2f}' for ratio in ratios)}"
        )
    assert {result.outcome for result in results} == {outcome}
    if outcome == pb.OUTCOME_OK:
        assert {result.usage.output_bytes for result in results} == {TOTAL_BYTES}
    assert peak - before < SESSIONS * SESSION_BYTES + SLACK_BYTES
    assert min(ratios) <= (4.0 if busy else 2.0), ratios
