"""What a program may do with the channel of its tool calls: it harms its own session alone, and nothing uncheck gets through."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from daemons import Daemon, StartDaemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from tool_desk import Desk, records, spec, states, write_policy
from wire_client import Stream, Wire, connected

pytestmark = [pytest.mark.userns, pytest.mark.timeout(180)]
# The control socket is found and spoken on past the guest's own code, as a program can that reads /proc/self/fd.
FORGE = """
import json, os, socket, struct, gc
def _control():
    for fd in range(3, 64):
        try:
            made = socket.socket(fileno=os.dup(fd))
            made.getpeername()
        except OSError:
            continue
        if made.type == socket.SOCK_STREAM:
            return made
control = _control()
def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    control.sendall(struct.pack(">I", len(body)) + body)
def call(n, tool="echo", arguments='{"x": 1}', **more):
    send({"op": "call", "id": ID, "call": n, "tool": tool, "arguments": arguments, **more})
def receive():
    control.setblocking(True)
    data = b""
    while len(data) < 4:
        data += control.recv(4 - len(data))
    size = struct.unpack(">I", data)[0]
    data = b""
    while len(data) < size:
        data += control.recv(size - len(data))
    return json.loads(data)
"""
POLICY = "extends: unscreened\nlimits: {wall: 3s, cpu: 3s, tool_calls: 20, tool_timeout: 2s, tool_wait: 3s, tool_bytes: 8MiB}\n"
NUMBER = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
SPECS = [spec("echo", NUMBER), spec("take"), spec("fetch", NUMBER, is_async=True)]


@pytest.fixture(scope="module")
def house(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    policies = tmp_path_factory.mktemp("policies")
    write_policy(policies, "desk", POLICY)
    daemon = start_module_daemon("--policy-dir", str(policies), "--allow-unscreened", "--max-sessions", "200")
    assert not daemon.error, daemon.error
    return daemon


async def desk_of(wire: Wire) -> Desk:
    stream = await wire.open(policy="desk", tools=SPECS)
    return Desk(
        stream,
        {
            "echo": lambda given: given["x"],
            "take": lambda given: given.get("x"),
            "fetch": lambda given: given["x"],
        },
    )


async def forged(desk: Desk, code: str) -> pb.Result:
    execution = f"hostile-{time.monotonic_ns()}"
    return await desk.run(f"ID = {execution!r}\n{FORGE}\n{code}", execution_id=execution)


async def works(desk: Desk) -> bool:
    """Tell whether the session still runs code and calls."""
    return (await desk.run("[echo(7), 1 + 1]")).text == "[7, 2]"


async def test_a_forged_call_is_checked_like_any_other(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        result = await forged(
            desk,
            """
call(1001)
call(1002, "no_such")
call(1003, "echo", '{"x": "text"}')
call(1004, "echo", '[1]')
call(1005, "\\u202e" * 100)
seen = {}
while len(seen) < 5:
    answer = receive()
    seen[answer["call"]] = answer.get("value") or answer["error"]["code"]
