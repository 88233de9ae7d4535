"""The tools of one session, and its calls that a client is to answer. All state belongs to the event loop.

A call is out from the moment its client may hear of it until it has an end: an answer, its timeout, its execution's end.
There is one end, and it is recorded; what comes after it is dropped.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import Limits, ToolCall, ToolCallOver, ToolSpec, ToolState
from sandboxd.log import Log
from sandboxd.tools import specs
from sandboxd.tools.admission import Budget, admit, check_result
from sandboxd.tools.calls import (
    CUT_OFF,
    Admitted,
    Answer,
    Caller,
    Ended,
    failed,
    record_call,
    record_done,
    record_refusal,
)
from sandboxd.tools.rules import Rules
from sandboxd.tools.specs import Tool

Emit: TypeAlias = Callable[[ToolCall | ToolCallOver], None]
_NO_TOOLS: Mapping[str, Tool] = {}
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_ERROR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")
_MESSAGE_CHARACTERS = 4096
_MAX_DIRECT = 64


@dataclass(eq=False, slots=True)
class Out:
    """A call that is out, since `began` of the loop's clock; `on_end` is called once."""

    caller: Caller
    admitted: Admitted
    call: ToolCall
    budget: Budget
    emit: Emit
    on_end: Callable[[Ended], None]
    began: float
    timer: asyncio.TimerHandle


