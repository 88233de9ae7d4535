"""Tools through the real daemon, from both clients: values, errors, budgets, time-outs, many at once, and nothing left behind."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, TypedDict

import pandas as pd
import pytest
from sandboxd_client import (
    AsyncSandbox,
    DirectCall,
    Finished,
    Limits,
    NotStartedError,
    Outcome,
    Sandbox,
    SandboxError,
    Screened,
    Stdout,
    ToolDefinitionError,
    ToolFinished,
    ToolImage,
    ToolInvocation,
    ToolStarted,
    ToolState,
    approval,
    call_limit,
    current_call,
    tool,
)
from tool_desk import records

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Daemon, StartDaemon

pytestmark = pytest.mark.userns

NARROW = """
apiVersion: sandboxd/v1
kind: Policy
metadata: {name: narrow, revision: 1, description: Tools by name.}
extends: default
limits: {tool_calls: 40}
tools:
  allow: ["*"]
  deny: ["*_delete"]
"""


@pytest.fixture(scope="module")
def narrow(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    policies: Path = tmp_path_factory.mktemp("policies")
    (policies / "narrow.yaml").write_text(NARROW)
    return start_module_daemon("--policy-dir", str(policies))


def double(x: int) -> int:
    """Double a number."""
    return 2 * x


async def slow(x: int) -> int:
    """Double a number, later."""
    await asyncio.sleep(0.05)
    return 2 * x


def failing(x: int) -> int:
    """Fail."""
    hidden = "sk-local-variable"
    raise LookupError(f"no {x}") from ValueError(hidden)


def records_delete(x: int) -> int:
    """Delete."""
    raise AssertionError("it was denied")


TOOLS = [double, slow, failing, records_delete]
# What Must hold 1 asks for, in one session.
MANY = """
import asyncio
doubled = [double(i) for i in range(20)]
gathered = await asyncio.gather(*[slow(i) for i in range(8)])
caught = []
for call in (lambda: failing(3), lambda: records_delete(1), lambda: double("x")):
    try:
        call()
    except ToolError as error:
        caught.append((type(error).__name__, error.code, error.name, error.message))
try:
    while True:
        double(1)
except ToolBudgetExceeded as error:
    caught.append((type(error).__name__, error.code))
(doubled, gathered, caught)
"""


def told(execution: Any) -> dict[str, int]:
    """Return how many calls of each tool ended in each state."""
    counts: dict[str, int] = {}
    for use in execution.tool_calls:
        counts[f"{use.tool} {use.state}"] = counts.get(f"{use.tool} {use.state}", 0) + 1
    return counts


def check_many(execution: Any) -> None:
    assert execution.ok, execution.error
    doubled, gathered, caught = eval(execution.text, {})
    assert doubled == [2 * i for i in range(20)]
    assert gathered == [2 * i for i in range(8)]
    assert caught[0] == ("ToolError", "", "LookupError", "no 3")
    assert caught[1][:2] == ("ToolDenied", "TOOL_DENIED")
    assert caught[2][:2] == ("ToolArgumentsError", "TOOL_ARGUMENTS")
    assert caught[-1] == ("ToolBudgetExceeded", "TOOL_BUDGET")
    counts = told(execution)
    assert counts["slow finished"] == 8
    assert counts["failing failed"] == 1
    assert counts["records_delete denied"] == 1
    assert counts["double denied"] == 2
    assert execution.tool_calls[0].seconds >= 0
    assert execution.usage.tool_calls in {None, len(execution.tool_calls)}


def test_twenty_in_a_row_eight_at_once_and_every_way_to_fail(narrow: Daemon) -> None:
    with Sandbox("narrow", narrow.address, tools=TOOLS) as sandbox:
        assert sandbox.tools_allowed == {"double", "slow", "failing"}
        check_many(sandbox.run_code(MANY))
        assert sandbox.run_code("double(4)").text == "8"  # the budget is a snippet's


async def test_the_same_on_an_event_loop(narrow: Daemon) -> None:
    async with AsyncSandbox("narrow", narrow.address, tools=TOOLS) as sandbox:
        check_many(await sandbox.run_code(MANY))
        assert (await sandbox.run_code("double(4)")).text == "8"


def test_eight_at_once_are_at_once_in_the_synchronous_client(daemon: Daemon) -> None:
    together = threading.Barrier(8)
    arrived: list[int] = []

    def meet(x: int) -> int:
        """Wait for all the others."""
        together.wait(30)
        return x

    async def later(x: int) -> int:
        """Wait for all the others, on the loop."""
        arrived.append(x)
        while len(arrived) < 8:
            await asyncio.sleep(0.01)
        return x

    with Sandbox(address=daemon.address, tools=[meet, later]) as sandbox:
        code = "import asyncio\nawait asyncio.gather(*[tools.meet.aio(i) for i in range(8)])"
        assert sandbox.run_code(code).text == str(list(range(8)))
        assert sandbox.run_code(code.replace("meet.aio", "later")).text == str(list(range(8)))


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


class Found(TypedDict):
    name: str
    data: bytes


def test_values_of_every_kind_pass_both_ways(daemon: Daemon) -> None:
    seen: list[Any] = []

    def take(point: Point, colour: Colour, raw: bytes, many: set[int]) -> Found:
        """Take things."""
        seen.extend([point, colour, raw, many])
        return {"name": "ü", "data": raw + b"\x00"}

    def table() -> pd.DataFrame:
        """Give a table."""
        return pd.DataFrame({"a": [1, 2], "t": pd.to_datetime(["2026-01-01", None])})

    with Sandbox(address=daemon.address, tools=[take, table]) as sandbox:
        # No pandas there: a table comes as a dictionary.
        code = """
