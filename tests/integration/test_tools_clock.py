"""The clock of a snippet stands still while its client runs a tool: for so long in all, and no other clock does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from daemons import Daemon, StartDaemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from tool_desk import Desk, Silence, spec, states, write_policy
from wire_client import Stream, connected

pytestmark = pytest.mark.userns
POLICY = (
    "extends: unscreened\nlimits: {wall: 1s, cpu: 500ms, tool_timeout: 5s, tool_wait: 4s, tool_calls: 500}\n"
)
SPECS = [spec("slow"), spec("slow_async", is_async=True), spec("hangs"), spec("quick")]


@pytest.fixture(scope="module")
def clock_daemon(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    policies = tmp_path_factory.mktemp("policies")
    write_policy(policies, "clock", POLICY)
    daemon = start_module_daemon("--policy-dir", str(policies), "--allow-unscreened")
    assert not daemon.error, daemon.error
    return daemon


def desk_of(stream: Stream, seconds: float = 1.6) -> Desk:
    async def slow(_: Any) -> Any:
        await asyncio.sleep(seconds)
        return "late"

    def hangs(_: Any) -> Any:
        raise Silence

    return Desk(stream, {"slow": slow, "slow_async": slow, "hangs": hangs, "quick": lambda _: 1})


async def test_a_tool_may_take_longer_than_the_wall_limit(clock_daemon: Daemon) -> None:
    async with connected(clock_daemon.address) as wire:
        result = await desk_of(await wire.open(policy="clock", tools=SPECS)).run("slow() + slow()")
        assert result.outcome == pb.OUTCOME_OK, result
        assert result.text == "'latelate'"
        assert result.usage.wall_seconds > 3


async def test_what_is_left_of_the_limit_holds_after_the_answer(clock_daemon: Daemon) -> None:
    async with connected(clock_daemon.address) as wire:
        code = (
            "import time\ntime.sleep(0.5)\nslow()\nprint('back', flush=True)\ntime.sleep(0.7)\nprint('never')"
        )
        stream = await wire.open(policy="clock", tools=SPECS)
        result = await desk_of(stream).run(code)
        assert result.outcome == pb.OUTCOME_TIMEOUT_WALL, result
        assert states(result) == ["finished"]


async def test_waiting_is_bounded_in_all_and_then_the_clock_runs(clock_daemon: Daemon) -> None:
    async with connected(clock_daemon.address) as wire:
        code = """
import time
seen = []
for tool in (slow, hangs, quick):
    try:
        seen.append(tool())
    except ToolError as error:
        seen.append(error.code)
print(seen, flush=True)
while True:
    time.sleep(0.1)
"""
        desk = desk_of(await wire.open(policy="clock", tools=SPECS))
        result = await desk.run(code)
        assert result.outcome == pb.OUTCOME_TIMEOUT_WALL, result
        assert states(result) == ["finished", "timed_out", "denied"]
        assert [use.code for use in result.tool_calls] == ["", "TOOL_BUDGET", "TOOL_BUDGET"]
        assert [over.reason for over in desk.overs] == ["timeout"]
        assert "tool_calls" in result.limits_hit


async def test_the_processor_s_clock_goes_on(clock_daemon: Daemon) -> None:
    async with connected(clock_daemon.address) as wire:
        code = "import asyncio\ntask = asyncio.ensure_future(slow_async())\nawait asyncio.sleep(0.05)\nwhile True: pass"
        result = await desk_of(await wire.open(policy="clock", tools=SPECS), 3.5).run(code)
        assert result.outcome == pb.OUTCOME_TIMEOUT_CPU, result
        assert states(result) == ["cut_off"]


async def test_a_cell_that_waits_can_be_interrupted_and_the_session_goes_on(clock_daemon: Daemon) -> None:
    async with connected(clock_daemon.address) as wire:
        stream = await wire.open(policy="clock", tools=SPECS)
        desk = desk_of(stream)
        for code in ("hangs()", "await slow_async(x=0)", "import asyncio\nasyncio.run(slow_async(x=0))"):
            desk.handlers = {**desk.handlers, "slow_async": desk.handlers["hangs"]}
            execution = await stream.execute(f"kept = 5\n{code}")
            call = (await stream.event("tool_call")).tool_call
            await stream.send(interrupt=pb.Interrupt(execution_id=execution))
            result = await desk.serve()
            assert result.outcome == pb.OUTCOME_CANCELLED, result
            assert states(result) == ["cut_off"]
            assert [over.call_id for over in desk.overs] == [call.call_id]
            desk.overs.clear()
            await desk.answer(call.call_id, "much too late")
            assert (await desk.run("[kept, quick()]")).text == "[5, 1]"


async def test_many_quick_calls_do_not_add_up_to_the_limit(clock_daemon: Daemon) -> None:
    async with connected(clock_daemon.address) as wire:
        desk = desk_of(await wire.open(policy="clock", tools=SPECS))

        async def some(_: Any) -> int:
            await asyncio.sleep(0.02)
            return 1

        desk.handlers = {"quick": some}
        result = await desk.run("sum(quick() for _ in range(80))")
        assert (result.outcome, result.text) == (pb.OUTCOME_OK, "80"), result
