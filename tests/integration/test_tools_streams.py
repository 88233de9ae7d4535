"""Tools and streams: calls outlive a broken one, answers meet their calls alone, direct calls."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest
from daemons import Daemon, StartDaemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from tool_desk import Desk, Raises, records, spec, states, write_policy
from wire_client import Stream, connected, kinds, new_id

pytestmark = pytest.mark.userns
TEXT = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
POLICY = "extends: default\nlimits: {tool_calls: 6, tool_timeout: 2s}\ntools: {deny: [denied_*]}\n"
SPECS = [
    spec("search", TEXT, returns={"type": "string"}),
    spec("fetch", TEXT, is_async=True),
    spec("denied_one"),
]


@pytest.fixture(scope="module")
def house(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    policies = tmp_path_factory.mktemp("policies")
    write_policy(policies, "desk", POLICY)
    write_policy(policies, "large", "extends: default\nlimits: {tool_bytes: 200MiB, memory: {max: 768MiB}}\n")
    daemon = start_module_daemon("--policy-dir", str(policies))
    assert not daemon.error, daemon.error
    return daemon


async def call_of(stream: Stream) -> pb.ToolCall:
    return (await stream.event("tool_call")).tool_call


async def test_who_comes_back_gets_the_calls_that_are_out_and_no_others(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=SPECS)
        execution = await stream.execute("print('begun', flush=True)\n[search('a'), search('b')]")
        first = await call_of(stream)
        await stream.send(tool_result=pb.ToolResult(call_id=first.call_id, value_json='"x"'))
        second = await call_of(stream)
        stream.cut()
        again = await wire.attach(stream.opened.session_id)
        came = await call_of(again)
        assert (came.call_id, came.tool, came.arguments_json) == (second.call_id, "search", '{"q":"b"}')
        await again.send(
            tool_result=pb.ToolResult(call_id=first.call_id, value_json='"again"')
        )  # has its answer
        await again.send(tool_result=pb.ToolResult(call_id=came.call_id, value_json='"y"'))
        result = (await again.event("result")).result
        assert result.text == "['x', 'y']"
        # A repeated id is answered from the ring: nothing is to be run again.
        assert (
            await again.execute("print('begun', flush=True)\n[search('a'), search('b')]", execution)
            == execution
        )
        assert "tool_call" not in kinds(await again.until_last())


async def test_a_client_that_never_comes_back_costs_the_call_s_time(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=SPECS)
        await stream.execute(
            "try:\n    search('a')\nexcept ToolTimeout as error:\n    final_answer(error.tool)"
        )
        await call_of(stream)
        stream.cut()
        await asyncio.sleep(2.2)
        again = await wire.attach(stream.opened.session_id)
        events = await again.until_last()
        assert "tool_call" not in kinds(events)
        assert [
            one.tool_call_over.reason for one in events if one.WhichOneof("event") == "tool_call_over"
        ] == ["timeout"]
        assert json.loads(events[-1].result.final_answer.json) == "search"


async def test_answers_to_nothing_are_dropped(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=SPECS)
        for call_id in ("", "t.1", "t.999", "x" * 10_000, "\u202e"):
            await stream.send(tool_result=pb.ToolResult(call_id=call_id, value_json="1"))
        await stream.execute("search('a')")
        call = await call_of(stream)
        await stream.send(tool_result=pb.ToolResult(call_id=call.call_id, value_json='"one"'))
        await stream.send(tool_result=pb.ToolResult(call_id=call.call_id, value_json='"two"'))
        assert (await stream.event("result")).result.text == "'one'"


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', "Infinity", "1e999", '{"a": 1, "a": 2}', '"\\ud800"', "[" * 5000, "9" * 2000, "", "nul", '{"$sandboxd":"pickle"}',
     '{"$sandboxd":"bytes","base64":"a"}', "[" + "0," * 60_000 + "0]"],
)  # fmt: skip
async def test_a_result_that_is_no_value_is_the_tool_s_error(house: Daemon, text: str) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=[spec("give", {"type": "object"})])
        await stream.execute("give()")
        call = await call_of(stream)
        await stream.send(tool_result=pb.ToolResult(call_id=call.call_id, value_json=text))
        result = (await stream.event("result")).result
        assert result.error.name == "ToolResultError", result
        assert states(result) == ["failed"]


async def test_tools_are_replaced_while_nothing_runs(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=SPECS)
        desk = Desk(stream, {"search": lambda given: given["q"], "other": lambda _: 2})
        assert (await desk.run("keep = search\nsearch('a')")).text == "'a'"
        await stream.execute("search('b')")
        call = await call_of(stream)
        await stream.send(set_tools=pb.SetTools(tools=[spec("other")]))
        assert (await stream.event("refused")).refused.error.reason == "SESSION_BUSY"
        await desk.answer(call.call_id, "b")
        assert (await desk.serve()).text == "'b'"
        await stream.send(set_tools=pb.SetTools(tools=[spec("other")]))
        await stream.event("tools_set")
        assert (await desk.run("other()")).text == "2"
        result = await desk.run("keep('a')")
        assert result.error.name == "ToolUnknown"
        assert "other" in result.error.message
        assert (await desk.run("search('a')")).outcome in {pb.OUTCOME_ERROR, pb.OUTCOME_DENIED}
        await stream.send(set_tools=pb.SetTools())
        await stream.event("tools_set")
        assert (await desk.run("other()")).outcome in {pb.OUTCOME_ERROR, pb.OUTCOME_DENIED}


async def test_a_wrong_tool_is_refused_by_name_and_key_and_changes_nothing(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=SPECS)
        await stream.send(set_tools=pb.SetTools(tools=[spec("fine"), spec("print")]))
        refused = (await stream.event("refused")).refused.error
        assert refused.reason == "TOOL_INVALID"
        assert refused.metadata["tool"] == "print"
        desk = Desk(stream, {"search": lambda given: given["q"]})
        assert (await desk.run("search('still')")).text == "'still'"


# ---- direct calls ---------------------------------------------------------------------------------------------


async def refused(stream: Stream, **call: str) -> str:
    await stream.send(call_tool=pb.CallTool(**{"call_id": new_id(), "arguments_json": '{"q":"a"}', **call}))
    return (await stream.event("refused")).refused.error.reason


async def test_a_direct_call_has_the_same_checks_and_records(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(
            policy="desk", tools=[*SPECS, spec("for_code", callers=pb.TOOL_CALLERS_CODE)]
        )
        call_id = new_id()
        number = await stream.send(
            call_tool=pb.CallTool(call_id=call_id, tool="search", arguments_json='{"q": "a"}')
        )
        event = await stream.event("tool_call")
        assert (event.request_id, event.tool_call.direct, event.tool_call.call_id) == (number, True, call_id)
        assert event.tool_call.arguments_json == '{"q":"a"}'
        number = await stream.send(tool_result=pb.ToolResult(call_id=call_id, value_json='"found"'))
        event = await stream.event("tool_call_over")
        assert (event.request_id, event.tool_call_over.reason) == (number, "recorded")
        assert await refused(stream, tool="no_such") == "TOOL_UNKNOWN"
        assert await refused(stream, tool="for_code") == "TOOL_UNKNOWN"
        assert await refused(stream, tool="denied_one") == "TOOL_DENIED"
        assert await refused(stream, tool="search", arguments_json='{"q": 1}') == "TOOL_ARGUMENTS"
        assert await refused(stream, tool="search", call_id="short") == "INVALID_REQUEST"
        assert await refused(stream, tool="search", arguments_json="[]") == "TOOL_ARGUMENTS"
        assert await refused(stream, tool="search") == "TOOL_BUDGET", "six in all between two snippets"
        session = stream.opened.display_id
        (begun,) = records(house.state_dir, "tool_call", session=session)
        (done,) = records(house.state_dir, "tool_done", session=session)
        assert (begun["caller"], begun["call_id"], begun["execution_id"]) == ("direct", call_id, "")
        assert (done["state"], done["call_id"]) == ("finished", call_id)
        assert len(records(house.state_dir, "tool_refused", session=session)) == 6
        await stream.run("1")
        await stream.send(call_tool=pb.CallTool(call_id=new_id(), tool="search", arguments_json='{"q":"b"}'))
        assert (await call_of(stream)).tool == "search", "a snippet starts the budget again"


async def test_what_became_of_a_direct_call_is_told(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=SPECS)
        ids = [new_id() for _ in range(3)]
        for call_id in ids:
            await stream.send(
                call_tool=pb.CallTool(call_id=call_id, tool="search", arguments_json='{"q":"a"}')
            )
            await call_of(stream)
        await stream.send(tool_result=pb.ToolResult(call_id=ids[0], value_json="7"))
        assert (await stream.event("refused")).refused.error.reason == "TOOL_RESULT"
        await stream.send(
            tool_result=pb.ToolResult(call_id=ids[1], error=pb.ToolError(name="E", message="m"))
        )
        assert (await stream.event("tool_call_over")).tool_call_over.reason == "recorded"
        over = (await stream.event("tool_call_over")).tool_call_over
        assert (over.call_id, over.reason) == (ids[2], "timeout")
        done = {
            one["call_id"]: one
            for one in records(house.state_dir, "tool_done", session=stream.opened.display_id)
        }
        assert [done[call_id]["state"] for call_id in ids] == ["failed", "failed", "timed_out"]


async def test_calls_that_are_out_end_with_the_session(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(policy="desk", tools=SPECS)
        await stream.send(call_tool=pb.CallTool(call_id=new_id(), tool="search", arguments_json='{"q":"a"}'))
        await call_of(stream)
        await stream.send(close=pb.Close())
        await stream.event("closed")
        (done,) = records(house.state_dir, "tool_done", session=stream.opened.display_id)
        assert done["state"] == "cut_off"


async def test_an_exception_s_name_and_text_are_cut_to_size(house: Daemon) -> None:
    def fail(_: Any) -> Any:
        raise Raises("no name\n" * 50, "m" * 100_000)

    async with connected(house.address) as wire:
        desk = Desk(await wire.open(policy="desk", tools=SPECS), {"search": fail})
        code = "try:\n    search('a')\nexcept ToolError as error:\n    final_answer([error.name, len(error.message)])"
        assert json.loads((await desk.run(code)).final_answer.json) == ["Exception", 4096]


@pytest.mark.parametrize(
    "text", ['"' * 1_500_000, "\\" * 1_500_000, "\x00" * 500_000, "ä" * 1_500_000, "\U0001f600" * 700_000]
)
async def test_the_largest_results_arrive_whatever_they_hold(house: Daemon, text: str) -> None:
    async with connected(house.address) as wire:
        desk = Desk(await wire.open(policy="desk", tools=[spec("give")]), {"give": lambda _: text})
        result = await desk.run(
            f"import hashlib\nhashlib.sha256(give().encode()).hexdigest() == {hashlib.sha256(text.encode()).hexdigest()!r}"
        )
        assert result.text == "True", result.error.message[:200]


async def test_large_calls_and_large_results_at_once_do_not_wait_for_each_other(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk = Desk(
            await wire.open(policy="large", tools=[spec("fetch", is_async=True)]),
            {"fetch": lambda given: given["x"] * 2},
        )
        code = "import asyncio\nfound = await asyncio.gather(*(fetch(x='a' * 400_000) for _ in range(60)))\n{len(one) for one in found}"
        result = await desk.run(code)
        assert result.text == "{800000}", result
        assert len(desk.calls) == 60