final_answer([seen[n] for n in sorted(seen)])
""",
        )
        assert json.loads(result.final_answer.json) == [
            "1",
            "TOOL_UNKNOWN",
            "TOOL_ARGUMENTS",
            "TOOL_ARGUMENTS",
            "TOOL_UNKNOWN",
        ]
        assert [call.tool for call in desk.calls] == ["echo"]
        assert sorted(states(result)) == ["denied"] * 4 + ["finished"]
        assert await works(desk)


BAD_FORMS = {
    "a number twice": "call(5, 'take')\ncall(5, 'take')",
    "a number that is none": "call(True)",
    "a float": "call(1.5)",
    "a negative number": "call(-1)",
    "a huge number": "call(2**80)",
    "no tool": "send({'op': 'call', 'id': ID, 'call': 1, 'arguments': '{}'})",
    "arguments as an object": "send({'op': 'call', 'id': ID, 'call': 1, 'tool': 'echo', 'arguments': {'x': 1}})",
    "a tool as a list": "call(1, ['echo'])",
    "six figures of parts": """send(b'{"op": "x", "a": [' + b"[]," * 200_000 + b"0]}")""",
    "drop of nothing": "send({'op': 'drop', 'id': ID})",
    "drop of a text": "send({'op': 'drop', 'id': ID, 'call': '1'})",
}


@pytest.mark.parametrize("code", BAD_FORMS.values(), ids=BAD_FORMS.keys())
async def test_a_frame_of_a_bad_form_ends_its_own_guest(house: Daemon, code: str) -> None:
    async with connected(house.address) as wire:
        desk, other = await desk_of(wire), await desk_of(wire)
        desk.handlers = {**desk.handlers, "take": never}
        result = await forged(desk, f"{code}\nimport time\ntime.sleep(2.5)")
        assert (result.outcome, result.evidence.code) == (pb.OUTCOME_CRASHED, "protocol"), result
        assert await works(other)
        assert await works(desk), "a new interpreter in the same session"


async def never(_: Any) -> Any:
    await asyncio.sleep(60)


IGNORED = {
    "an answer": "send({'op': 'answer', 'call': 1, 'ok': True, 'value': '1'})",
    "a drop of what is not out": "send({'op': 'drop', 'id': ID, 'call': 77})",
    "another execution's id": "send({'op': 'call', 'id': 'x-000001', 'call': 9, 'tool': 'echo', 'arguments': '{\"x\": 1}'})",
    "no id": "send({'op': 'call', 'call': 9, 'tool': 'echo', 'arguments': '{\"x\": 1}'})",
    "tools of its own": "send({'op': 'tools', 'id': ID, 'tools': []})",
}


@pytest.mark.parametrize("code", IGNORED.values(), ids=IGNORED.keys())
async def test_what_a_guest_has_no_say_in_is_ignored(house: Daemon, code: str) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        result = await forged(desk, f"{code}\n'fine'")
        assert result.text == "'fine'"
        assert not desk.calls
        assert not result.tool_calls
        assert await works(desk)


ARGUMENTS = {
    "NaN": '{"x": NaN}',
    "infinity": '{"x": 1e999}',
    "a key twice": '{"x": 1, "x": 2}',
    "deep": "[" * 100_000,
    "deep and closed": '{"x":' + "[" * 200 + "]" * 200 + "}",
    "digits": '{"x": ' + "9" * 100_000 + "}",
    "a lone surrogate": '{"x": "\\ud800"}',
    "no JSON": "{x: 1}",
    "nothing": "",
    "an unknown tag": '{"x": {"$sandboxd": "pickle", "base64": ""}}',
    "a tag with more": '{"x": {"$sandboxd": "bytes", "base64": "", "more": 1}}',
    "a frame of objects": '{"x": {"$sandboxd":"dataframe","columns":["a"],"dtypes":["object"],"data":[[{}]],"index":null}}',
    "too many": '{"x": [' + "0," * 60_000 + "0]}",
}  # fmt: skip


@pytest.mark.parametrize("text", ARGUMENTS.values(), ids=ARGUMENTS.keys())
async def test_arguments_that_are_no_value_never_reach_the_client(house: Daemon, text: str) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        result = await forged(desk, f"call(1, 'take', {text!r})\nfinal_answer(receive()['error']['code'])")
        assert json.loads(result.final_answer.json) == "TOOL_ARGUMENTS", result
        assert not desk.calls
        assert states(result) == ["denied"]


async def test_giant_arguments_are_refused_and_the_guest_goes_on(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        code = """
call(1, 'take', '{"x": "' + "a" * (4 << 20) + '"}')
call(2, 'take', '{"x": [' + "[]," * 900_000 + '[]]}')
codes = [receive()["error"]["code"] for _ in range(2)]
final_answer(codes)
"""
        assert json.loads((await forged(desk, code)).final_answer.json) == ["TOOL_ARGUMENTS"] * 2
        assert await works(desk)
        assert (await desk.run("take(x='a' * (4 << 20))")).error.name == "TypeError", (
            "the guest says so at once"
        )
        assert len((await desk.run("take(x='a' * (2 << 20))")).text) > 2 << 20 or True
        assert await works(desk)


FLOODS = {
    "calls that are refused": "n = 0\nwhile True:\n    n += 1\n    call(n, 'no_such')",
    "calls that are refused, read": "n = 0\nwhile True:\n    n += 1\n    call(n, 'no_such')\n    receive()",
    "calls over budget": "n = 0\nwhile True:\n    n += 1\n    call(n)",
    "calls and drops": "n = 0\nwhile True:\n    n += 1\n    call(n)\n    send({'op': 'drop', 'id': ID, 'call': n})",
    "by the guest's own code": "while True:\n    try:\n        echo('text')\n    except ToolError:\n        pass",
    "awaitables": "while True:\n    try:\n        fetch(1).close()\n    except ToolError:\n        pass",
}


@pytest.mark.parametrize("code", FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_costs_its_sender(house: Daemon, code: str) -> None:
    async with connected(house.address) as wire:
        desk, other = await desk_of(wire), await desk_of(wire)
        before = resident_bytes(house)
        flood = asyncio.create_task(forged(desk, code))
        await asyncio.sleep(1.0)
        logged = log_bytes(house.state_dir)
        for _ in range(20):
            assert await works(other), "a neighbour works on"
        result = await flood
        assert result.outcome in {
            pb.OUTCOME_TIMEOUT_WALL,
            pb.OUTCOME_TIMEOUT_CPU,
            pb.OUTCOME_ERROR,
            pb.OUTCOME_CRASHED,
        }, result
        assert len(result.tool_calls) <= 256
        assert log_bytes(house.state_dir) - logged < 1 << 20, "the log does not grow with the flood"
        assert resident_bytes(house) - before < 64 << 20
        refused = records(house.state_dir, "tool_refused", session=desk.stream.opened.display_id)
        assert len(refused) <= 64
        assert await works(desk) or (await desk.run("1")).text == "1"


def resident_bytes(daemon: Daemon) -> int:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def log_bytes(state_dir: Path) -> int:
    return sum(path.stat().st_size for path in (state_dir / "log").glob("*"))


async def test_large_calls_at_once_are_read_as_they_are_answered(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk, other = await desk_of(wire), await desk_of(wire)
        desk.handlers = {**desk.handlers, "take": never}
        before = resident_bytes(house)
        large = "text = json.dumps({'x': [[]] * 49_000 + ['a' * 2_900_000]})\nn = 0\nwhile True:\n    n += 1\n    call(n, 'echo', text)"
        flood = asyncio.create_task(forged(desk, large))
        for _ in range(20):
            assert await works(other), "a neighbour works on"
        assert resident_bytes(house) - before < 160 << 20
        await flood
        assert await works(other)


async def test_a_call_after_its_cell_ended_goes_nowhere(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        code = """
import threading, time
seen = []
def late():
    time.sleep(0.3)
    try:
        seen.append(echo(1))
    except ToolError as error:
        seen.append(error.name)
