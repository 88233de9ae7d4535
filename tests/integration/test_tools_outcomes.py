"""The issue's first demand: twenty calls in a comprehension, eight in flight, one of each way to fail, and each in the log."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from daemons import Daemon, StartDaemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from tool_desk import Desk, Raises, Silence, records, spec, states, write_policy
from wire_client import Wire, connected

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
POLICY = """extends: default
limits: {tool_calls: 40, tool_timeout: 1s, tool_wait: 30s, tool_bytes: 64KiB}
tools:
  deny: ["*_delete"]
  arguments:
    read_*: {path: {prefix: /data/, required: true}, limit: {max: 100}}
"""


@pytest.fixture(scope="module")
def desk_daemon(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    policies = tmp_path_factory.mktemp("policies")
    write_policy(policies, "desk", POLICY)
    write_policy(policies, "few", "extends: desk\nlimits: {tool_calls: 3}\n")
    daemon = start_module_daemon("--policy-dir", str(policies))
    assert not daemon.error, daemon.error
    return daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire(desk_daemon: Daemon) -> AsyncIterator[Wire]:
    async with connected(desk_daemon.address) as one:
        yield one


SPECS = [
    spec("square", NUMBER, returns={"type": "integer"}),
    spec("slow", NUMBER, is_async=True),
    spec("fails"),
    spec("file_delete"),
    spec("hangs"),
    spec(
        "read_file",
        {"type": "object", "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}}},
    ),
    spec("direct_only", callers=pb.TOOL_CALLERS_DIRECT),
    spec("lies", returns={"type": "integer"}),
]


def desk_of(stream: Any) -> Desk:
    gathered: list[asyncio.Future[None]] = []

    async def slow(arguments: dict[str, Any]) -> Any:
        """Answer once eight of them are out, in the opposite order."""
        gathered.append(asyncio.get_running_loop().create_future())
        if len(gathered) == 8:
            for one in gathered:
                one.set_result(None)
        place = len(gathered)
        await gathered[place - 1]
        await asyncio.sleep(0.01 * (9 - place))
        return arguments["n"] * 10

    def fails(_: Any) -> Any:
        raise Raises("KeyError", "'no such row'")

    def hangs(_: Any) -> Any:
        raise Silence

    return Desk(
        stream,
        {
            "square": lambda arguments: arguments["n"] ** 2,
            "slow": slow,
            "fails": fails,
            "hangs": hangs,
            "read_file": lambda arguments: arguments["path"],
            "lies": lambda _: "no integer",
        },
    )


CODE = """
squares = [square(n) for n in range(20)]
import asyncio
gathered = await asyncio.gather(*(slow(n) for n in range(8)))
def outcome(call):
    try:
        return call()
    except ToolError as error:
        return [type(error).__name__, error.code, error.name, str(error)]
