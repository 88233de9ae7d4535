"""One call: wrappers in order, answers that hold an exception's class and text alone, arguments as annotations promise."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from sandboxd_client import (
    ToolInvocation,
    ToolRefusedError,
    ToolValueError,
    ToolWrapper,
    approval,
    call_limit,
    current_call,
    logged,
    tool,
)
from sandboxd_client.tools.calls import answer_blocking, answer_on_loop, invocation, needs_loop
from sandboxd_client.tools.values import decode
from sandboxd_proto.v1 import sandbox_pb2 as pb


def double(x: int) -> int:
    """Double."""
    return 2 * x


class Keeper(ToolWrapper):
    def __init__(self, name: str, seen: list[str]) -> None:
        self.name, self.seen = name, seen

    def before(self, call: ToolInvocation) -> None:
        self.seen.append(f"{self.name} before {call.arguments}")

    def after(self, call: ToolInvocation, error: BaseException | None) -> None:
        self.seen.append(f"{self.name} after {type(error).__name__}")


def answered(function: Any, arguments: str = '{"x": 2}', **options: Any) -> pb.ToolResult:
    made = tool(function, **options)
    call = invocation(made, pb.ToolCall(call_id="c", tool=made.name, arguments_json=arguments))
    if not needs_loop(made):
        return answer_blocking(made, call)

    async def run() -> pb.ToolResult:
        return await answer_on_loop(made, call, asyncio.to_thread)

    return asyncio.run(run())


async def slow(x: int) -> int:
    """Double."""
    await asyncio.sleep(0)
    return 2 * x


@pytest.mark.parametrize("function", [double, slow])
def test_wrappers_are_passed_in_order_and_back(function):
    seen: list[str] = []
    answer = answered(function, wrappers=[Keeper("a", seen), Keeper("b", seen)])
    assert decode(answer.value_json) == 4
    assert seen == ["a before {'x': 2}", "b before {'x': 2}", "b after NoneType", "a after NoneType"]


@pytest.mark.parametrize("function", [double, slow])
def test_a_wrapper_that_fails_afterwards_changes_nothing_and_is_logged(function, caplog):
    class Broken(ToolWrapper):
        def after(self, call: ToolInvocation, error: BaseException | None) -> None:
            raise RuntimeError("broken")

    assert decode(answered(function, wrappers=[Broken()]).value_json) == 4
    assert "wrapper=Broken" in caplog.text


@pytest.mark.parametrize("function", [double, slow])
def test_a_refusal_stops_at_the_one_that_refuses(function):
    seen: list[str] = []
    wrappers = [Keeper("a", seen), approval(lambda _: False), Keeper("b", seen)]
    answer = answered(function, wrappers=wrappers)
    assert (answer.error.name, answer.error.message) == (
        "ToolRefusedError",
        f"The call of {function.__name__} was not approved.",
    )
    assert seen == ["a before {'x': 2}", "a after ToolRefusedError"]


@pytest.mark.parametrize("said", [None, 1, "yes", [], object()])
def test_anything_but_true_is_no_approval(said):
    assert answered(double, wrappers=[approval(lambda _: said)]).error.name == "ToolRefusedError"


def test_an_approval_that_waits_runs_on_a_loop_and_the_function_beside_it():
    where: list[str] = []

    async def ask(call: ToolInvocation) -> bool:
        await asyncio.sleep(0)
        where.append(threading.current_thread().name)
        return call.arguments["x"] == 2

    def work(x: int) -> int:
        where.append(threading.current_thread().name)
        return x

    assert decode(answered(work, wrappers=[approval(ask)]).value_json) == 2
    assert where[0] != where[1]
    assert answered(work, '{"x": 3}', wrappers=[approval(ask)]).error.name == "ToolRefusedError"


def test_limits_count_calls_in_all_and_in_a_span():
    wrapper = call_limit(2)
    assert [answered(double, wrappers=[wrapper]).WhichOneof("result") for _ in range(3)] == [
        "value_json",
        "value_json",
        "error",
    ]
    wrapper = call_limit(1, seconds=0.05)
    assert answered(double, wrappers=[wrapper]).value_json
    assert "used up" in answered(double, wrappers=[wrapper]).error.message
    time.sleep(0.06)
    assert answered(double, wrappers=[wrapper]).value_json
    for calls, seconds in ((0, None), (1, 0.0)):
        with pytest.raises(ValueError, match="above 0"):
            call_limit(calls, seconds)


def test_a_log_has_no_data(caplog):
    def fail(x: str) -> str:
        raise ValueError(x)

    with caplog.at_level(logging.INFO, "sandboxd_client.tools"):
        answered(fail, '{"x": "sk-data"}', wrappers=[logged()])
    assert "tool=fail call_id=c" in caplog.text
    assert "outcome=ValueError" in caplog.text
    assert "sk-data" not in caplog.text


class OddError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (ValueError("x"), "ValueError", "x"),
        (KeyError("x"), "KeyError", "'x'"),
        (StopIteration(1), "StopIteration", "1"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (OddError(), "OddError", ""),
        (ValueError("\ud800" + "x" * 9000), "ValueError", "?" + "x" * 3999),
        (asyncio.CancelledError(), "CancelledError", ""),
    ],
    ids=lambda one: type(one).__name__,
)
def test_every_exception_is_an_answer(error, name, message, is_async):
    def fail(x: int) -> int:
        raise error

    async def fail_later(x: int) -> int:
        raise error

    if is_async and isinstance(error, StopIteration):
        name, message = "RuntimeError", "coroutine raised StopIteration"
    answer = answered(fail_later if is_async else fail)
    assert (answer.error.name, answer.error.message) == (name, message)
    hidden = answered(fail_later if is_async else fail, hide_errors=True)
    assert (hidden.error.name, hidden.error.message) == (name, "")


def test_a_cancelled_call_on_a_loop_is_no_answer():
    made = tool(slow)
    call = invocation(made, pb.ToolCall(call_id="c", tool="slow", arguments_json='{"x": 1}'))

    async def run() -> None:
        task = asyncio.create_task(answer_on_loop(made, call, asyncio.to_thread))
        call.cancelled.set()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_a_function_knows_its_call_and_nobody_else_does():
    def ask(x: int) -> str:
        call = current_call()
        assert call is not None
        assert not call.cancelled.is_set()
        return f"{call.tool} {call.call_id} {call.direct}"

    assert decode(answered(ask).value_json) == "ask c False"
    assert current_call() is None


def test_a_coroutine_from_a_plain_function_is_told():
    def confused(x: int) -> Any:
        return slow(x)

    assert "async def" in answered(confused).error.message


@pytest.mark.parametrize("arguments", ["[1]", "1", '{"y": 1}', '{"x": "a"}', "{", '{"x": null}'])
def test_arguments_that_do_not_fit_never_reach_the_function(arguments):
    with pytest.raises(ToolValueError):
        invocation(tool(double), pb.ToolCall(call_id="c", tool="double", arguments_json=arguments))


def test_a_refusal_of_the_tools_own_is_an_exception_like_any():
    def careful(x: int) -> int:
        raise ToolRefusedError("not today")

    assert answered(careful).error.message == "not today"
