"""Tools in a restricted session, through the real daemon: they work, and show nothing of what they are made of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from daemons import Daemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from tool_desk import Desk, Raises, spec, states
from wire_client import connected

pytestmark = pytest.mark.userns
SPECS = [
    spec(
        "search",
        {
            "type": "object",
            "properties": {"q": {"type": "string"}, "n": {"type": "integer"}},
            "required": ["q"],
        },
    ),
    spec("fails"),
    spec("give"),
    spec("fetch", is_async=True),
]
GIVEN: dict[str, Any] = {
    "bytes": {"$sandboxd": "bytes", "base64": "AAEC"},
    "image": {"$sandboxd": "image", "mime": "image/png", "base64": "iVBORw0KGgo="},
    "frame": {
        "$sandboxd": "dataframe",
        "columns": ["a"],
        "dtypes": ["int64"],
        "data": [[1, 2]],
        "index": None,
    },
}


def fails(_: Any) -> Any:
    raise Raises("PermissionError", "not you")


@pytest.fixture
async def desk(daemon: Daemon) -> AsyncIterator[Desk]:
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="pure", tools=SPECS)
        handlers = {
            "search": lambda given: [given["q"]] * given.get("n", 1),
            "fails": fails,
            "give": lambda given: GIVEN[given["x"]],
            "fetch": lambda given: given["x"],
        }
        yield Desk(stream, handlers)
        await stream.send(close=pb.Close())
        await stream.event("closed")


async def test_calls_and_exceptions_work_as_elsewhere(desk: Desk) -> None:
    code = """
found = search("a", n=2) + tools.search(q="b")
try:
    fails()
except ToolError as error:
    found += [error.name, error.message, error.tool, str(error)]
try:
    tools.search(3)
except TypeError as error:
    found.append(type(error).__name__)
[found, repr(search), [n for n in ("x", "y") for _ in search(n)]]
"""
    result = await desk.run(code)
    assert result.outcome == pb.OUTCOME_OK, result
    assert result.text == repr(
        [
            [
                "a",
                "a",
                "b",
                "PermissionError",
                "not you",
                "fails",
                "fails: PermissionError: not you",
                "ToolArgumentsError",
            ],
            "<tool search(q: str, n: int = ...) -> Any>",
            ["x", "y"],
        ]
    )
    assert states(result).count("finished") == 4


async def test_results_are_plain_values(desk: Desk) -> None:
    result = await desk.run('[give(x="bytes"), give(x="image"), give(x="frame")]')
    frame = {key: value for key, value in GIVEN["frame"].items() if key != "$sandboxd"}
    assert result.text == repr([b"\x00\x01\x02", b"\x89PNG\r\n\x1a\n", frame]), result


async def test_a_program_may_take_the_names_and_the_next_cell_has_the_tools(desk: Desk) -> None:
    assert (await desk.run("search = 5\nsearch")).text == "5"
    assert (await desk.run("[search, tools.search('a')]")).text == "[5, ['a']]"


REACHING = [
    "search.__globals__", "search.__closure__", "search.__self__", "search._call", "search._function", "search.aio._function",
    "tools._members", "tools.__dict__", "tools.__class__", "type(search)()", "search.aio.__wrapped__", "ToolError.__init__.__globals__",
    "'{0.__call__.__globals__}'.format(search)", "'{0._call}'.format(search)", "getattr(search, '_' + 'call')", "getattr(tools, '__getattr__').__func__",
    "vars(tools)", "type(tools).__getattr__.__globals__",
]  # fmt: skip


@pytest.mark.parametrize("expression", REACHING)
async def test_nothing_leads_behind_a_tool(desk: Desk, expression: str) -> None:
    result = await desk.run(expression)
    assert result.outcome in {pb.OUTCOME_ERROR, pb.OUTCOME_DENIED}, result


@pytest.mark.parametrize(
    "statement",
    ["search.x = 1", "tools.search = 1", "tools.new = 1", "ToolError.x = 1", "del tools.search", "class T(type(search)): pass", "class T(type(tools)): pass"],
)  # fmt: skip
async def test_nothing_of_a_tool_can_be_changed(desk: Desk, statement: str) -> None:
    result = await desk.run(statement)
    assert result.outcome in {pb.OUTCOME_ERROR, pb.OUTCOME_DENIED}, result
    assert (await desk.run("tools.search('still')")).text == "['still']"


async def test_what_is_no_plain_data_does_not_pass(desk: Desk) -> None:
    for value in ("{1}", "search", "tools", "ToolError", "(n for n in [1])", "float('nan')"):
        result = await desk.run(f"search({value})")
        assert result.error.name == "TypeError", (value, result)
    assert not desk.calls


async def test_a_program_s_own_subclass_passes_as_what_it_is(desk: Desk) -> None:
    code = "class S(str):\n    def __str__(self): return 'lies'\n    def encode(self, *a): return b'lies'\nsearch(S('true'))"
    assert (await desk.run(code)).text == "['true']"
    assert json.loads(desk.calls[0].arguments_json) == {"q": "true"}


async def test_calls_can_be_awaited_together(desk: Desk) -> None:
    code = "import asyncio\nawait asyncio.gather(*(fetch(x=n) for n in range(5)), tools.search.aio('a'))"
    result = await desk.run(code)
    assert result.text == "[0, 1, 2, 3, 4, ['a']]", result


@pytest.mark.parametrize("name", ["cr_frame", "cr_code", "cr_await", "cr_origin"])
async def test_an_awaitable_shows_nothing_either(desk: Desk, name: str) -> None:
    for code in (
        f"fetch(x=1).{name}",
        f"getattr(fetch(x=1), '{name[:3]}' + '{name[3:]}')",
        f"'{{0.{name}}}'.format(fetch(x=1))",
    ):
        result = await desk.run(code)
        assert result.outcome in {pb.OUTCOME_ERROR, pb.OUTCOME_DENIED}, (code, result)