threading.Thread(target=late).start()
"""
        assert (await desk.run(code)).outcome == pb.OUTCOME_OK
        await asyncio.sleep(0.6)
        # The box rested meanwhile; the thread goes on with the next cell, and its call, if it is made then, is that one's.
        result = await desk.run("import time\ntime.sleep(0.6)\nseen")
        assert result.text in {"['CutOff']", "[1]"}


async def test_a_thread_that_waits_when_its_cell_ends_hears_so(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        desk.handlers = {**desk.handlers, "take": never}
        code = """
import threading, time
seen = []
def waits():
    try:
        take()
    except ToolError as error:
        seen.append(error.name)
threading.Thread(target=waits).start()
time.sleep(0.3)
"""
        result = await desk.run(code)
        assert states(result) == ["cut_off"]
        assert (await desk.run("import time\ntime.sleep(0.7)\n[seen, echo(3)]")).text == "[['CutOff'], 3]"


async def test_a_process_that_a_cell_forked_cannot_call(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        code = """
import os
read, write = os.pipe()
if os.fork() == 0:
    try:
        echo(1)
    except BaseException as error:
        os.write(write, type(error).__name__.encode())
    os._exit(0)
os.close(write)
os.wait()
[os.read(read, 100), echo(2)]
"""
        assert (await desk.run(code)).text == "[b'ToolError', 2]"
        assert len(desk.calls) == 1


async def test_a_guest_that_reads_nothing_is_not_answered_without_end(house: Daemon) -> None:
    async with connected(house.address) as wire:
        stream: Stream = await wire.open(policy="desk", tools=SPECS, limits=pb.Limits())
        desk = Desk(stream, {"take": lambda _: "a" * 1_000_000})
        before = resident_bytes(house)
        result = await forged(
            desk, "for n in range(1, 100):\n    call(n, 'take')\nimport time\ntime.sleep(1)"
        )
        assert result.outcome in {pb.OUTCOME_OK, pb.OUTCOME_TIMEOUT_WALL}
        assert resident_bytes(house) - before < 64 << 20
        assert [use.code for use in result.tool_calls].count("TOOL_BUDGET") >= 1, "8 MiB in all"


@pytest.mark.parametrize(
    "end",
    ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.close(_control().fileno() - 0)\nos.closerange(3, 64)"],
)
async def test_an_interpreter_that_ends_in_mid_call_cuts_it_off(house: Daemon, end: str) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        desk.handlers = {**desk.handlers, "take": never}
        code = f"import threading, time\nthreading.Thread(target=take, daemon=True).start()\ntime.sleep(0.2)\n{end}\ntime.sleep(1)"
        result = await forged(desk, code)
        assert result.outcome != pb.OUTCOME_OK
        assert states(result) == ["cut_off"]
        (done,) = records(house.state_dir, "tool_done", session=desk.stream.opened.display_id)
        assert done["state"] == "cut_off"
        assert await works(desk)


async def test_a_call_on_top_of_a_wait_of_its_own_thread_is_answered(house: Daemon) -> None:
    """A signal's handler called while its thread waited for all: the two waited for each other, to the deadline."""
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        on_top = asyncio.Event()

        async def take(_given: dict[str, Any]) -> int:
            await on_top.wait()
            return 1

        def echo(given: dict[str, Any]) -> int:
            on_top.set()
            return int(given["x"])

        desk.handlers = {**desk.handlers, "take": take, "echo": echo}
        result = await desk.run(
            """
import signal
got = []
signal.signal(signal.SIGALRM, lambda *_: got.append(echo(7)))
signal.setitimer(signal.ITIMER_REAL, 0.05)
(take(x=0), got)
"""
        )
        assert result.text == "(1, [7])", result
        assert await works(desk)


async def test_a_name_that_is_no_unicode_is_told_like_a_value(house: Daemon) -> None:
    async with connected(house.address) as wire:
        desk = await desk_of(wire)
        result = await desk.run(r"take(**{'\ud800': 1})")
        assert (result.error.name, result.outcome) == ("TypeError", pb.OUTCOME_ERROR), result
        assert "lone surrogate" in result.error.message