frame = table()
(take({"x": 1}, "red", b"\\xff", [1, 1]), frame["dtypes"], frame["data"][0])
"""
        execution = sandbox.run_code(code)
        assert execution.ok, execution.error
        assert execution.text.startswith("({'name': 'ü', 'data': b'\\xff\\x00'}, ['int64', 'datetime64[")
        assert execution.text.endswith("[1, 2])")
    assert seen == [Point(1, 0.5), Colour.RED, b"\xff", {1}]


def test_tables_and_images_pass_both_ways(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "sandboxd", "env", "create", "data-science", "--if-missing"]
    subprocess.run(command, check=True, timeout=280)
    seen: list[Any] = []

    def swap(frame: pd.DataFrame, picture: ToolImage) -> ToolImage:
        """Take a table and a picture; give a picture."""
        seen.extend([frame, picture])
        return picture

    def give() -> pd.DataFrame:
        """Give what was taken."""
        return seen[0]

    code = """
import io
import pandas as pd
import matplotlib.pyplot as plt
from PIL import Image
frame = pd.DataFrame({"n": [1, None], "t": pd.to_datetime(["2026-01-01", None]), "s": ["a", "ü"]})
back = swap(frame, Image.new("RGB", (2, 3)))
(give().equals(frame), type(back).__name__, getattr(back, "size", None))
"""
    with Sandbox("data-science", daemon.address, tools=[swap, give]) as sandbox:
        execution = sandbox.run_code(code)
    assert execution.ok, (execution.error, execution.verdict)
    assert execution.text.startswith("(True,"), execution.text
    frame, picture = seen
    assert frame["n"].isna().tolist() == [False, True]
    assert (picture.mime, picture.data[:4]) == ("image/png", b"\x89PNG")


def test_what_cannot_be_sent_back_is_told_on_both_sides(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(x: int) -> Any:
        """Return what cannot pass."""
        return {"a": [object()]}

    def wrong(x: int) -> int:
        """Return what the schema does not allow."""
        return "text"  # type: ignore[return-value]

    with Sandbox(address=daemon.address, tools=[odd, wrong]) as sandbox, caplog.at_level(logging.WARNING):
        first = sandbox.run_code("odd(1)")
        second = sandbox.run_code("wrong(1)")
    assert "the result of odd['a'][0] is of type object" in first.error.value
    assert "the result of odd['a'][0] is of type object" in caplog.text
    assert second.error.name == "ToolResultError"
    assert second.tool_calls[0].code == "TOOL_RESULT"


def test_an_exception_tells_class_and_text_and_no_more(daemon: Daemon) -> None:
    def quiet(x: int) -> int:
        """Fail."""
        raise PermissionError("sk-in-the-text")

    def odd(x: int) -> int:
        """Fail oddly."""
        raise StopIteration(1)

    tools = [failing, tool(quiet, hide_errors=True), odd]
    code = """
import traceback
try:
    {0}(1)
except ToolError as error:
    print(traceback.format_exc(), error.__cause__, error.__context__, vars(error))
