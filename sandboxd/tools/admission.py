"""What stands between a claim of a call and the call: who may, what the policy says, what the schema says, what is left.

Large values are parsed and held against their schemas by one thread for all sessions, a few milliseconds of the interpreter
at a time: what one guest makes large delays other large ones, and not the loop that serves all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn, TypeVar

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.tools import values
from sandboxd.tools.calls import Admitted
from sandboxd.tools.rules import Rules
from sandboxd.tools.schemas import Schema
from sandboxd.tools.specs import Tool
from sandboxd.tools.values import Object, Value, ValueFormError

T = TypeVar("T")
SMALL_BYTES = 4 << 10
_aside = ThreadPoolExecutor(1, "tool-values")
_NAMES_SHOWN = 20


class Budget:
    """Calls and bytes that are left: of one snippet, or of the direct calls between two."""

    __slots__ = ("bytes_left", "calls_left", "hit")

    def __init__(self, calls: int, size_bytes: int) -> None:
        self.calls_left = calls
        self.bytes_left = size_bytes
        self.hit = False

    def take_call(self) -> None:
        """Count a call.

        Raises:
            SandboxdError: TOOL_BUDGET.
        """
        if self.calls_left <= 0:
            self._refuse("the tool calls (tool_calls)")
        self.calls_left -= 1

    def take_bytes(self, size: int) -> None:
        """Count arguments or a result, as they came.

        Raises:
            SandboxdError: TOOL_BUDGET.
        """
        if size > self.bytes_left:
            self._refuse("the bytes of tool calls (tool_bytes)")
        self.bytes_left -= size

    def _refuse(self, what: str) -> NoReturn:
        self.hit = True
        _refuse(Code.TOOL_BUDGET, f"{what} of this snippet are used up")


async def admit(
    tools: Mapping[str, Tool],
    rules: Sequence[Rules],
    name: str,
    arguments: str,
    *,
    direct: bool,
    budget: Budget,
) -> Admitted:
    """Check a call, cheapest question first.

    Raises:
        SandboxdError: TOOL_BUDGET, TOOL_UNKNOWN, TOOL_DENIED, TOOL_ARGUMENTS.
    """
    budget.take_call()
    tool = tools.get(name)
    if tool is None or not tool.may_call(direct=direct):
        callable_now = [one for one, known in tools.items() if known.may_call(direct=direct)]
        _refuse(
            Code.TOOL_UNKNOWN,
            f"no such tool may be called here; there are: {', '.join(callable_now[:_NAMES_SHOWN])}",
        )
    for one in rules:
        if not one.allows(name):
            _refuse(Code.TOOL_DENIED, one.refusal(name, {}))
    budget.take_bytes(len(arguments))  # before they are looked at: looking is what costs
    value = await _read(arguments, Code.TOOL_ARGUMENTS)
    if not isinstance(value.seen, Object):
        _refuse(Code.TOOL_ARGUMENTS, "the arguments are no object")
    for one in rules:
        refusal = one.refusal(name, value.seen)
        if refusal:
            _refuse(Code.TOOL_DENIED, refusal)
    await _check(tool.parameters, value, Code.TOOL_ARGUMENTS, "arguments")
    return Admitted(tool, value)


async def check_result(tool: Tool, text: str, budget: Budget) -> Value:
    """Check what a client gave.

    Raises:
        SandboxdError: TOOL_RESULT, TOOL_BUDGET.
    """
    budget.take_bytes(len(text))
    value = await _read(text, Code.TOOL_RESULT)
    if tool.returns is not None:
        await _check(tool.returns, value, Code.TOOL_RESULT, "result")
    return value


async def _read(text: str, code: Code) -> Value:
    try:
        values.check_size(text)  # here: what is too large must not wait in a queue
        return await _apart(values.read, text, small=len(text) <= SMALL_BYTES)
    except ValueFormError as error:
        _refuse(code, f"it is not right as a value: {error}")


async def _check(schema: Schema, value: Value, code: Code, what: str) -> None:
    problem = await _apart(schema.problem_of, value, small=schema.cost(value) <= SMALL_BYTES)
    if problem:
        _refuse(code, f"{what} not as the schema says: {problem}")


async def _apart(work: Callable[..., T], *arguments: object, small: bool) -> T:
    if small:
        return work(*arguments)
    return await asyncio.get_running_loop().run_in_executor(_aside, work, *arguments)


def _refuse(code: Code, message: str) -> NoReturn:
    raise SandboxdError(code, message, remedy="See protos/TOOLS.md.", failure=FailureClass.NOT_STARTED)