failed = [
    outcome(lambda: fails(x=1)),
    outcome(lambda: tools.file_delete(x="a")),
    outcome(lambda: hangs()),
    outcome(lambda: lies()),
    outcome(lambda: read_file("/data/a")),
    outcome(lambda: read_file("/data/../etc/passwd")),
    outcome(lambda: read_file("/data/a", limit=1000)),
    outcome(lambda: read_file()),
    outcome(lambda: square("1")),
]
final_answer({"squares": squares, "gathered": gathered, "failed": failed})
"""


async def test_each_call_has_its_outcome_and_its_records(wire: Wire, desk_daemon: Daemon) -> None:
    stream = await wire.open(policy="desk", tools=SPECS)
    assert "file_delete" not in stream.opened.tools_allowed
    assert "square" in stream.opened.tools_allowed
    desk = desk_of(stream)
    result = await desk.run(CODE)
    assert result.outcome == pb.OUTCOME_OK, result
    answer = json.loads(result.final_answer.json)
    assert answer["squares"] == [n * n for n in range(20)]
    assert answer["gathered"] == [n * 10 for n in range(8)]
    assert [one if isinstance(one, str) else one[:3] for one in answer["failed"]] == [
        ["ToolError", "", "KeyError"],
        ["ToolDenied", "TOOL_DENIED", "TOOL_DENIED"],
        ["ToolTimeout", "TOOL_TIMEOUT", "TOOL_TIMEOUT"],
        ["ToolResultError", "TOOL_RESULT", "TOOL_RESULT"],
        "/data/a",
        ["ToolDenied", "TOOL_DENIED", "TOOL_DENIED"],
        ["ToolDenied", "TOOL_DENIED", "TOOL_DENIED"],
        ["ToolDenied", "TOOL_DENIED", "TOOL_DENIED"],
        ["ToolArgumentsError", "TOOL_ARGUMENTS", "TOOL_ARGUMENTS"],
    ]
    assert answer["failed"][0][3] == "fails: KeyError: 'no such row'"
    assert states(result) == [
        *["finished"] * 28, "failed", "denied", "timed_out", "failed", "finished", "denied", "denied", "denied", "denied",
    ]  # fmt: skip
    assert [use.code for use in result.tool_calls][28:31] == ["KeyError", "TOOL_DENIED", "TOOL_TIMEOUT"]
    assert result.usage.tool_calls == 37
    assert [over.reason for over in desk.overs] == ["timeout"]
    assert {call.tool for call in desk.calls} == {"square", "slow", "fails", "hangs", "lies", "read_file"}
    check_log(desk_daemon.state_dir, stream.opened.display_id, desk)


def check_log(state_dir: Path, session: str, desk: Desk) -> None:
    """Each call that the client heard of stands in the log twice, as hashes, and each refused one once."""
    begun = {one["call_id"]: one for one in records(state_dir, "tool_call", session=session)}
    done = {one["call_id"]: one for one in records(state_dir, "tool_done", session=session)}
    refused = records(state_dir, "tool_refused", session=session)
    assert begun.keys() == done.keys() == {call.call_id for call in desk.calls}
    assert len(refused) == 5
    for call in desk.calls:
        record = begun[call.call_id]
        assert (record["tool"], record["caller"], record["policy"]) == (call.tool, "code", "desk")
        assert record["arguments_sha256"] == hashlib.sha256(call.arguments_json.encode()).hexdigest()
    assert {one["state"] for one in done.values()} == {"finished", "failed", "timed_out"}
    squares = [one for one in begun.values() if one["tool"] == "square"]
    assert done[squares[3]["call_id"]]["result_sha256"] == hashlib.sha256(b"9").hexdigest()
    text = b"".join(path.read_bytes() for path in (state_dir / "log").glob("*"))
    assert b"no such row" not in text
    assert b"etc/passwd" not in text


async def test_over_budget_is_an_exception_and_a_limit_that_was_hit(wire: Wire) -> None:
    stream = await wire.open(policy="few", tools=SPECS)
    desk = desk_of(stream)
    result = await desk.run("[square(n) for n in range(3)]")
    assert result.outcome == pb.OUTCOME_OK
    assert "tool_calls" not in result.limits_hit
    result = await desk.run("[square(n) for n in range(5)]")
    assert result.outcome == pb.OUTCOME_ERROR
    assert result.error.name == "ToolBudgetExceeded"
    assert "tool_calls" in result.error.message
    assert list(result.limits_hit) == ["tool_calls"]
    assert states(result) == ["finished"] * 3 + ["denied"]
    assert (
        "line 1, in <listcomp>" in result.error.traceback or "line 1, in <module>" in result.error.traceback
    )
    assert "sandboxd" not in result.error.traceback


async def test_the_bytes_of_a_snippet_are_counted_both_ways(wire: Wire) -> None:
    stream = await wire.open(policy="desk", tools=[spec("echo")])
    desk = Desk(stream, {"echo": lambda arguments: arguments["x"]})
    result = await desk.run("[len(echo(x='a' * 9_000)) for _ in range(3)]")
    assert result.text == "[9000, 9000, 9000]"
    result = await desk.run("[len(echo(x='a' * 9_000)) for _ in range(4)]")
    assert result.error.name == "ToolBudgetExceeded"
    assert states(result) == ["finished"] * 3 + ["failed"], "the result of the fourth was too much"


async def test_a_client_may_ask_for_less(wire: Wire) -> None:
    stream = await wire.open(policy="desk", tools=SPECS, limits=pb.Limits(tool_calls=1, tool_seconds=0.2))
    desk = desk_of(stream)
    result = await desk.run(
        "try:\n    hangs()\nexcept ToolTimeout as error:\n    print(isinstance(error, TimeoutError))\nsquare(1)"
    )
    assert result.error.name == "ToolBudgetExceeded"
    assert desk.calls[0].timeout_seconds == pytest.approx(0.2)
    assert states(result) == ["timed_out", "denied"]


async def test_an_uncaught_error_of_a_tool_shows_the_user_s_lines(wire: Wire) -> None:
    desk = desk_of(await wire.open(policy="desk", tools=SPECS))
    result = await desk.run("def inner():\n    return fails(x=2)\n\ninner()")
    assert result.error.name == "ToolError"
    assert result.error.message == "fails: KeyError: 'no such row'"
    assert result.error.line == 2
    assert "return fails(x=2)" in result.error.traceback
    assert "sandboxd" not in result.error.traceback


async def test_what_the_code_may_not_call_is_refused_by_the_screen_or_at_the_call(wire: Wire) -> None:
    desk = desk_of(await wire.open(policy="desk", tools=SPECS))
    result = await desk.run("direct_only(x=1)")
    assert result.outcome in {pb.OUTCOME_DENIED, pb.OUTCOME_ERROR}
    assert not desk.calls