"""
    with Sandbox("unscreened", daemon.address, tools=tools) as sandbox:
        said = [sandbox.run_code(code.format(name)) for name in ("failing", "quiet", "odd")]
    assert all(one.ok for one in said), [one.error for one in said]
    assert "LookupError" in said[0].stdout
    assert "no 1" in said[0].stdout
    assert "PermissionError" in said[1].stdout
    assert "StopIteration" in said[2].stdout
    for one in said:
        assert "sk-" not in one.stdout
        assert "test_client_tools" not in one.stdout


HANGING = """
import time
began = time.monotonic()
try:
    hang(1)
except ToolTimeout as error:
    said = error.code
said
"""


def test_a_tool_that_hangs_ends_by_its_own_timeout_and_is_told(daemon: Daemon) -> None:
    cancelled = threading.Event()
    ended: list[ToolFinished] = []

    def hang(x: int) -> int:
        """Hang."""
        call = current_call()
        assert call is not None
        if call.cancelled.wait(60):
            cancelled.set()
        return x

    def keep(event: ToolStarted | ToolFinished) -> None:
        if isinstance(event, ToolFinished):
            ended.append(event)

    with Sandbox(address=daemon.address, tools=[tool(hang, timeout=0.3)]) as sandbox:
        execution = sandbox.run_code(HANGING, on_tool_call=keep)
        assert execution.text == "'TOOL_TIMEOUT'", execution.error
        assert [use.state for use in execution.tool_calls] == [ToolState.TIMED_OUT]
        assert [event.state for event in ended] == [ToolState.TIMED_OUT]
        assert cancelled.wait(30)
        assert sandbox.run_code("1 + 1").text == "2"


async def test_a_coroutine_that_hangs_is_cancelled(daemon: Daemon) -> None:
    cancelled = asyncio.Event()

    async def hang(x: int) -> int:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return x

    async with AsyncSandbox(address=daemon.address, tools=[tool(hang, timeout=0.3)]) as sandbox:
        execution = await sandbox.run_code(HANGING.replace("hang(1)", "await hang(1)"))
        assert execution.text == "'TOOL_TIMEOUT'", execution.error
        async with asyncio.timeout(30):
            await cancelled.wait()


def test_the_clock_of_the_snippet_stands_still_while_a_tool_runs(daemon: Daemon) -> None:
    def wait(x: int) -> int:
        """Take longer than the snippet may."""
        time.sleep(1.0)
        return x

    with Sandbox(address=daemon.address, tools=[wait]) as sandbox:
        assert sandbox.run_code("wait(3)", timeout=0.5).text == "3"
        spinning = sandbox.run_code("wait(3)\nwhile True: pass", timeout=0.5)
    assert spinning.outcome is Outcome.TIMEOUT_WALL
    assert told(spinning) == {"wait finished": 1}


def test_what_is_out_when_the_snippet_ends_is_cut_off_and_stopped(daemon: Daemon) -> None:
    stopped = threading.Event()

    async def forever(x: int) -> int:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return x

    code = "import asyncio\ntask = asyncio.ensure_future(forever(1))\nawait asyncio.sleep(0.2)\n1 / 0"
    with Sandbox("unscreened", daemon.address, tools=[forever]) as sandbox:
        execution = sandbox.run_code(code)
        assert execution.error.name == "ZeroDivisionError"
        assert told(execution) == {"forever cut_off": 1}
        assert stopped.wait(30)
        assert sandbox.run_code("1 + 1").text == "2"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_callback_that_raises_leaves_no_tool_running(daemon: Daemon, is_async: bool) -> None:
    running, stopped = threading.Event(), threading.Event()

    async def forever(x: int) -> int:
        """Wait."""
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return x

    def blocking(x: int) -> int:
        """Wait."""
        running.set()
        call = current_call()
        assert call is not None
        call.cancelled.wait(60)
        stopped.set()
        return x

    def refuse(event: ToolStarted | ToolFinished) -> None:
        running.wait(30)
        raise RuntimeError("enough")

    name = "forever" if is_async else "blocking"
    with Sandbox(address=daemon.address, tools=[forever, blocking]) as sandbox:
        with pytest.raises(RuntimeError, match="enough"):
            sandbox.run_code(f"{'await ' if is_async else ''}{name}(1)", on_tool_call=refuse)
        assert stopped.wait(30)
        assert sandbox.run_code("1 + 1").text == "2"


async def test_a_cancelled_caller_leaves_no_tool_running(daemon: Daemon) -> None:
    running, stopped = asyncio.Event(), asyncio.Event()

    async def forever(x: int) -> int:
        """Wait."""
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return x

    async with AsyncSandbox(address=daemon.address, tools=[forever]) as sandbox:
        task = asyncio.create_task(sandbox.run_code("await forever(1)"))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stopped.is_set()
        assert (await sandbox.run_code("1 + 1")).text == "2"


def test_events_come_typed_and_in_order(daemon: Daemon) -> None:
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        events = list(sandbox.stream_code("print('a')\nx = double(2)\nprint(x)\nx"))
        kinds = [type(event) for event in events]
        assert kinds[0] is Screened
        assert kinds[-1] is Finished
        assert kinds.index(ToolStarted) < kinds.index(ToolFinished)
        assert "".join(event.text for event in events if isinstance(event, Stdout)) == "a\n4\n"
        started = next(event for event in events if isinstance(event, ToolStarted))
        assert (started.tool, started.arguments) == ("double", {"x": 2})
        assert "2" not in repr(started.arguments.get("y", ""))
        assert events[-1].execution.text == "4"
        for event in sandbox.stream_code("print('first')\nwhile True: pass"):
            if isinstance(event, Stdout):
                break
        gc.collect()
        assert sandbox.run_code("1 + 1").text == "2"


async def test_an_iterator_that_is_left_interrupts_the_code(daemon: Daemon) -> None:
    async with AsyncSandbox(address=daemon.address, tools=TOOLS) as sandbox:
        stream = sandbox.stream_code("print('first', flush=True)\nwhile True: pass")
        async for event in stream:
            if isinstance(event, Stdout):
                break
        with pytest.raises(NotStartedError, match="SESSION_BUSY"):
            await sandbox.run_code("1")
        await stream.aclose()
        events = [event async for event in sandbox.stream_code("await slow(2)")]
        assert [type(event) for event in events] == [Screened, ToolStarted, ToolFinished, Finished]
        assert events[-1].execution.text == "4"


def test_a_reader_that_takes_its_time_gets_everything(daemon: Daemon) -> None:
    code = "for i in range(5):\n    print(double(i), flush=True)"
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        events = []
        for event in sandbox.stream_code(code, timeout=1.0):
            events.append(event)
            time.sleep(0.1)
    assert "".join(event.text for event in events if isinstance(event, Stdout)) == "0\n2\n4\n6\n8\n"
    assert sum(isinstance(event, ToolFinished) for event in events) == 5
    assert events[-1].execution.ok


async def test_coroutine_functions_may_listen(daemon: Daemon) -> None:
    heard: list[Any] = []

    async def keep(event: Any) -> None:
        await asyncio.sleep(0)
        heard.append(event)

    async with AsyncSandbox(address=daemon.address, tools=TOOLS) as sandbox:
        await sandbox.run_code("print(await slow(1))", on_stdout=keep, on_tool_call=keep)
    assert [type(one) for one in heard] == [ToolStarted, ToolFinished, str]


def test_one_sandbox_in_many_threads_runs_one_thing_at_a_time(daemon: Daemon) -> None:
    ended: list[str] = []

    def work(number: int) -> None:
        done = 0
        while done < 10:
            try:
                if number % 3 == 0:
                    ended.append(f"code {sandbox.run_code('double(1)').text}")
                elif number % 3 == 1:
                    ended.append(f"direct {sandbox.call_tool('double', {'x': 1}).value}")
                else:
                    sandbox.set_tools(TOOLS)
                    ended.append("set")
                done += 1
            except NotStartedError as error:
                assert error.code == "SESSION_BUSY"
            time.sleep(0.002)

    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sandbox.run_code("double(2)").text == "4"
    assert {one: ended.count(one) for one in ended} == {"code 2": 20, "direct 2": 20, "set": 20}


def test_a_restricting_policy_has_tools_too(daemon: Daemon) -> None:
    with Sandbox("pure", daemon.address, tools=TOOLS) as sandbox:
        assert sandbox.run_code("[double(i) for i in range(3)]").text == "[0, 2, 4]"
        caught = "try:\n    failing(1)\nexcept ToolError as error:\n    print(error.name, error.message)"
        assert sandbox.run_code(caught).stdout == "LookupError no 1\n"


def test_tools_can_be_replaced_between_snippets(daemon: Daemon) -> None:
    with Sandbox(address=daemon.address, tools=[double]) as sandbox:
        assert sandbox.set_tools([failing]) == {"failing"}
        assert [one.name for one in sandbox.tools] == ["failing"]
        assert sandbox.run_code("double(1)").error is not None
        assert sandbox.run_code("failing(1)").error.name == "ToolError"
        sandbox.set_tools([double])
        assert sandbox.run_code("double(1)").text == "2"
        with pytest.raises(ToolDefinitionError):
            sandbox.set_tools([lambda: 1])
        with pytest.raises(SandboxError, match="TOOL_INVALID"):
            sandbox.set_tools(
                [dataclasses.replace(tool(double), parameters={"type": "object", "pattern": "x"})]
            )
        assert sandbox.run_code("double(1)").text == "2"


def test_who_may_call(daemon: Daemon) -> None:
    tools = [tool(double, name="by_code", callers="code"), tool(double, name="by_model", callers="direct")]
    with Sandbox(address=daemon.address, tools=tools) as sandbox:
        assert sandbox.run_code("by_code(1)").text == "2"
        assert sandbox.run_code("tools.by_model(1)").outcome in {Outcome.ERROR, Outcome.DENIED}
        assert sandbox.call_tool("by_model", {"x": 1}).value == 2
        refused = sandbox.call_tool("by_code", {"x": 1})
        assert (refused.state, refused.code) == (ToolState.DENIED, "TOOL_UNKNOWN")


def test_direct_calls_all_at_once_each_with_its_own_end(narrow: Daemon) -> None:
    together = threading.Barrier(4)

    def meet(x: int) -> int:
        """Wait for the others."""
        together.wait(30)
        return x

    calls = [DirectCall("meet", {"x": i}) for i in range(4)]
    calls += [
        DirectCall("failing", {"x": 1}),
        DirectCall("records_delete", {"x": 1}),
        DirectCall("double", '{"x": "a"}'),
        DirectCall("double", "no json"),
        DirectCall("absent"),
        DirectCall("slow", '{"x": 4}'),
        DirectCall("double", {"x": object()}),
    ]
    with Sandbox("narrow", narrow.address, tools=[*TOOLS, meet]) as sandbox:
        results = sandbox.call_tools(calls)
        assert [one.value for one in results[:4]] == [0, 1, 2, 3]
        assert [(one.state, one.code) for one in results[4:9]] == [
            (ToolState.FAILED, "LookupError"),
            (ToolState.DENIED, "TOOL_DENIED"),
            (ToolState.DENIED, "TOOL_ARGUMENTS"),
            (ToolState.DENIED, "TOOL_ARGUMENTS"),
            (ToolState.DENIED, "TOOL_UNKNOWN"),
        ]
        assert results[9].value == 8
        assert results[10].code == "TOOL_ARGUMENTS"
        assert sandbox.call_tools([]) == []
        with pytest.raises(ValueError, match="one id"):
            sandbox.call_tools(
                [DirectCall("double", {"x": 1}, "same-id-1"), DirectCall("double", {"x": 1}, "same-id-1")]
            )
        spent = sandbox.call_tools([DirectCall("double", {"x": 1}) for _ in range(41)])
        assert spent[-1].code == "TOOL_BUDGET"
        assert sandbox.run_code("double(1)").text == "2"


async def test_a_direct_call_that_hangs_times_out_and_is_cancelled(daemon: Daemon) -> None:
    cancelled = asyncio.Event()

    async def hang(x: int) -> int:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return x

    async with AsyncSandbox(address=daemon.address, tools=[tool(hang, timeout=0.3), double]) as sandbox:
        result = await sandbox.call_tool("hang", {"x": 1})
        assert (result.state, result.code) == (ToolState.TIMED_OUT, "TOOL_TIMEOUT")
        assert cancelled.is_set()
        assert (await sandbox.call_tool("double", {"x": 1})).value == 2


async def test_direct_calls_that_are_left_stop_here_and_are_over_there(daemon: Daemon) -> None:
    running, stopped = asyncio.Event(), asyncio.Event()

    async def forever(x: int) -> int:
        """Wait."""
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return x

    async with AsyncSandbox(address=daemon.address, tools=[forever, double]) as sandbox:
        task = asyncio.create_task(sandbox.call_tool("forever", {"x": 1}))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stopped.is_set()
        assert (await sandbox.call_tool("double", {"x": 1})).value == 2
        assert (await sandbox.run_code("double(2)")).text == "4"
        session = sandbox.display_id
    ended = {one["state"] for one in records(daemon.state_dir, "tool_done", session=session)}
    assert ended == {"failed", "finished"}


def test_wrappers_stand_around_each_call(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[dict[str, Any]] = []

    def ask(call: ToolInvocation) -> bool:
        asked.append(call.arguments)
        return call.arguments["x"] < 10

    async def ask_later(call: ToolInvocation) -> bool:
        await asyncio.sleep(0)
        return ask(call)

    tools = [
        tool(double, name="careful", wrappers=[approval(ask)]),
        tool(double, name="careful_later", wrappers=[approval(ask_later)]),
        tool(slow, name="slow_careful", wrappers=[approval(ask)]),
        tool(double, name="once", wrappers=[call_limit(1)]),
    ]
    with Sandbox(address=daemon.address, tools=tools) as sandbox:
        for name in ("careful", "careful_later", "slow_careful"):
            call = f"{'await ' if name == 'slow_careful' else ''}{name}"
            assert sandbox.run_code(f"{call}(1)").text == "2"
            refused = sandbox.run_code(f"{call}(10)")
            assert "not approved" in refused.error.value
            assert refused.tool_calls[0].code == "ToolRefusedError"
        assert sandbox.run_code("once(1)").ok
        assert "used up" in sandbox.run_code("once(1)").error.value
    assert len(asked) == 6


def test_two_sandboxes_in_two_threads_keep_their_tools_apart(daemon: Daemon) -> None:
    answers: dict[int, list[str | None]] = {}

    def work(number: int) -> None:
        def mine(x: int) -> int:
            """Give this thread's number."""
            return number * 1000 + x

        with Sandbox(address=daemon.address, tools=[mine]) as sandbox:
            answers[number] = [sandbox.run_code(f"[mine(i) for i in range({i})]").text for i in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {
        number: [str([number * 1000 + i for i in range(count)]) for count in range(5)] for number in range(4)
    }


def test_a_tool_can_use_another_sandbox_and_its_own_files(daemon: Daemon) -> None:
    with Sandbox(address=daemon.address) as inner:

        def delegate(code: str) -> str:
            """Run code elsewhere."""
            return inner.run_code(code).text or ""

        with Sandbox(address=daemon.address, tools=[delegate]) as sandbox:

            def store(name: str) -> int:
                """Write a file into this sandbox, while its code waits."""
                return sandbox.files.write(name, "text").size_bytes

            assert sandbox.run_code("delegate('1 + 1')").text == "'2'"
            sandbox.set_tools([store])
            assert sandbox.run_code("store('made.txt'), open('made.txt').read()").text == "(4, 'text')"


def test_clones_have_the_tools(daemon: Daemon) -> None:
    with Sandbox(address=daemon.address, tools=[double]) as sandbox:
        sandbox.run_code("x = 3")
        [clone] = sandbox.fork()
        with clone:
            assert clone.run_code("double(x)").text == "6"
            assert clone.tools == sandbox.tools
            assert clone.tools_allowed == {"double"}
            assert clone.call_tool("double", {"x": 5}).value == 10
        assert sandbox.run_code("double(x)").text == "6"


def test_a_finished_sandbox_holds_no_tool(daemon: Daemon) -> None:
    class Holder:
        def reach(self, x: int) -> int:
            """Reach."""
            return x

    holder = Holder()
    seen = weakref.ref(holder)
    sandbox = Sandbox(address=daemon.address, tools=[holder.reach])
    with sandbox:
        assert sandbox.run_code("reach(1)").ok
    del sandbox, holder
    until = time.monotonic() + 30
    while seen() is not None and time.monotonic() < until:  # an idle thread forgets its last call first
        gc.collect()
        time.sleep(0.05)
    assert seen() is None


def test_a_policy_that_grants_no_calls_grants_none(daemon: Daemon) -> None:
    with Sandbox(address=daemon.address, tools=[double], limits=Limits(tool_calls=0)) as sandbox:
        execution = sandbox.run_code("double(1)")
    assert execution.error.name == "ToolBudgetExceeded"
    assert told(execution) == {"double denied": 1}


def test_tools_that_are_wanted_wrongly_open_nothing(daemon: Daemon) -> None:
    with pytest.raises(ToolDefinitionError, match="no name for a tool"):
        Sandbox(address=daemon.address, tools=[lambda x: x])
