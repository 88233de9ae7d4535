"""A bare client with tools for the tests: it registers them, answers calls as it is told, and reads the log afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import LAST, Stream

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"
ANY: dict[str, Any] = {"type": "object", "properties": {"x": {}}, "additionalProperties": True}
Handler = Callable[[dict[str, Any]], Any]


class Raises(Exception):  # noqa: N818
    """What a handler raises for the client's function to have raised: name and message."""


class Silence(Exception):  # noqa: N818
    """What a handler raises to give no answer."""


def spec(name: str, parameters: Mapping[str, Any] | str = ANY, **more: Any) -> pb.ToolSpec:
    text = parameters if isinstance(parameters, str) else json.dumps(parameters)
    if "returns" in more:
        more["returns_json"] = json.dumps(more.pop("returns"))
    return pb.ToolSpec(name=name, parameters_json=text, **more)


def write_policy(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.yaml").write_text(HEAD.format(name=name) + text)


class Desk:
    """Answers the calls of one stream until a result, a refusal or the close."""

    def __init__(
        self, stream: Stream, handlers: Mapping[str, Handler | Callable[[dict[str, Any]], Awaitable[Any]]]
    ):
        self.stream = stream
        self.handlers = handlers
        self.calls: list[pb.ToolCall] = []
        self.overs: list[pb.ToolCallOver] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()  # gRPC takes one write of a call at a time

    async def run(self, code: str, **more: Any) -> pb.Result:
        """Run a snippet to its result."""
        await self.stream.execute(code, **more)
        return await self.serve()

    async def serve(self) -> pb.Result:
        try:
            while (event := await self.stream.read()) is not None:
                kind = event.WhichOneof("event")
                if kind == "tool_call":
                    self.calls.append(event.tool_call)
                    task = asyncio.create_task(self._answer(event.tool_call))
                    self._tasks.add(task)
                elif kind == "tool_call_over":
                    self.overs.append(event.tool_call_over)
                elif kind in LAST:
                    assert kind == "result", event
                    return event.result
        finally:
            for task in self._tasks:
                task.cancel()
            self._tasks.clear()
        raise AssertionError(f"the stream ended: {await self.stream.call.details()}")

    async def _answer(self, call: pb.ToolCall) -> None:
        with contextlib.suppress(Silence):
            try:
                value = self.handlers[call.tool](json.loads(call.arguments_json))
                if asyncio.iscoroutine(value):
                    value = await value
            except Raises as error:
                failure = pb.ToolError(name=error.args[0], message=error.args[1])
                async with self._writing:
                    await self.stream.send(tool_result=pb.ToolResult(call_id=call.call_id, error=failure))
            else:
                await self.answer(call.call_id, value)

    async def answer(self, call_id: str, value: Any) -> int:
        text = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
        async with self._writing:
            return await self.stream.send(tool_result=pb.ToolResult(call_id=call_id, value_json=text))


def states(result: pb.Result) -> list[str]:
    return [pb.ToolState.Name(use.state).removeprefix("TOOL_STATE_").lower() for use in result.tool_calls]


def records(state_dir: Path, *kinds: str, session: str = "") -> list[dict[str, Any]]:
    """Read the log's records of some kinds, oldest first."""
    found = []
    for segment in sorted((state_dir / "log").glob("*")):
        for line in segment.read_bytes().splitlines():
            record = json.loads(line)
            if record["kind"] in kinds and session in {"", record.get("session")}:
                found.append(record)
    return found
