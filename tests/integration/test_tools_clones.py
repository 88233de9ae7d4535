"""Clones of a session: they have its tools, and their calls go to their own streams."""

from __future__ import annotations

import asyncio

import pytest
from daemons import Daemon, StartDaemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from tool_desk import Desk, spec, states
from wire_client import connected, new_id

pytestmark = pytest.mark.userns
TEXT = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
SPECS = [spec("search", TEXT, returns={"type": "string"}), spec("fetch", TEXT, is_async=True)]


@pytest.fixture(scope="module")
def house(start_module_daemon: StartDaemon) -> Daemon:
    daemon = start_module_daemon()
    assert not daemon.error, daemon.error
    return daemon


async def test_a_clone_has_the_tools_and_its_calls_go_to_its_own_stream(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(tools=SPECS)
        desk = Desk(stream, {"search": lambda given: f"old {given['q']}"})
        assert (await desk.run("a = search('1')\nkept = search")).outcome == pb.OUTCOME_OK
        await stream.send(fork=pb.Fork(count=1))
        (opened,) = (await stream.event("forked")).forked.clones
        assert "search" in opened.tools_allowed
        clone = Desk(await wire.attach(opened.session_id), {"search": lambda given: f"new {given['q']}"})
        both = await asyncio.gather(
            desk.run("[a, search('2'), kept('3')]"), clone.run("import asyncio\n[a, search('4'), kept('5')]")
        )
        assert [one.text for one in both] == ["['old 1', 'old 2', 'old 3']", "['old 1', 'new 4', 'new 5']"]
        asynchronous = Desk(clone.stream, {"fetch": lambda given: given["q"]})
        code = "import asyncio\nawait asyncio.gather(*(fetch(str(n)) for n in range(4)))"
        assert (await asynchronous.run(code)).text == "['0', '1', '2', '3']"


async def test_what_was_taken_back_calls_on(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(tools=SPECS)
        desk = Desk(stream, {"search": lambda given: given["q"], "fetch": lambda given: given["q"]})
        assert (await desk.run("a = search('before')")).outcome == pb.OUTCOME_OK
        await stream.send(checkpoint=pb.Checkpoint(name="one"))
        await stream.event("checkpointed")
        assert (await desk.run("a = search('after')\nb = await fetch('c')")).outcome == pb.OUTCOME_OK
        await stream.send(rollback=pb.Rollback(name="one"))
        await stream.event("rolled_back")
        assert (await desk.run("[a, search('again'), await fetch('d')]")).text == "['before', 'again', 'd']"
        await stream.send(set_tools=pb.SetTools(tools=[spec("other", TEXT)]))
        await stream.event("tools_set")
        await stream.send(rollback=pb.Rollback(name="one"))
        await stream.event("rolled_back")
        desk.handlers = {"other": lambda _: "new"}
        assert (await desk.run("[a, other('x')]")).text == "['before', 'new']", (
            "the session's tools, not the checkpoint's"
        )


async def test_a_snippet_that_is_taken_back_tells_of_its_calls(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream = await wire.open(tools=SPECS)
        desk = Desk(stream, {"search": lambda given: given["q"]})
        await desk.run("kept = 1")
        execute = pb.Execute(
            execution_id=new_id(), code="kept = search('x')\n1 / 0", on_error=pb.ON_ERROR_ROLLBACK
        )
        await stream.send(execute=execute)
        result = await desk.serve()
        assert (result.outcome, result.rolled_back) == (pb.OUTCOME_ERROR, True), result
        assert states(result) == ["finished"], "what the tool did cannot be taken back"
        assert (await desk.run("[kept, search('y')]")).text == "[1, 'y']"
