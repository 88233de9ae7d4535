"""A tool's way through the real daemon, by a bare client of the wire."""

from __future__ import annotations

import json

import pytest
from daemons import Daemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected

pytestmark = pytest.mark.userns
STRING = json.dumps({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]})


async def test_code_calls_a_tool_and_gets_its_value(daemon: Daemon) -> None:
    async with connected(daemon.address) as wire:
        stream = await wire.open(tools=[pb.ToolSpec(name="search", parameters_json=STRING)])
        assert list(stream.opened.tools_allowed) == ["search"]
        await stream.execute("search('a') + tools.search(q='b')")
        for answer in ("x", "y"):
            call = (await stream.event("tool_call")).tool_call
            assert call.tool == "search"
            assert json.loads(call.arguments_json) == {"q": "a" if answer == "x" else "b"}
            await stream.send(tool_result=pb.ToolResult(call_id=call.call_id, value_json=json.dumps(answer)))
        result = (await stream.event("result")).result
        assert result.outcome == pb.OUTCOME_OK, result
        assert result.text == "'xy'"
        assert [(use.tool, use.state) for use in result.tool_calls] == [
            ("search", pb.TOOL_STATE_FINISHED)
        ] * 2
        assert result.usage.tool_calls == 2
        await stream.send(close=pb.Close())
        await stream.event("closed")