class Broker:
    """What one session may call, and what it has called.

    Args:
        caller: the session, for the log.
        rules: of each policy that has a say: the session's, and of a one-shot that was moved also the first one's.
        limits: the session's.
        log: where each call is recorded.
        tools: what it may call, as `specs.read` gave it.
    """

    def __init__(
        self,
        caller: Caller,
        rules: Sequence[Rules],
        limits: Limits,
        log: Log,
        tools: Mapping[str, Tool] = _NO_TOOLS,
    ) -> None:
        self.caller = caller
        self.rules = tuple(rules)
        self.limits = limits
        self.log = log
        self.tools = tools
        self.guest_json = specs.for_guest(tools)
        self._numbers = itertools.count(1)
        self._out: dict[str, Out] = {}
        self._closed = False
        self._direct_budget = self.new_budget()

    # ---- tools ----------------------------------------------------------------------------------------------

    def set(self, wanted: Sequence[ToolSpec]) -> None:
        """Replace the session's tools.

        Raises:
            SandboxdError: TOOL_INVALID; the tools are as before.
        """
        self.tools = specs.read(wanted)
        self.guest_json = specs.for_guest(self.tools)

    def clone(self, session: str) -> Broker:
        """Make the broker of a clone of this session: the same tools and rules, and calls of its own."""
        return Broker(
            dataclasses.replace(self.caller, session=session), self.rules, self.limits, self.log, self.tools
        )

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What is registered, checked."""
        return tuple(tool.spec for tool in self.tools.values())

    @property
    def allowed(self) -> tuple[str, ...]:
        """The tools that no policy denies by name."""
        return tuple(name for name in self.tools if all(one.allows(name) for one in self.rules))

    # ---- calls ----------------------------------------------------------------------------------------------

    def new_budget(self) -> Budget:
        """Give the calls and bytes of one snippet."""
        return Budget(self.limits.tool_calls, self.limits.tool_bytes)

    def renew_direct(self) -> None:
        """Start the budget of direct calls again: a snippet begins."""
        self._direct_budget = self.new_budget()

    def new_id(self) -> str:
        """Make the id of a call from code; no client can make one that has a dot."""
        return f"t.{next(self._numbers)}"

    async def admit(self, name: str, arguments: str, caller: Caller, budget: Budget) -> Admitted:
        """Check a call. Raises SandboxdError, see `sandboxd.tools.admission`."""
        if self.limits.tool_seconds <= 0:
            raise SandboxdError(Code.TOOL_BUDGET, "no tool has any time here (tool_timeout)")
        return await admit(self.tools, self.rules, name, arguments, direct=caller.direct, budget=budget)

    def refuse(self, name: str, code: str, caller: Caller, times: int = 1) -> None:
        """Record that a call was refused."""
        record_refusal(self.log, caller, name if name in self.tools else "", code, times=times)

    async def issue(
        self,
        call_id: str,
        admitted: Admitted,
        caller: Caller,
        *,
        budget: Budget,
        emit: Emit,
        wanted: Callable[[], bool],
        on_end: Callable[[Ended], None],
    ) -> Out | None:
        """Record a call and tell the client; `on_end` is called once. None: nobody wanted it any more by then.

        Raises:
            SandboxdError: LOG_FULL, LOG_FAILED; the client heard nothing.
        """
        spec = admitted.tool.spec
        timeout = min(spec.timeout_seconds or math.inf, self.limits.tool_seconds)
        await record_call(self.log, caller, call_id, admitted)
        if not wanted():
            record_done(self.log, caller, call_id, CUT_OFF, seconds=0.0)
            return None
        call = ToolCall(call_id, spec.name, admitted.value.text, timeout, caller.direct)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(timeout, self._timed_out, call_id)
        out = Out(caller, admitted, call, budget, emit, on_end, began=loop.time(), timer=timer)
        self._out[call_id] = out
        emit(call)
        return out

    def end(self, out: Out, ended: Ended, over: str = "") -> None:
        """End a call, once; with `over` the client is told why nobody waits for it."""
        if self._out.pop(out.call.call_id, None) is None:
            return
        if over:
            out.emit(ToolCallOver(out.call.call_id, over))
        self._finish(out, ended)

    def is_direct(self, call_id: str) -> bool:
        """Tell whether a direct call of this id is out."""
        out = self._out.get(call_id)
        return out is not None and out.caller.direct

    async def answer(self, call_id: str, answer: Answer) -> SandboxdError | None:
        """Take a client's answer; one to no call that is out is dropped. Tells what was wrong with a result."""
        out = self._out.pop(call_id, None)  # from now on there is no second answer, and no timeout
        if out is None:
            return None
        out.timer.cancel()
        if answer.value_json is None:
            self._finish(out, _raised(answer))
            return None
        try:
            value = await check_result(out.admitted.tool, answer.value_json, out.budget)
        except SandboxdError as error:
            self._finish(out, failed(error.code, error.message))
            return error
        except Exception:
            self._finish(out, failed(Code.INTERNAL, "the daemon failed; its log tells why"))
            raise
        self._finish(out, Ended(ToolState.FINISHED, value=value))
        return None

    def _finish(self, out: Out, ended: Ended) -> None:
        out.timer.cancel()
        seconds = asyncio.get_running_loop().time() - out.began
        record_done(self.log, out.caller, out.call.call_id, ended, seconds=seconds)
        out.on_end(ended)

    def _timed_out(self, call_id: str) -> None:
        out = self._out[call_id]
        message = f"no answer in {out.call.timeout_seconds:g} s; whether it took effect is not known"
        self.end(out, failed(Code.TOOL_TIMEOUT, message, ToolState.TIMED_OUT), "timeout")

    # ---- direct ---------------------------------------------------------------------------------------------

    async def call_directly(self, call_id: str, name: str, arguments: str, emit: Emit) -> None:
        """Make a call that no code made: the same checks, the same records.

        Raises:
            SandboxdError: INVALID_REQUEST, TOOL_*, LOG_*; nothing was called.
        """
        direct = sum(out.caller.direct for out in self._out.values())
        if _CALL_ID.fullmatch(call_id) is None or call_id in self._out or direct >= _MAX_DIRECT:
            raise SandboxdError(
                Code.INVALID_REQUEST,
                f"A direct call's id is 8 to 64 of A-Z, a-z, 0-9, _ and -, not one that is out; {_MAX_DIRECT} are the most.",
                remedy="Make one with uuid4().hex; wait for answers.",
                failure=FailureClass.NOT_STARTED,
            )
        budget = self._direct_budget
        try:
            admitted = await self.admit(name, arguments, self.caller, budget)
        except SandboxdError as error:
            self.refuse(name, error.code.value, self.caller)
            raise
        await self.issue(
            call_id,
            admitted,
            self.caller,
            budget=budget,
            emit=emit,
            wanted=lambda: not self._closed,
            on_end=_nobody,
        )

    def close(self) -> None:
        """The session ends: cut off what is out."""
        self._closed = True
        for out in list(self._out.values()):
            self.end(out, CUT_OFF, "execution_ended")


def _raised(answer: Answer) -> Ended:
    name = answer.error_name if _ERROR_NAME.fullmatch(answer.error_name) else "Exception"
    return Ended(ToolState.FAILED, name=name, message=answer.error_message[:_MESSAGE_CHARACTERS])


def _nobody(_ended: Ended) -> None:
    return
