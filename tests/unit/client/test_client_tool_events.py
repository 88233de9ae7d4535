"""A daemon that asks twice, asks for what is not there, or stops waiting: each call is run once and stopped when it is over."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from fake_daemon import CUT, result, stdout
from sandboxd_client import (
    AsyncSandbox,
    Finished,
    Sandbox,
    SandboxError,
    Stdout,
    ToolFinished,
    ToolStarted,
    ToolState,
)
from sandboxd_client.tools.threads import ToolThreads
from sandboxd_proto.v1 import sandbox_pb2 as pb

if TYPE_CHECKING:
    from fake_daemon import FakeDaemon


def call(call_id: str, tool: str = "f", arguments: str = '{"x": 1}') -> pb.SessionEvent:
    return pb.SessionEvent(tool_call=pb.ToolCall(call_id=call_id, tool=tool, arguments_json=arguments))


def over(call_id: str, reason: str = "timeout") -> pb.SessionEvent:
    return pb.SessionEvent(tool_call_over=pb.ToolCallOver(call_id=call_id, reason=reason))


def test_a_call_that_is_asked_for_twice_is_run_once_and_answered_twice(fake: FakeDaemon) -> None:
    ran: list[int] = []
    answered = threading.Event()

    def f(x: int) -> int:
        """Count."""
        ran.append(x)
        return x + 1

    def answer(request: pb.SessionRequest, _outbox: object) -> None:
        answers.append(request.tool_result)
        if len(answers) == 2:
            answered.set()

    answers: list[pb.ToolResult] = []
    fake._on_tool_result = answer  # type: ignore[attr-defined]
    fake.scripts.put([call("a"), 0.05, call("a"), answered, result(text="1")])
    with Sandbox(address=fake.address, tools=[f]) as sandbox:
        assert sandbox.run_code("f(1)").text == "1"
        assert [tool.name for tool in fake.wanted.tools] == ["f"]
    assert ran == [1]
    assert [(one.call_id, one.value_json) for one in answers] == [("a", "2"), ("a", "2")]


def test_answers_are_sent_again_after_a_cut_and_forgotten_with_their_execution(fake: FakeDaemon) -> None:
    ran: list[int] = []
    again = threading.Event()
    answers: list[str] = []

    def f(x: int) -> int:
        """Count."""
        ran.append(x)
        return x

    def answer(request: pb.SessionRequest, _outbox: object) -> None:
        answers.append(request.tool_result.call_id)
        if answers.count("a") == 2:
            again.set()

    fake._on_tool_result = answer  # type: ignore[attr-defined]
    fake.scripts.put([call("a"), 0.1, CUT, again, result(text="1")])
    fake.scripts.put([result(text="2")])
    with Sandbox(address=fake.address, tools=[f]) as sandbox:
        assert sandbox.run_code("f(1)").text == "1"
        assert sandbox.run_code("2").text == "2"
        session = sandbox._session
        assert session is not None
        assert not session.desk.answers
    assert ran == [1]
    assert answers == ["a", "a"]


def test_a_tool_that_is_not_there_and_arguments_that_do_not_fit_are_answered_so(fake: FakeDaemon) -> None:
    answers: list[pb.ToolResult] = []
    all_answered = threading.Event()

    def f(x: int) -> int:
        """Never run."""
        raise AssertionError

    def answer(request: pb.SessionRequest, _outbox: object) -> None:
        answers.append(request.tool_result)
        if len(answers) == 3:
            all_answered.set()

    fake._on_tool_result = answer  # type: ignore[attr-defined]
    bad = [call("a", "absent"), call("b", arguments='{"x": "no"}'), call("c", arguments="[1")]
    fake.scripts.put([*bad, all_answered, result()])
    with Sandbox(address=fake.address, tools=[f]) as sandbox:
        assert sandbox.run_code("f(1)").ok
    assert [one.error.name for one in answers] == ["ToolValueError"] * 3
    assert "no tool 'absent'" in answers[0].error.message


@pytest.mark.parametrize(
    ("reason", "state"), [("timeout", ToolState.TIMED_OUT), ("cancelled", ToolState.CUT_OFF)]
)
def test_what_is_over_is_stopped_told_and_never_answered(
    fake: FakeDaemon, reason: str, state: ToolState
) -> None:
    release = threading.Event()

    def f(x: int) -> int:
        """Wait."""
        release.wait(10)
        return x

    fake._on_tool_result = lambda request, _: fake.requests.append("answered")  # type: ignore[attr-defined]
    fake.scripts.put([call("a"), 0.05, over("a", reason), over("never"), stdout(b"x"), result()])
    with Sandbox(address=fake.address, tools=[f]) as sandbox:
        events = list(sandbox.stream_code("f(1)"))
        release.set()
    kinds = [type(event) for event in events]
    assert kinds == [ToolStarted, ToolFinished, Stdout, Finished]
    assert events[1].state is state
    assert "answered" not in fake.requests


@pytest.mark.parametrize("half", ["async", "sync"])
def test_without_a_thread_the_program_is_told(
    fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    monkeypatch.setattr(f"sandboxd_client._backend_{half}.ToolThreads", lambda: ToolThreads(1, 0))
    answers: list[pb.ToolResult] = []
    answered = threading.Event()

    def f(x: int) -> int:
        """Never run."""
        raise AssertionError

    def answer(request: pb.SessionRequest, _outbox: object) -> None:
        answers.append(request.tool_result)
        answered.set()

    async def run_on_loop() -> None:
        async with AsyncSandbox(address=fake.address, tools=[f]) as sandbox:
            assert (await sandbox.run_code("f(1)")).ok

    fake._on_tool_result = answer  # type: ignore[attr-defined]
    fake.scripts.put([call("a"), answered, result()])
    if half == "async":
        asyncio.run(run_on_loop())
    else:
        with Sandbox(address=fake.address, tools=[f]) as sandbox:
            assert sandbox.run_code("f(1)").ok
    assert [one.error.name for one in answers] == ["RuntimeError"]
    assert "threads hang" in answers[0].error.message


def test_a_session_that_is_lost_stops_its_tools(fake: FakeDaemon) -> None:
    stopped = threading.Event()

    async def f(x: int) -> int:
        """Wait."""
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return x

    fake.scripts.put([call("a"), 0.05, pb.SessionEvent(closed=pb.Closed(reason="ended"))])
    with Sandbox(address=fake.address, tools=[f]) as sandbox, pytest.raises(SandboxError):
        sandbox.run_code("f(1)")
    assert stopped.wait(10)


def test_waiting_for_tools_is_not_overdue(fake: FakeDaemon) -> None:
    fake.opened.limits.tool_wait_seconds = 5.0

    def f(x: int) -> int:
        """Return at once."""
        return x

    fake._on_tool_result = lambda request, _: None  # type: ignore[attr-defined]
    fake.scripts.put([call("a"), 1.5, result(text="1")])  # longer than wall, grace and margin
    with Sandbox(address=fake.address, tools=[f]) as sandbox:
        assert sandbox.run_code("f(1)").text == "1"
    assert not fake.interrupted.is_set()
